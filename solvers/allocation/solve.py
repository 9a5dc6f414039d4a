# SPDX-License-Identifier: Apache-2.0
"""`allocate(problem)`: relax, round, serve, fill, repair, certify."""

import dataclasses

import numpy as np

from solvers.allocation.problem import (
    Allocation,
    AllocationLimits,
    AllocationProblem,
    AllocationReason,
    IntArray,
    Prices,
    objective,
)
from solvers.allocation.repair import repair
from solvers.allocation.rounding import fill, large_classes, remaining, whole
from solvers.allocation.serving import serve
from solvers.allocation.sifting import Sifted, sift

_PPM = 1_000_000


def allocate(
    problem: AllocationProblem, limits: AllocationLimits, warm: Prices | None = None
) -> Allocation:
    """Return whole gangs per class and pool, with a bound that proves how near the best.

    Always answers: what limits cut short shows in the gap. Equal problems, limits and prices give
    equal answers on one build.
    """
    empty = np.zeros(problem.class_value.shape, np.int64)
    if not problem.allowed().any():
        value = objective(problem, empty)
        nothing = AllocationReason.NOTHING_TO_PLACE
        return Allocation(empty, value, value, 0, nothing, Prices.zero(problem), 0, 0)
    # 1. The linear relaxation, its bound and its prices.
    sifted = sift(problem, limits, warm)
    # 2. Large gangs to whole numbers; the small ones by the linear program of what is left; what
    #    reservations are still short of; then whatever still fits.
    gangs = _rounded(problem, limits, sifted)
    # 3. Repair where rounding hurt, unless it is near enough.
    value = objective(problem, gangs)
    if gap_ppm(value, sifted.bound) > limits.gap_target_ppm:
        gangs = repair(problem, gangs, sifted.relaxed.gangs, sifted.prices, limits)
        gangs = fill(problem, gangs, sifted.prices)
        value = objective(problem, gangs)
    gap = gap_ppm(value, sifted.bound)
    near = gap <= limits.gap_target_ppm
    return Allocation(
        gangs=gangs,
        objective=value,
        bound=sifted.bound,
        gap_ppm=gap,
        reason=AllocationReason.WITHIN_TARGET if near else AllocationReason.LIMIT_REACHED,
        prices=sifted.prices,
        columns=sifted.columns,
        rounds=sifted.rounds,
    )


def gap_ppm(value: int, bound: int) -> int:
    """Return how far a value is below its bound, in millionths of the bound's size.

    Penalties can make both negative.
    """
    return (bound - value) * _PPM // max(abs(bound), 1)


def _rounded(problem: AllocationProblem, limits: AllocationLimits, sifted: Sifted) -> IntArray:
    large = large_classes(problem)
    empty = np.zeros(problem.class_value.shape, np.int64)
    fractional = sifted.relaxed.gangs
    gangs = whole(problem, np.where(large[:, None], fractional, 0.0), empty)
    if large.any() and not large.all():
        rest = _without(problem, gangs, large)
        again = sift(rest, limits, sifted.prices)
        fractional = again.relaxed.gangs
    gangs = whole(problem, np.where(large[:, None], 0.0, fractional), gangs)
    gangs = serve(problem, gangs, sifted.prices)
    return fill(problem, gangs, sifted.prices)


def _without(problem: AllocationProblem, gangs: IntArray, large: np.ndarray) -> AllocationProblem:
    """Return the problem of the small classes alone, on what the large ones leave."""
    pool, limit, _ = remaining(problem, gangs)
    served = np.zeros(len(problem.reservation_devices), np.int64)
    has = large & (problem.class_reservation >= 0)
    index = problem.class_reservation[has]
    inside = (gangs[has] * problem.reservation_pools[index]).sum(axis=1)
    np.add.at(served, index, inside * problem.class_gang_devices[has])
    return dataclasses.replace(
        problem,
        pool_capacity_devices=pool,
        class_gangs=np.where(large, 0, problem.class_gangs),
        stay_gangs=np.where(large[:, None], 0, problem.stay_gangs),
        team_limit_devices=np.where(problem.team_limit_devices < 0, -1, limit),
        reservation_devices=np.maximum(problem.reservation_devices - served, 0),
    )
