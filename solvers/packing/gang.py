# SPDX-License-Identifier: Apache-2.0
"""Where a gang goes: fewest domains, fewest nodes, tightest node, fullest device.

Workers of a gang are alike, so each node takes a number of them that is bounded by its own free
amounts alone, whatever the number of dimensions: a gang fits exactly where these numbers add up to
its workers. No search is needed for one gang; `solvers.packing.gang_set` places several together,
where it is.
"""

import numpy as np

from solvers.packing.gang_kernel import kernel_arrays, rooms_on, spread_gang
from solvers.packing.mix import MixProfile
from solvers.packing.nodes import (
    DEVICE_MILLI,
    GangPlacement,
    IntArray,
    NodeArrays,
    PackingReason,
    Slice,
    WorkerDemand,
)
from solvers.packing.potential import least_risen

_NOWHERE = GangPlacement((), PackingReason.DOES_NOT_FIT)


def workers_per_node(nodes: NodeArrays, rows: IntArray, demand: WorkerDemand) -> IntArray:
    """Return how many such workers fit on each of `rows` beside what is there, int64[len(rows)]."""
    room: IntArray = rooms_on(kernel_arrays(nodes), rows, demand.amounts())
    return room


def count_fit(nodes: NodeArrays, rows: IntArray, demand: WorkerDemand) -> int:
    """Return how many workers of this shape fit on `rows` together: a gang fits up to that size."""
    return int(workers_per_node(nodes, rows, demand).sum())


def place_gang(
    nodes: NodeArrays,
    rows: IntArray,
    demand: WorkerDemand,
    workers: int,
    mix: MixProfile | None = None,
) -> GangPlacement:
    """Return where a gang goes among `rows` (sorted node indices), whole or not at all.

    Changes nothing. On one node where one has room: the one with least free devices. Else in fewest
    domains, roomiest first, and in the last of them on fewest nodes, the last one the tightest that
    takes the rest. With a `mix`, a single worker goes where the node potential rises least instead.
    Ties go to the lowest index. DOES_NOT_FIT is proven.
    """
    if mix is not None and workers == 1:
        return _place_worker(nodes, rows, demand, mix)
    pairs, slots = spread_gang(kernel_arrays(nodes), nodes.domain, rows, demand.amounts(), workers)
    if not len(pairs):
        return _NOWHERE
    return GangPlacement(_slices(pairs, slots, demand), PackingReason.PLACED)


def _place_worker(
    nodes: NodeArrays, rows: IntArray, demand: WorkerDemand, mix: MixProfile
) -> GangPlacement:
    room = rooms_on(kernel_arrays(nodes), rows, demand.amounts())
    asked = np.array(demand.amounts()[:3], np.int64)
    free = nodes.free_milli
    node, slot = least_risen(free, nodes.cpu_free_milli, rows, room, asked, mix.tables())
    if node < 0:
        return _NOWHERE
    whole = np.flatnonzero(free[node] >= DEVICE_MILLI)[: demand.devices]
    slots = (slot,) if slot >= 0 else tuple(whole.tolist())
    return GangPlacement((Slice(node, slots, demand.device_milli, 1),), PackingReason.PLACED)


def _slices(pairs: IntArray, slots: IntArray, demand: WorkerDemand) -> tuple[Slice, ...]:
    flat, start = slots.tolist(), 0
    slices: list[Slice] = []
    for node, workers in pairs.tolist():
        end = start + workers * demand.devices
        slices.append(Slice(node, tuple(flat[start:end]), demand.device_milli, workers))
        start = end
    return tuple(slices)
