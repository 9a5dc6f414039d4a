# SPDX-License-Identifier: Apache-2.0
"""Packing: the workers of one gang onto nodes and device slots."""

from solvers.packing.gang import count_fit, place_gang, workers_per_node
from solvers.packing.nodes import (
    GangPlacement,
    NodeArrays,
    PackingReason,
    Slice,
    WorkerDemand,
    commit,
    release,
)

__all__ = [
    "GangPlacement",
    "NodeArrays",
    "PackingReason",
    "Slice",
    "WorkerDemand",
    "commit",
    "count_fit",
    "place_gang",
    "release",
    "workers_per_node",
]
