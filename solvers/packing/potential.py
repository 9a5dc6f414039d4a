# SPDX-License-Identifier: Apache-2.0
"""Kernels that put one worker after another where a policy rates it best.

Our policy is the *node potential*: what the free part of a node is expected to waste, read from the
tables of a `MixProfile`; a worker goes where it rises least. The others stand here to compare with.
All kernels are in one file, because numba's cache looks at a kernel's own file alone.
"""

import math

import numpy as np
from numba import njit

from solvers.packing.nodes import BoolArray, IntArray

Tables = tuple[IntArray, IntArray, IntArray, IntArray]
"""`MixProfile.tables`."""
Typical = tuple[IntArray, BoolArray, IntArray, IntArray, IntArray]
"""`typical_pods`."""
Free = tuple[IntArray, IntArray, IntArray]
"""Thousandths of slots [N, D], CPU [N] and memory [N] that are free."""

NODE_POTENTIAL, FGD, BEST_FIT, RANDOM = 0, 1, 2, 3
REFUSED = 2**60
"""A rating that no fitting worker gets: the node does not take it. Less is better."""
_DEVICE = 1_000
_MICRO = 1_000_000


@njit(cache=True)
def potential(free: IntArray, cpu_milli: int, tables: Tables) -> int:
    """Return the waste to expect of one node with these device slots and this much CPU left.

    In millionths of a device: what is left of used devices and of idle ones, and the devices that
    its CPU could not feed if all were taken by work of each observed ratio.
    """
    rest, idle, cpu_per_device, weight = tables
    waste, whole, micro = 0, 0, 0
    for has in free:
        if has >= _DEVICE:
            whole += 1
            micro += _MICRO
        elif has > 0:
            waste += rest[has]
            micro += has * 1_000
    waste += idle[min(whole, len(idle) - 1)]
    for at in range(len(weight)):
        fed = max(cpu_milli, 0) * _MICRO // cpu_per_device[at]
        if fed < micro:
            waste += weight[at] * (micro - fed) // 1_000
    return int(waste)


@njit(cache=True)
def least_rise(free: IntArray, cpu_milli: int, asked: IntArray, tables: Tables) -> tuple[int, int]:
    """Return the least rise of a node's potential by a worker that fits on it, and its slot.

    `asked` begins with devices, thousandths of each, CPU. The slot is -1 unless the worker shares a
    device; ties go to the lowest.
    """
    before = potential(free, cpu_milli, tables)
    left = cpu_milli - asked[2]
    after = free.copy()
    if not _shares(asked):
        _take_idle(after, asked[0])
        return potential(after, left, tables) - before, -1
    best, chosen = REFUSED, -1
    for slot in range(len(free)):
        if free[slot] >= asked[1] and not _alike_before(free, slot):
            after[slot] -= asked[1]
            rise = potential(after, left, tables) - before
            after[slot] += asked[1]
            if rise < best:
                best, chosen = rise, slot
    return best, chosen


@njit(cache=True)
def least_risen(
    slots: IntArray, cpu: IntArray, rows: IntArray, room: IntArray, asked: IntArray, tables: Tables
) -> tuple[int, int]:
    """Return the node whose potential one worker raises least, and its slot; -1, -1 if none.

    `room` says, for each of `rows`, how many such workers fit there. Ties go to the first.
    """
    best, node, chosen = REFUSED, -1, -1
    for at in range(len(rows)):
        if room[at] > 0:
            rise, slot = least_rise(slots[rows[at]], int(cpu[rows[at]]), asked, tables)
            if rise < best:
                best, node, chosen = rise, rows[at], slot
    return node, chosen


@njit(cache=True)
def _shares(asked: IntArray) -> bool:
    return bool(asked[0] == 1 and asked[1] < _DEVICE)


@njit(cache=True)
def _take_idle(free: IntArray, devices: int) -> None:
    left = devices
    for slot in range(len(free)):
        if left > 0 and free[slot] >= _DEVICE:
            free[slot] = 0
            left -= 1


@njit(cache=True)
def _alike_before(free: IntArray, slot: int) -> bool:
    for before in range(slot):  # noqa: SIM110  # numba has no generator expressions
        if free[before] == free[slot]:
            return True
    return False


@njit(cache=True)
def fragment(free: IntArray, cpu_milli: int, model: int, typical: Typical) -> int:
    """Return the free thousandths that a typical pod could not use, summed over typical pods.

    All that is free where the pod does not fit, else what is left on devices too full for it.
    """
    groups, allowed, starts, cpu, within = typical
    total = np.maximum(free, 0).sum()
    waste = 0
    for at in range(len(groups)):
        first, end = starts[at], starts[at + 1]
        devices, milli = groups[at]
        fitting, small = 0, 0
        for has in free:
            if has >= milli:
                fitting += 1
            elif has > 0:
                small += has
        hosted = 0
        if devices > 0 and fitting >= devices and allowed[at, model]:
            fed = np.searchsorted(cpu[first:end], cpu_milli, side="right")
            hosted = within[first + fed - 1] if fed > 0 else 0
        waste += hosted * small + (within[end - 1] - hosted) * total
    return waste


@njit(cache=True)
def least_gradient(
    free: IntArray, cpu_milli: int, model: int, asked: IntArray, typical: Typical
) -> tuple[int, int]:
    """Return the published score of a pod on a node (minus 100 to 0, less is better), its slot."""
    before = fragment(free, cpu_milli, model, typical)
    left = cpu_milli - asked[2]
    pods = 0
    for end in typical[2][1:]:
        pods += int(typical[4][end - 1])
    after = free.copy()
    if not _shares(asked):
        _take_idle(after, asked[0])
        return -_score(before - fragment(after, left, model, typical), pods), -1
    best, chosen = REFUSED, -1
    for slot in range(len(free)):
        if free[slot] >= asked[1]:
            after[slot] -= asked[1]
            score = -_score(before - fragment(after, left, model, typical), pods)
            after[slot] += asked[1]
            if score < best:
                best, chosen = score, slot
    return best, chosen


@njit(cache=True)
def _score(gain: int, pods: int) -> int:
    return int(100 / (1 + math.exp(-gain / pods / 1_000)))


@njit(cache=True)
def _tightest_slot(free: IntArray, asked: IntArray) -> int:
    best = -1
    if _shares(asked):
        for slot in range(len(free)):
            if free[slot] >= asked[1] and (best < 0 or free[slot] < free[best]):
                best = slot
    return best


@njit(cache=True)
def _fits(free: Free, node: int, asked: IntArray) -> bool:
    slots, cpu, memory = free
    if cpu[node] < asked[2] or memory[node] < asked[3]:
        return False
    fitting = 0
    for has in slots[node]:
        fitting += has >= asked[1]
    return bool(fitting >= asked[0])


@njit(cache=True)
def _share_left(free: IntArray, cpu_milli: int, cpu_whole: int, asked: IntArray) -> int:
    """Return what would be left of a node, devices and CPU each in millionths of all it has."""
    milli, slots = 0, 0
    for has in free:
        if has >= 0:
            milli += has
            slots += 1
    devices = (milli - asked[0] * asked[1]) * 1_000 // max(slots, 1)
    return int(devices + (cpu_milli - asked[2]) * _MICRO // max(cpu_whole, 1))


@njit(cache=True)
def _rate(  # noqa: PLR0913, PLR0917  # arrays only: numba takes no structs
    free: Free,
    node: int,
    cpu_whole: int,
    model: int,
    asked: IntArray,
    policy: int,
    tables: Tables,
    typical: Typical,
) -> tuple[int, int]:
    """Return how bad a node is for a pod that fits, and the slot it would share, or -1."""
    slots, cpu = free[0][node], free[1][node]
    if policy == NODE_POTENTIAL:
        return least_rise(slots, cpu, asked, tables)
    if policy == FGD:
        return least_gradient(slots, cpu, model, asked, typical)
    slot = _tightest_slot(slots, asked)
    if policy == BEST_FIT:
        return _share_left(slots, cpu, cpu_whole, asked), slot
    return 0, slot


@njit(cache=True)
def _choose(rating: IntArray, draw: int, policy: int) -> int:
    """Return the node rated best: the first of equal ones, or the one drawn; -1 if none takes."""
    best, ties, first = REFUSED, 0, -1
    for node in range(len(rating)):
        if rating[node] < best:
            best, ties, first = rating[node], 1, node
        elif rating[node] == best:
            ties += 1
    if first >= 0 and policy in (FGD, RANDOM):
        skip = draw % ties
        for node in range(first, len(rating)):
            if rating[node] == best:
                if skip == 0:
                    return node
                skip -= 1
    return first


@njit(cache=True)
def _commit(free: Free, node: int, asked: IntArray, slot: int) -> None:
    slots, cpu, memory = free
    cpu[node] -= asked[2]
    memory[node] -= asked[3]
    if slot >= 0:
        slots[node, slot] -= asked[1]
    else:
        _take_idle(slots[node], asked[0])


@njit(cache=True)
def fill_in_order(  # noqa: PLR0913, PLR0917  # arrays only: numba takes no structs
    free: Free,
    model: IntArray,
    asked: IntArray,
    allowed: BoolArray,
    arrivals: IntArray,
    draws: IntArray,
    policy: int,
    tables: Tables,
    typical: Typical,
) -> IntArray:
    """Return the node of each arrival, int64[A], -1 where none takes it. Uses up `free`.

    A node's rating for a shape stands until the node changes. `log` holds the nodes in the order of
    their last changes (with older entries, `at_log` says which is the last), and each shape knows
    how far it has read.
    """
    size = len(model)
    cpu_whole = free[1].copy()
    rating = np.full((len(asked), size), REFUSED, np.int64)
    slot = np.full((len(asked), size), -1, np.int64)
    log, at_log, end = np.empty(size + len(arrivals), np.int64), np.arange(size), size
    log[:size] = np.arange(size)
    read = np.zeros(len(asked), np.int64)
    placed = np.full(len(arrivals), -1, np.int64)
    for number in range(len(arrivals)):
        shape = arrivals[number]
        for at in range(read[shape], end):
            node = log[at]
            if at_log[node] != at:
                continue
            rating[shape, node] = REFUSED
            if allowed[shape, model[node]] and _fits(free, node, asked[shape]):
                rating[shape, node], slot[shape, node] = _rate(
                    free,
                    node,
                    int(cpu_whole[node]),
                    int(model[node]),
                    asked[shape],
                    policy,
                    tables,
                    typical,
                )
        read[shape] = end
        node = _choose(rating[shape], draws[number], policy)
        if node >= 0:
            placed[number] = node
            _commit(free, node, asked[shape], slot[shape, node])
            log[end], at_log[node], end = node, end, end + 1
    return placed
