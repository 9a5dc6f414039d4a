# SPDX-License-Identifier: Apache-2.0
"""The kernels under `place_gang`: the room of a node, and which nodes a gang takes.

Fewest domains, then fewest nodes, then tightest. All integers, ties to the lowest index. They stand
in one file because numba's cache looks at a kernel's own file alone: one that calls another of a
file that has changed would go on running the old one.
"""

import numpy as np
from numba import njit

from solvers.packing.nodes import BoolArray, IntArray, NodeArrays

ENOUGH = 2**31
"""Room of a node for workers that ask for nothing."""

_SPARE = 2**20
"""More than the free thousandths of any node: makes one sort key of two."""

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


@njit(cache=True)
def spread_gang(
    nodes: Kernel, domain: IntArray, rows: IntArray, demand: Amounts, workers: int
) -> tuple[IntArray, IntArray]:
    """Return (node, workers) pairs by rising node, int64[K, 2], and their slots one after another.

    No pairs where the gang does not fit among `rows`.
    """
    room, spare = np.empty(len(rows), np.int64), np.zeros(len(rows), np.int64)
    total = 0
    for i in range(len(rows)):
        room[i] = room_on(nodes, rows[i], demand)
        total += room[i]
    if total < workers:
        return np.empty((0, 2), np.int64), np.empty(0, np.int64)
    for i in range(len(rows)):
        if room[i] > 0:
            spare[i] = _free_milli(nodes[0], rows[i])
    taken = np.zeros(len(rows), np.int64)
    one = _tightest(np.arange(len(rows)), room, spare, taken, workers)
    if one >= 0:
        taken[one] = workers
    else:
        _take_domains(domain[rows], room, spare, taken, workers)
    return _with_slots(nodes[0], rows, taken, demand)


@njit(cache=True)
def _free_milli(free_milli: IntArray, row: int) -> int:
    total = 0
    for slot in range(free_milli.shape[1]):
        total += max(free_milli[row, slot], 0)
    return total


@njit(cache=True)
def _tightest(
    among: IntArray, room: IntArray, spare: IntArray, taken: IntArray, workers: int
) -> int:
    """Return the untaken candidate with room for so many and least device, then host, room; or -1.

    Small gangs so fill up what is broken into, and whole nodes stay whole.
    """
    best = -1
    for i in among:
        if room[i] < workers or taken[i] > 0:
            continue
        if best < 0 or (spare[i], room[i]) < (spare[best], room[best]):
            best = i
    return best


@njit(cache=True)
def _take_domains(
    domain: IntArray, room: IntArray, spare: IntArray, taken: IntArray, workers: int
) -> None:
    """Fill whole domains, roomiest first, until one takes the rest: no packing needs fewer."""
    size = domain.max() + 1
    starts, members = _grouped(domain, size)
    has = np.zeros(size, np.int64)
    for i in range(len(domain)):
        has[domain[i]] += min(room[i], workers)
    by_room = np.argsort(-has, kind="mergesort")
    left, at = workers, 0
    while has[by_room[at]] < left:
        for i in members[starts[by_room[at]] : starts[by_room[at] + 1]]:
            taken[i] = room[i]
        left -= int(has[by_room[at]])
        at += 1
    _take_last(by_room[at:], has, starts, members, room, spare, taken, left)


@njit(cache=True)
def _grouped(domain: IntArray, size: int) -> tuple[IntArray, IntArray]:
    """Return where each domain's members start, int64[size + 1], and the members by domain."""
    starts = np.zeros(size + 1, np.int64)
    for index in domain:
        starts[index + 1] += 1
    starts = np.cumsum(starts)
    following, members = starts[:-1].copy(), np.empty(len(domain), np.int64)
    for i in range(len(domain)):
        members[following[domain[i]]] = i
        following[domain[i]] += 1
    return starts, members


@njit(cache=True)
def _take_last(  # noqa: PLR0913, PLR0917  # arrays only: numba takes no structs
    candidates: IntArray,
    has: IntArray,
    starts: IntArray,
    members: IntArray,
    room: IntArray,
    spare: IntArray,
    taken: IntArray,
    workers: int,
) -> None:
    """Take the rest in the domain where it needs fewest nodes, of those the tightest.

    `candidates` come by falling room. In the domain the roomiest nodes are filled, the last one is
    the tightest that takes what remains.
    """
    best, best_key = np.empty(0, np.int64), (0, 0, 0)
    for index in candidates:
        if has[index] < workers:
            break
        inside = members[starts[index] : starts[index + 1]]
        key = np.empty(len(inside), np.int64)
        for at in range(len(inside)):
            i = inside[at]
            key[at] = spare[i] - min(room[i], workers) * _SPARE
        order = inside[np.argsort(key, kind="mergesort")]
        left, needed = workers, 0
        while left > 0:
            left -= room[order[needed]]
            needed += 1
        if len(best) == 0 or (needed, has[index], index) < best_key:
            best, best_key = order, (needed, has[index], index)
    left = workers
    for i in best:
        if room[i] >= left:
            break
        taken[i] = room[i]
        left -= room[i]
    taken[_tightest(np.sort(best), room, spare, taken, left)] = left


@njit(cache=True)
def _with_slots(
    free_milli: IntArray, rows: IntArray, taken: IntArray, demand: Amounts
) -> tuple[IntArray, IntArray]:
    """Return (node, workers) pairs and slots: on each node the fullest that still fit."""
    used = np.flatnonzero(taken)
    pairs = np.empty((len(used), 2), np.int64)
    slots = np.empty(taken.sum() * demand[0], np.int64)
    end = 0
    for at in range(len(used)):
        row, workers = rows[used[at]], taken[used[at]]
        pairs[at, 0], pairs[at, 1] = row, workers
        start, end = end, end + workers * demand[0]
        _fullest(free_milli[row], demand[1], slots[start:end])
    return pairs, slots


@njit(cache=True)
def _fullest(free: IntArray, milli: int, slots: IntArray) -> None:
    """Write the fullest slots with so much left, in rising order; ties to the lowest."""
    chosen = np.zeros(len(free), np.bool_)
    for _ in range(len(slots)):
        best = -1
        for slot in range(len(free)):
            fits = free[slot] >= milli and not chosen[slot]
            if fits and (best < 0 or free[slot] < free[best]):
                best = slot
        chosen[best] = True
    slots[:] = np.flatnonzero(chosen)
