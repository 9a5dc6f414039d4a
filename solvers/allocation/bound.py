# SPDX-License-Identifier: Apache-2.0
"""A bound on the value of any allocation from any prices: weak duality, in exact integers.

For prices lambda (pools), mu (team limits), rho (reservations, at most the penalty), sigma (team
steps), the value of any allocation is at most lambda.capacity + mu.limits - rho.reserved + sum of
steps worth more than sigma + for each class its gangs at their best reduced value.
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
    best = np.maximum(reduced.max(axis=1, initial=0), 0)
    bonus = (problem.class_stay_bonus * PRICE_SCALE)[:, None]
    gain = np.maximum(np.where(problem.allowed(), reduced + bonus, 0) - best[:, None], 0)
    spare = np.maximum(problem.team_step_value * PRICE_SCALE - prices.step[:, None], 0)
    limits = np.where(prices.team > 0, problem.team_limit_devices, 0)
    total = (
        _sum(best * problem.class_gangs)
        + _sum((gain * problem.stay_gangs).sum(axis=1))
        + _sum(prices.pool * problem.pool_capacity_devices)
        + _sum(prices.team * limits)
        + _sum((spare * problem.team_step_devices).sum(axis=1))
        - _sum(prices.reservation * problem.reserved_demand())
    )
    return -(-total // PRICE_SCALE)


def _sum(values: IntArray) -> int:
    """Return the sum as a Python integer, which cannot overflow."""
    return sum(values.tolist())
