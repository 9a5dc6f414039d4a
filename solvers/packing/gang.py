# SPDX-License-Identifier: Apache-2.0
"""Where a gang goes: fewest domains, fewest nodes, tightest node, fullest device.

Workers of a gang are alike, so each node takes a number of them that is bounded by its own free
amounts alone, whatever the number of dimensions: a gang fits exactly where these numbers add up to
its workers. No search is needed for one gang; `solvers.packing.gang_set` places several together,
where it is.
"""

from solvers.packing.gang_kernel import kernel_arrays, rooms_on, spread_gang
from solvers.packing.nodes import (
    GangPlacement,
    IntArray,
    NodeArrays,
    PackingReason,
    Slice,
    WorkerDemand,
)

_NOWHERE = GangPlacement((), PackingReason.DOES_NOT_FIT)


def workers_per_node(nodes: NodeArrays, rows: IntArray, demand: WorkerDemand) -> IntArray:
    """Return how many such workers fit on each of `rows` beside what is there, int64[len(rows)]."""
    room: IntArray = rooms_on(kernel_arrays(nodes), rows, demand.amounts())
    return room


def count_fit(nodes: NodeArrays, rows: IntArray, demand: WorkerDemand) -> int:
    """Return how many workers of this shape fit on `rows` together: a gang fits up to that size."""
    return int(workers_per_node(nodes, rows, demand).sum())


def place_gang(
    nodes: NodeArrays, rows: IntArray, demand: WorkerDemand, workers: int
) -> GangPlacement:
    """Return where a gang goes among `rows` (sorted node indices), whole or not at all.

    Changes nothing. On one node where one has room: the one with least free devices. Else in fewest
    domains, roomiest first, and in the last of them on fewest nodes, the last one the tightest that
    takes the rest. Ties go to the lowest index. DOES_NOT_FIT is proven.
    """
    pairs, slots = spread_gang(kernel_arrays(nodes), nodes.domain, rows, demand.amounts(), workers)
    if not len(pairs):
        return _NOWHERE
    return GangPlacement(_slices(pairs, slots, demand), PackingReason.PLACED)


def _slices(pairs: IntArray, slots: IntArray, demand: WorkerDemand) -> tuple[Slice, ...]:
    flat, start = slots.tolist(), 0
    slices: list[Slice] = []
    for node, workers in pairs.tolist():
        end = start + workers * demand.devices
        slices.append(Slice(node, tuple(flat[start:end]), demand.device_milli, workers))
        start = end
    return tuple(slices)
