# SPDX-License-Identifier: Apache-2.0
"""A bound on the value of any allocation from any prices: weak duality, in exact integers.

For prices lambda (pools), mu (team limits), rho (reservations, at most the penalty), sigma (team
steps), the value of any allocation is at most lambda.capacity + mu.limits - rho.reserved + sum of
steps worth more than sigma + for each class its gangs at their best reduced values.
"""

import numpy as np

from solvers.allocation.problem import PRICE_SCALE, AllocationProblem, IntArray, Prices


def reduced_values(problem: AllocationProblem, prices: Prices) -> IntArray:
    """Return the value of one gang less the price of its devices, int64[C, P], in millionths.

    Very negative where not allowed.
    """
    prices = legal(problem, prices)
    charge = prices.pool[None, :] + (prices.team - prices.step)[problem.class_team][:, None]
    has = problem.class_reservation >= 0
    if has.any():
        credit = np.zeros(problem.class_value.shape, np.int64)
        index = problem.class_reservation[has]
        credit[has] = prices.reservation[index][:, None] * problem.reservation_pools[index]
        charge = charge - credit
    reduced = problem.class_value * PRICE_SCALE - problem.class_gang_devices[:, None] * charge
    return np.where(problem.allowed(), reduced, np.int64(-(2**62)))


def legal(problem: AllocationProblem, prices: Prices) -> Prices:
    """Return the nearest prices the dual allows: none negative, none above its penalty."""
    return Prices(
        np.maximum(prices.pool, 0),
        np.where(problem.team_limit_devices < 0, 0, np.maximum(prices.team, 0)),
        np.clip(prices.reservation, 0, problem.reservation_penalty * PRICE_SCALE),
        np.maximum(prices.step, 0),
    )


def upper_bound(problem: AllocationProblem, prices: Prices) -> int:
    """Return a valid upper bound on `objective` for any prices, rounded up."""
    prices = legal(problem, prices)
    reduced = reduced_values(problem, prices)
    spare = np.maximum(problem.team_step_value * PRICE_SCALE - prices.step[:, None], 0)
    limits = np.where(prices.team > 0, problem.team_limit_devices, 0)
    total = (
        _sum(_best_gangs(problem, reduced))
        + _sum(prices.pool * problem.pool_capacity_devices)
        + _sum(prices.team * limits)
        + _sum((spare * problem.team_step_devices).sum(axis=1))
        - _sum(prices.reservation * problem.reserved_demand())
    )
    return -(-total // PRICE_SCALE)


def _best_gangs(problem: AllocationProblem, reduced: IntArray) -> IntArray:
    """Return what the gangs of each class are worth at most at reduced values, int64[C].

    All of them in the best pool, and what staying elsewhere gains over it. A class of which that
    pool takes fewer by shape fills one pool after the other instead.
    """
    best = np.maximum(reduced.max(axis=1, initial=0), 0)
    bonus = (problem.class_stay_bonus * PRICE_SCALE)[:, None]
    gain = np.maximum(np.where(problem.allowed(), reduced + bonus, 0) - best[:, None], 0)
    worth: IntArray = best * problem.class_gangs + (gain * problem.stay_gangs).sum(axis=1)
    most = np.where(reduced == best[:, None], problem.class_max_gangs, 0).max(axis=1, initial=0)
    tight = np.flatnonzero((most < problem.class_gangs) & (worth > 0))
    worth[tight] = _filled_in_turn(problem, reduced, tight)
    return worth


def _filled_in_turn(problem: AllocationProblem, reduced: IntArray, cls: IntArray) -> IntArray:
    """Return what these classes are worth when pools fill by falling reduced value, to `most`."""
    wanted = problem.class_gangs[cls][:, None]
    most = np.where(problem.allowed()[cls], np.minimum(problem.class_max_gangs[cls], wanted), 0)
    stay = np.minimum(problem.stay_gangs[cls], most)
    bonus = (problem.class_stay_bonus[cls] * PRICE_SCALE)[:, None]
    value = np.maximum(np.hstack([reduced[cls] + bonus, reduced[cls]]), 0)
    room = np.hstack([stay, most - stay])
    order = np.argsort(-value, axis=1, kind="stable")
    value, room = (np.take_along_axis(array, order, axis=1) for array in (value, room))
    before = np.cumsum(room, axis=1) - room
    worth: IntArray = (value * np.clip(wanted - before, 0, room)).sum(axis=1)
    return worth


def _sum(values: IntArray) -> int:
    """Return the sum as a Python integer, which cannot overflow."""
    return sum(values.tolist())
