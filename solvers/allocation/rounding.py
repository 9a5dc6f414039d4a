# SPDX-License-Identifier: Apache-2.0
"""From fractional to whole gangs.

Large gangs first, the linear program again for the small ones, then fill what is left.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.allocation.bound import reduced_values
from solvers.allocation.problem import AllocationProblem, IntArray, Prices, reserved_use
from solvers.allocation.program import FloatArray

_UNLIMITED = 2**61
_EPSILON = 1e-6


def remaining(problem: AllocationProblem, gangs: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Return what is left: devices per pool, devices per team limit, gangs per class."""
    devices = gangs * problem.class_gang_devices[:, None]
    pool = problem.pool_capacity_devices - devices.sum(axis=0)
    limit = np.where(
        problem.team_limit_devices < 0, np.int64(_UNLIMITED), problem.team_limit_devices
    )
    np.subtract.at(limit, problem.class_team, devices.sum(axis=1))
    return pool, limit, problem.class_gangs - gangs.sum(axis=1)


def large_classes(problem: AllocationProblem) -> NDArray[np.bool_]:
    """Return which classes have gangs so large that rounding them disturbs a pool, bool[C]."""
    typical = (
        int(np.median(problem.pool_capacity_devices)) if len(problem.pool_capacity_devices) else 0
    )
    return problem.class_gang_devices * 64 > typical


def whole(problem: AllocationProblem, fractional: FloatArray, start: IntArray) -> IntArray:
    """Return whole gangs near `fractional`, added to those of `start`.

    Floors, then the largest remainders that still fit.

    Remainders that count for a reservation come first, then large gangs, then the largest; ties by
    index.
    """
    gangs = start.copy()
    pool, limit, left = remaining(problem, gangs)
    floors = np.floor(fractional + _EPSILON).astype(np.int64)
    cls, where = np.nonzero(floors)
    order = np.lexsort((where, cls, -problem.class_gang_devices[cls]))
    _take(
        gangs,
        cls[order],
        where[order],
        floors[cls[order], where[order]],
        problem,
        pool,
        limit,
        left,
    )
    rest = np.where(floors + _EPSILON < fractional, fractional - floors, 0.0)
    cls, where = np.nonzero(rest > _EPSILON)
    others = ~problem.counts_for_reservation()[cls, where]
    order = np.lexsort((where, cls, -rest[cls, where], -problem.class_gang_devices[cls], others))
    ones = np.ones(len(cls), np.int64)
    _take(gangs, cls[order], where[order], ones, problem, pool, limit, left)
    return gangs


def fill(problem: AllocationProblem, gangs: IntArray, prices: Prices) -> IntArray:
    """Return the allocation with every gang added that still fits, by falling value per device.

    What serves a reservation that is short comes first.
    """
    gangs = gangs.copy()
    pool, limit, left = remaining(problem, gangs)
    waiting = np.flatnonzero((left > 0) & problem.allowed().any(axis=1))
    open_cells = problem.allowed()[waiting] & (pool >= problem.class_gang_devices[waiting, None])
    cls, where = np.nonzero(open_cells)
    cls = waiting[cls]
    short = np.append(problem.reserved_demand() > reserved_use(problem, gangs), False)
    serving = problem.counts_for_reservation()[cls, where] & short[problem.class_reservation[cls]]
    per_device = problem.class_value[cls, where] / problem.class_gang_devices[cls]
    spare = reduced_values(problem, prices)[cls, where]
    order = np.lexsort((where, cls, -spare, -per_device, ~serving))
    many = np.full(len(cls), _UNLIMITED, np.int64)
    _take(gangs, cls[order], where[order], many, problem, pool, limit, left)
    return gangs


def _take(  # noqa: PLR0913, PLR0917  # the running totals go along
    gangs: IntArray,
    cls: IntArray,
    where: IntArray,
    most: IntArray,
    problem: AllocationProblem,
    pool: IntArray,
    limit: IntArray,
    left: IntArray,
) -> None:
    """Add up to `most` gangs per cell, in order, as far as pools, limits and demand allow.

    Changes the running totals.
    """
    _take_in_order(
        gangs,
        cls.astype(np.int64),
        where.astype(np.int64),
        most,
        problem.class_gang_devices,
        problem.class_team,
        problem.class_max_gangs,
        pool,
        limit,
        left,
    )


@njit(cache=True)
def _take_in_order(  # noqa: PLR0913, PLR0917  # arrays only: numba takes no structs
    gangs: IntArray,
    cls: IntArray,
    where: IntArray,
    most: IntArray,
    gang: IntArray,
    team: IntArray,
    max_gangs: IntArray,
    pool: IntArray,
    limit: IntArray,
    left: IntArray,
) -> None:
    for i in range(len(cls)):
        c, p = cls[i], where[i]
        count = min(most[i], left[c], max_gangs[c, p] - gangs[c, p])
        count = min(count, pool[p] // gang[c], limit[team[c]] // gang[c])
        if count > 0:
            gangs[c, p] += count
            left[c] -= count
            pool[p] -= count * gang[c]
            limit[team[c]] -= count * gang[c]
