# SPDX-License-Identifier: Apache-2.0
"""The cheapest set of moves that frees enough devices: an exact multiple-choice covering knapsack.

Each victim offers options (shrink by so much, leave altogether), at most one of which is taken; the
options chosen together must free at least what is needed, at least cost. Solved by dynamic
programming over the amount freed, capped at the need (Kellerer, Pferschy, Pisinger, *Knapsack
Problems*, chapter 11), in O(options x need).
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

_IMPOSSIBLE = 2**61


@dataclass(frozen=True, slots=True)
class Cover:
    """Chosen option indices, rising, and their total cost and amount freed."""

    options: tuple[int, ...]
    cost: int
    freed: int


@njit(cache=True)
def _choose(  # noqa: C901  # one kernel: numba inlines no helpers
    victim: IntArray, freed: IntArray, cost: IntArray, need: int
) -> IntArray:
    """Return 1 per chosen option, all 0 where the need cannot be covered.

    best[j] is the least cost of freeing at least j with the victims seen so far.
    """
    options = len(victim)
    victims = 0
    for i in range(options):
        if i == 0 or victim[i] != victim[i - 1]:
            victims += 1
    best = np.full(need + 1, _IMPOSSIBLE, np.int64)
    best[0] = 0
    taken = np.full((victims, need + 1), -1, np.int64)
    first, row = 0, 0
    while first < options:
        last = first
        while last < options and victim[last] == victim[first]:
            last += 1
        for j in range(need, 0, -1):
            for i in range(first, last):
                rest = j - freed[i]
                rest = max(rest, 0)
                if best[rest] + cost[i] < best[j]:
                    best[j] = best[rest] + cost[i]
                    taken[row, j] = i
        first, row = last, row + 1
    chosen = np.zeros(options, np.int64)
    if best[need] >= _IMPOSSIBLE:
        return chosen
    j = need
    for row in range(victims - 1, -1, -1):
        i = taken[row, j]
        if i >= 0:
            chosen[i] = 1
            j = max(j - freed[i], 0)
    return chosen


def cheapest_cover(victim: IntArray, freed: IntArray, cost: IntArray, need: int) -> Cover | None:
    """Return the cheapest options that free at least `need`, or None where all together do not.

    `victim`, `freed`, `cost`: int64[O]; options of one victim stand next to each other. `freed` and
    `need` are positive amounts of the same unit, `cost` is not negative. Ties go to the options of
    the earlier victim.
    """
    if need <= 0:
        return Cover((), 0, 0)
    chosen = np.flatnonzero(_choose(victim, freed, cost, need))
    if not len(chosen):
        return None
    return Cover(tuple(chosen.tolist()), int(cost[chosen].sum()), int(freed[chosen].sum()))
