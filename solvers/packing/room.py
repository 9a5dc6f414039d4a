# SPDX-License-Identifier: Apache-2.0
"""How many workers of one shape a node takes: the kernel under every packing here."""

import numpy as np
from numba import njit

from solvers.packing.nodes import BoolArray, IntArray, NodeArrays

ENOUGH = 2**31
"""Room of a node for workers that ask for nothing."""

Kernel = tuple[IntArray, IntArray, IntArray, IntArray, IntArray, BoolArray]
Amounts = tuple[int, int, int, int, int, int]


def kernel_arrays(nodes: NodeArrays) -> Kernel:
    """Return the arrays that `room_on` reads, in its order."""
    return (
        nodes.free_milli,
        nodes.cpu_free_milli,
        nodes.memory_free_mib,
        nodes.storage_free_mbps,
        nodes.network_free_mbps,
        nodes.usable,
    )


@njit(cache=True)
def room_on(nodes: Kernel, row: int, demand: Amounts) -> int:
    """Return how many such workers fit on one node beside what is there.

    Exact, because workers of one shape are alike: each slot with enough left takes a share, whole
    devices are counted out, and each host amount is divided.
    """
    free_milli, cpu, memory, storage, network, usable = nodes
    devices, milli, cpu_milli, memory_mib, storage_mbps, network_mbps = demand
    if not usable[row]:
        return 0
    most = ENOUGH
    if devices > 0:
        fitting = 0
        for slot in range(free_milli.shape[1]):
            fitting += free_milli[row, slot] >= milli
        most = fitting // devices
    if cpu_milli > 0:
        most = min(most, max(cpu[row], 0) // cpu_milli)
    if memory_mib > 0:
        most = min(most, max(memory[row], 0) // memory_mib)
    if storage_mbps > 0:
        most = min(most, max(storage[row], 0) // storage_mbps)
    if network_mbps > 0:
        most = min(most, max(network[row], 0) // network_mbps)
    return most


@njit(cache=True)
def rooms_on(nodes: Kernel, rows: IntArray, demand: Amounts) -> IntArray:
    """Return `room_on` for each of `rows`, int64[len(rows)]."""
    rooms = np.empty(len(rows), np.int64)
    for i in range(len(rows)):
        rooms[i] = room_on(nodes, rows[i], demand)
    return rooms
