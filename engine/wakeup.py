# SPDX-License-Identifier: Apache-2.0
"""When the engine next has something to do.

A function of the state alone, so a restarted engine wakes at the same times.
"""

import numpy as np

from engine.phases import Phase
from engine.state import State, is_draining
from engine.table_rows import current_table


def someone_waits(state: State) -> bool:
    """Whether any job waits for a place."""
    return bool(current_table(state).waiting)


def someone_must_leave(state: State, now_ms: int) -> bool:
    """Whether work stands where it may not stay: on a draining node, or no longer attested."""
    table = state.node_table
    closed = np.flatnonzero(table.usable[: len(table.names)] == 0).tolist()
    draining = [n for row in closed if is_draining(n := state.nodes[table.names[row]])]
    if any(not state.jobs[job].releasing for node in draining for job in node.holders):
        return True
    return any(end_ms <= now_ms for end_ms in _attestation_ends(state))


def anything_to_plan(state: State, now_ms: int) -> bool:
    """Whether a plan could do anything: somebody waits, is to stop or to leave, or could grow."""
    if state.cancelled_holding or current_table(state).growable:
        return True
    return someone_must_leave(state, now_ms)


def cycle_due(state: State, now_ms: int) -> bool:
    """Whether a cycle should run at `now_ms`.

    Something changed, and the last one is a period ago.
    """
    if state.policy is None or not state.cycle_due:
        return False
    return now_ms >= state.memory.planned_ms + state.policy.period_ms


def next_wakeup(state: State, now_ms: int) -> int | None:
    """Return when, after `now_ms`, the engine next has something to do by itself, or None.

    A change that waits for its period; a look at who still waits, once a period, where
    time alone can change who may be moved, and at who should have left; the deadline of a
    parked event; the end of an attestation under confidential work.
    """
    times = [parked.deadline_ms for parked in state.parked.values()]
    policy = state.policy
    if policy is not None:
        first = state.memory.planned_ms + policy.period_ms
        if state.cycle_due and first > now_ms:
            times.append(first)
        looks = policy.moves and someone_waits(state)
        if looks or someone_must_leave(state, now_ms):
            periods = (now_ms - state.memory.planned_ms) // policy.period_ms + 1
            times.append(state.memory.planned_ms + periods * policy.period_ms)
    times.extend(_attestation_ends(state))
    later = [time for time in times if time > now_ms]
    return min(later, default=None)


def _attestation_ends(state: State) -> list[int]:
    """Return when attestations end that confidential work relies on."""
    if not any(kind.constraints.confidential for kind in state.kinds):
        return []
    return [
        state.nodes[piece.node].spec.attested_until_ms
        for job in state.live_jobs()
        if job.spec.constraints.confidential and job.phase in {Phase.STARTING, Phase.RUNNING}
        for piece in job.slices
    ]
