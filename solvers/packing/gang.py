# SPDX-License-Identifier: Apache-2.0
"""Where a gang goes: fewest nodes and domains for whole devices, tightest device for shared ones.

Workers of a gang are alike, so each node takes a number of them that is bounded by its own free
amounts alone: filling nodes greedily fits whenever any packing does. Which nodes are taken first
decides only how close together the gang is and how much room stays whole.
"""

import numpy as np

from solvers.packing.nodes import (
    DEVICE_MILLI,
    GangPlacement,
    IntArray,
    NodeArrays,
    PackingReason,
    Slice,
    WorkerDemand,
)

_ENOUGH = 2**31
_NOWHERE = GangPlacement((), PackingReason.DOES_NOT_FIT)


def workers_per_node(nodes: NodeArrays, rows: IntArray, demand: WorkerDemand) -> IntArray:
    """Return how many such workers fit on each of `rows` beside what is there, int64[len(rows)]."""
    free = nodes.free_milli[rows]
    if demand.devices == 0:
        most = np.full(len(rows), _ENOUGH, np.int64)
    elif demand.device_milli == DEVICE_MILLI:
        most = (free >= DEVICE_MILLI).sum(axis=1) // demand.devices
    else:
        most = (free >= demand.device_milli).sum(axis=1)
    for amount, has in (
        (demand.cpu_milli, nodes.cpu_free_milli),
        (demand.memory_mib, nodes.memory_free_mib),
        (demand.storage_mbps, nodes.storage_free_mbps),
        (demand.network_mbps, nodes.network_free_mbps),
    ):
        if amount:
            most = np.minimum(most, np.maximum(has[rows], 0) // amount)
    return most


def place_gang(
    nodes: NodeArrays, rows: IntArray, demand: WorkerDemand, workers: int
) -> GangPlacement:
    """Return where a gang goes among `rows` (sorted node indices), whole or not at all.

    Changes nothing. On one node where one has room: the one with least left. Else domain by domain,
    roomiest first, and in each the nodes with most room first, the last one the tightest that takes
    the rest. Ties go to the lowest index.
    """
    room = workers_per_node(nodes, rows, demand)
    if int(room.sum()) < workers:
        return _NOWHERE
    enough = np.flatnonzero(room >= workers)
    if len(enough):
        best = int(enough[np.argmin(_tightness(nodes, rows[enough], room[enough]))])
        return _placed(nodes, demand, [(int(rows[best]), workers)])
    taken: list[tuple[int, int]] = []
    left = workers
    for node, has in _by_domain(nodes, rows, room):
        if has >= left:
            break
        taken.append((node, has))
        left -= has
    last = _tightest(nodes, rows, room, left, {node for node, _ in taken})
    return _placed(nodes, demand, [*taken, (last, left)])


def _tightness(nodes: NodeArrays, rows: IntArray, room: IntArray) -> IntArray:
    """Return a key that is least where least would be left.

    Room for workers first, then device thousandths.
    """
    spare = np.maximum(nodes.free_milli[rows], 0).sum(axis=1)
    key: IntArray = np.minimum(room, _ENOUGH) * (DEVICE_MILLI * 64) + spare
    return key


def _by_domain(nodes: NodeArrays, rows: IntArray, room: IntArray) -> list[tuple[int, int]]:
    """Return (node, workers it takes) with roomy domains first and roomy nodes first in each."""
    some = np.flatnonzero(room > 0)
    domain = nodes.domain[rows[some]]
    domain_room = np.bincount(domain, weights=room[some]).astype(np.int64)
    order = np.lexsort((some, -room[some], domain, -domain_room[domain]))
    return [(int(rows[i]), int(room[i])) for i in some[order].tolist()]


def _tightest(
    nodes: NodeArrays, rows: IntArray, room: IntArray, workers: int, taken: set[int]
) -> int:
    """Return the tightest node that takes the rest, in a domain already used if one does."""
    used = {int(nodes.domain[node]) for node in taken}
    fits = [
        (int(nodes.domain[rows[i]]) not in used, int(room[i]), int(rows[i]))
        for i in np.flatnonzero(room >= workers).tolist()
        if int(rows[i]) not in taken
    ]
    return min(fits)[2]


def _placed(nodes: NodeArrays, demand: WorkerDemand, parts: list[tuple[int, int]]) -> GangPlacement:
    slices = tuple(
        Slice(node, _slots(nodes, node, demand, workers), demand.device_milli, workers)
        for node, workers in parts
    )
    return GangPlacement(tuple(sorted(slices, key=_node)), PackingReason.PLACED)


def _slots(nodes: NodeArrays, node: int, demand: WorkerDemand, workers: int) -> tuple[int, ...]:
    """Return the device slots for so many workers: the fullest that still fit, then the lowest."""
    if demand.devices == 0:
        return ()
    free = nodes.free_milli[node]
    fitting = np.flatnonzero(free >= demand.device_milli)
    order = fitting[np.argsort(free[fitting], kind="stable")]
    return tuple(sorted(order[: workers * demand.devices].tolist()))


def _node(piece: Slice) -> int:
    return piece.node
