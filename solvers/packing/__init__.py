# SPDX-License-Identifier: Apache-2.0
"""Packing: gangs onto nodes and device slots, and how far a fleet fills under a policy."""

from solvers.packing.fill import (
    FillPolicy,
    FillProblem,
    FillResult,
    Machine,
    Pod,
    PodKind,
    fill,
    fill_problem,
)
from solvers.packing.gang import count_fit, place_gang, workers_per_node
from solvers.packing.gang_set import Gang, GangSetPlacement, SetLimits, place_gangs
from solvers.packing.mix import MixProfile, mix_profile
from solvers.packing.nodes import (
    GangPlacement,
    NodeArrays,
    PackingReason,
    Slice,
    WorkerDemand,
    commit,
    copied,
    release,
)

__all__ = [
    "FillPolicy",
    "FillProblem",
    "FillResult",
    "Gang",
    "GangPlacement",
    "GangSetPlacement",
    "Machine",
    "MixProfile",
    "NodeArrays",
    "PackingReason",
    "Pod",
    "PodKind",
    "SetLimits",
    "Slice",
    "WorkerDemand",
    "commit",
    "copied",
    "count_fit",
    "fill",
    "fill_problem",
    "mix_profile",
    "place_gang",
    "place_gangs",
    "release",
    "workers_per_node",
]
