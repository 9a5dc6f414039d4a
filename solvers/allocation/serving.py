# SPDX-License-Identifier: Apache-2.0
"""Reservations that rounding left short: one gang in, the cheapest others out.

Rounding splits no gang, so a reservation can end a few devices short though the linear program
served it. Here one gang that counts for it comes in, in the pool where those that must make room
are worth least at the prices of the linear program. What counts for a reservation never goes.
"""

from dataclasses import dataclass
from math import inf

import numpy as np

from solvers.allocation.bound import reduced_values
from solvers.allocation.problem import (
    PRICE_SCALE,
    AllocationProblem,
    BoolArray,
    IntArray,
    Prices,
    reserved_use,
)

_POOLS = 4
"""How many pools are tried for a gang: those where it is worth most."""


@dataclass(frozen=True, slots=True)
class _Pass:
    """What all swaps of one pass look at, [C, P]: reduced values, and where gangs count."""

    problem: AllocationProblem
    reduced: IntArray
    counts: BoolArray
    may_run: BoolArray


@dataclass(frozen=True, slots=True)
class _Swap:
    """An allocation with one more gang in it, and the value lost per device that counts."""

    gangs: IntArray
    loss: float


def serve(problem: AllocationProblem, gangs: IntArray, prices: Prices) -> IntArray:
    """Return the allocation after every exchange that pays for a reservation that is short."""
    reduced, counts = reduced_values(problem, prices), problem.counts_for_reservation()
    shared = _Pass(problem, reduced, counts, problem.allowed())
    due = problem.reserved_demand()
    for index in np.flatnonzero(due > reserved_use(problem, gangs)).tolist():
        classes = np.flatnonzero(problem.class_reservation == index).tolist()
        while (lack := int((due - reserved_use(problem, gangs))[index])) > 0:
            swaps = [_swap(shared, gangs, cls, lack) for cls in classes]
            best = min((swap for swap in swaps if swap is not None), key=_loss, default=None)
            if best is None or best.loss >= problem.reservation_penalty[index] * PRICE_SCALE:
                break
            gangs = best.gangs
    return gangs


def _loss(swap: _Swap) -> float:
    return swap.loss


def _swap(shared: _Pass, gangs: IntArray, cls: int, lack: int) -> _Swap | None:
    """Return the cheapest way to bring one more gang of a class where it counts, if there is one.

    First the class and its team give up what would be too many, anywhere; then the pool makes room.
    """
    problem, size = shared.problem, int(shared.problem.class_gang_devices[cls])
    here = shared.counts[cls] & shared.may_run[cls] & (gangs[cls] < problem.class_max_gangs[cls])
    pools = np.flatnonzero(here)
    pools = pools[np.argsort(-shared.reduced[cls, pools], kind="stable")][:_POOLS]
    gangs = gangs.copy()
    classes: IntArray = np.arange(gangs.shape[0], dtype=np.int64)
    everywhere: IntArray = np.arange(gangs.shape[1], dtype=np.int64)
    own = classes[problem.class_team == problem.class_team[cls]]
    surplus = size * int(1 + gangs[cls].sum() - problem.class_gangs[cls])
    before = _take_out(shared, gangs, classes[cls : cls + 1], everywhere, surplus)
    limit = int(problem.team_limit_devices[problem.class_team[cls]])
    used = int(gangs[own].sum(axis=1) @ problem.class_gang_devices[own])
    before += _take_out(shared, gangs, own, everywhere, used + size - limit if limit >= 0 else 0)
    best: _Swap | None = None
    for pool in pools.tolist():
        trial = gangs.copy()
        used = int(trial[:, pool] @ problem.class_gang_devices)
        need = used + size - int(problem.pool_capacity_devices[pool])
        loss = before + _take_out(shared, trial, classes, everywhere[pool : pool + 1], need)
        loss = (loss - int(shared.reduced[cls, pool])) / min(size, lack)
        if loss < (inf if best is None else best.loss):
            trial[cls, pool] += 1
            best = _Swap(trial, loss)
    return best


def _take_out(
    shared: _Pass, gangs: IntArray, classes: IntArray, pools: IntArray, need: int
) -> float:
    """Take the gangs that lose least out of these classes and pools until `need` devices are free.

    Changes `gangs`. Returns the value lost, in millionths; infinite where too few may go.
    """
    if need <= 0:
        return 0.0
    problem, block = shared.problem, np.ix_(classes, pools)
    row, column = np.nonzero((gangs[block] > 0) & ~shared.counts[block])
    cls, pool = classes[row], pools[column]
    size, count = problem.class_gang_devices[cls], gangs[cls, pool]
    stays = count <= problem.stay_gangs[cls, pool]
    loss = shared.reduced[cls, pool] + stays * problem.class_stay_bonus[cls] * PRICE_SCALE
    order = np.lexsort((pool, cls, loss / size))
    freed = np.cumsum((count * size)[order]) - (count * size)[order]
    taken = np.clip(-((freed - need) // size[order]), 0, count[order])
    if int(taken @ size[order]) < need:
        return inf
    gangs[cls[order], pool[order]] -= taken
    return float(taken @ loss[order])
