# SPDX-License-Identifier: Apache-2.0
"""What lies in memory from before never decides where a gang goes.

A kernel once sorted by an amount that it had not written for nodes without room. Re-planning a
ledger of 22,049 cycles found it, in 8 of them; here memory is filled on purpose.
"""

import numpy as np
import pytest
from numba import njit

from solvers.packing import NodeArrays, WorkerDemand, place_gang

NODES = 32


@njit()
def _fill_freed_memory(value: int) -> int:
    """Leave blocks of every small size behind, full of one value."""
    total = 0
    for size in range(1, 2 * NODES + 1):
        first, second = np.empty(size, np.int64), np.empty(size, np.int64)
        first[:] = value
        second[:] = value
        total += first[0] + second[-1]
    return total


def half_taken() -> NodeArrays:
    """Eight domains of four nodes of eight devices; some nodes of the first ones are full."""
    free = np.full((NODES, 8), 1_000, np.int64)
    free[[0, 1, 2, 3, 4, 5, 8, 12]] = 0
    plenty = np.full(NODES, 1_000_000, np.int64)
    domain = np.repeat(np.arange(8), 4)
    return NodeArrays(free, plenty, plenty, plenty, plenty, domain, np.ones(NODES, np.bool_))


@pytest.mark.parametrize("value", [0, 5, -(2**40), -(2**61), 2**61])
def test_leftovers_in_memory_change_no_placement(value: int) -> None:
    """A gang of two nodes goes to the same place whatever was in the memory it is computed in."""
    placed: set[tuple[int, ...]] = set()
    for _ in range(20):
        _fill_freed_memory(value)
        gang = place_gang(half_taken(), np.arange(NODES), WorkerDemand(1), 16)
        placed.add(tuple(piece.node for piece in gang.slices))
    assert placed == {(6, 7)}
