# SPDX-License-Identifier: Apache-2.0
"""The linear program over few columns at a time.

Price, solve, price again (sifting, Bixby et al., Operations Research 40, 1992).

Small problems take all their columns at once. Large ones start from prices found by damped
tatonnement and add, round by round, the cells that would pay at the current prices, until the bound
over all cells closes on the optimum over some.
"""

from dataclasses import dataclass

import numpy as np

from solvers.allocation.bound import reduced_values, upper_bound
from solvers.allocation.linear import Relaxed, relax
from solvers.allocation.problem import (
    PRICE_SCALE,
    AllocationLimits,
    AllocationProblem,
    BoolArray,
    Prices,
)

_STEPS = 60
_CLOSE_PPM = 300


@dataclass(frozen=True, slots=True)
class Sifted:
    """The last linear program's optimum, with the best bound and the prices that prove it."""

    relaxed: Relaxed
    bound: int
    prices: Prices
    columns: int
    rounds: int


def sift(problem: AllocationProblem, limits: AllocationLimits, warm: Prices | None) -> Sifted:
    """Solve the linear relaxation, near enough, with a bound that is valid over all columns."""
    allowed = problem.allowed()
    if allowed.sum() <= limits.dense_cells:
        relaxed = relax(problem, allowed)
        bound = upper_bound(problem, relaxed.prices)
        return Sifted(relaxed, bound, relaxed.prices, int(allowed.sum()), 1)
    prices = warm if warm is not None and warm.pool.any() else tatonnement(problem)
    bound = upper_bound(problem, prices)
    cells = _nearest(problem, prices, limits.columns_per_class)
    cells |= (problem.stay_gangs > 0) & allowed
    turn = 0
    while True:
        relaxed, turn = relax(problem, cells), turn + 1
        again = upper_bound(problem, relaxed.prices)
        if again <= bound:
            bound, prices = again, relaxed.prices
        more = _nearest(problem, relaxed.prices, limits.columns_per_class) & ~cells
        close = bound - relaxed.objective <= bound * _CLOSE_PPM / PRICE_SCALE
        if close or turn >= limits.rounds or not more.any():
            return Sifted(relaxed, bound, prices, int(cells.sum()), turn)
        cells |= more


def _nearest(problem: AllocationProblem, prices: Prices, count: int) -> BoolArray:
    """Return, per class, the `count` allowed cells of highest reduced value, bool[C, P]."""
    reduced = reduced_values(problem, prices)
    count = min(count, reduced.shape[1])
    top = np.argpartition(-reduced, count - 1, axis=1)[:, :count]
    cells = np.zeros(reduced.shape, np.bool_)
    np.put_along_axis(cells, top, values=True, axis=1)
    return cells & problem.allowed()


def tatonnement(problem: AllocationProblem) -> Prices:
    """Return rough pool prices.

    Each round raises the price of what is asked too much and lowers that of what is left.

    Every class asks for its best pool; steps shrink geometrically, so the result is a starting
    point, not an equilibrium.
    """
    capacity = np.maximum(problem.pool_capacity_devices, 1)
    density = np.where(
        problem.allowed(), problem.class_value // problem.class_gang_devices[:, None], 0
    )
    top = int(density.max(initial=1)) * PRICE_SCALE
    prices = Prices.zero(problem)
    pool = np.full(len(capacity), top // 4, np.int64)
    demand = problem.class_gangs * problem.class_gang_devices
    step = top / 4.0
    for _ in range(_STEPS):
        now = Prices(pool, prices.team, prices.reservation, prices.step)
        reduced = reduced_values(problem, now)
        choice = reduced.argmax(axis=1)
        wants = reduced[np.arange(len(choice)), choice] > 0
        asked = np.bincount(choice[wants], weights=demand[wants], minlength=len(pool))
        excess = np.clip(asked / capacity - 1.0, -1.0, 1.0)
        pool = np.maximum(pool + (step * excess).astype(np.int64), 0)
        step *= 0.94
    return Prices(pool, prices.team, prices.reservation, prices.step)
