# SPDX-License-Identifier: Apache-2.0
"""What a move costs, in weighted device time, so that it can be set against what it gains."""

import numpy as np

from engine.planning.view import View
from engine.snapshot import Snapshot
from engine.tables import IntArray

START_MS = 20_000
"""Stopping, scheduling and starting a gang again, without its data."""

_PROMISE_FACTOR = 10
"""How much dearer it is to stop a job whose promise that would break."""


def move_ms(snapshot: Snapshot) -> IntArray:
    """Return how long each job would make no progress for one move, int64[J].

    Writing and reading its checkpoint at the bandwidth of one node, starting again, and a penalty
    for each earlier move, so that the same job is not moved over and over.
    """
    fleet = snapshot.fleet
    slowest = min((spec.storage_mbps for spec in fleet.specs), default=1)
    checkpoint_ms = snapshot.column("checkpoint_mib") * 1_000 // max(slowest, 1)
    penalty_ms = snapshot.column("moves") * snapshot.policy.move_penalty_ms
    return 2 * checkpoint_ms + START_MS + penalty_ms


def stop_cost(snapshot: Snapshot, view: View) -> IntArray:
    """Return what stopping each job for the policy's horizon costs per milli-device, int64[J].

    The horizon is the device time that a newcomer is given first: the room is wanted for about that
    long.
    """
    horizon_ms = snapshot.policy.fresh_device_ms
    per_milli = view.weight * (horizon_ms + move_ms(snapshot))
    breaks = view.slack_ms < horizon_ms // 2
    return np.where(breaks, per_milli * _PROMISE_FACTOR, per_milli)


def gain(snapshot: Snapshot, view: View, job: int) -> int:
    """Return what running a waiting job for the policy's horizon is worth."""
    return int(view.weight[job] * view.need_min[job]) * snapshot.policy.fresh_device_ms
