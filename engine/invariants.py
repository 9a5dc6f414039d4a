# SPDX-License-Identifier: Apache-2.0
"""What must hold after every record.

Checked in tests and simulations after each one; costs O(state).
"""

from collections.abc import Iterable, Iterator

import numpy as np

from engine.job_state import JobState
from engine.phases import ENDED, HOLDING, WAITING, Phase
from engine.state import NodeState, State
from engine.table_rows import current_rows
from engine.tables import COLUMN, MAX_SLOTS
from schemas.decisions import Slice

DEVICE_MILLI = 1000


def broken(state: State) -> tuple[str, ...]:
    """Return a sentence for each invariant that does not hold; empty when all do."""
    current_rows(state)
    return (
        *(line for job in state.jobs.values() for line in _job(state, job)),
        *(line for node in state.nodes.values() for line in _node(state, node)),
        *_table(state),
        *_waiters(state),
    )


def _job(state: State, job: JobState) -> Iterator[str]:
    name = f"job {job.id} ({job.phase.name})"
    if (job.phase in HOLDING) != bool(job.slices):
        yield f"{name} holds {len(job.slices)} slices"
    if job.slices and sum(s.workers for s in job.slices) != job.workers:
        yield f"{name} is a gang of {job.workers} workers, of which its slices hold others"
    if job.slices and not job.spec.workers_min <= job.workers <= job.spec.workers_max:
        yield f"{name} runs with {job.workers} workers"
    if job.phase is Phase.CLAIMED and (job.claim is None or not job.claim.waits_for):
        yield f"{name} has nothing to wait for"
    if job.claim is not None and job.phase not in {Phase.CLAIMED, Phase.SUSPENDING}:
        yield f"{name} has a claim"
    if job.phase in ENDED and (job.row != -1 or job.claim is not None):
        yield f"{name} is over and still in the way"
    if job.work < 0 or job.lost_work < 0 or job.time.received > job.time.due:
        yield f"{name} has accounts that cannot be"
    for piece in job.slices:
        if state.nodes[piece.node].holders.get(job.id) != piece:
            yield f"{name} holds {piece}, which its node does not know"


def _node(state: State, node: NodeState) -> Iterator[str]:
    name = f"node {node.spec.name}"
    row = state.node_table.milli[node.row]
    held, claimed = _per_slot(node.holders.values()), _per_slot(node.claimants.values())
    growing = _per_slot(node.growths.values())
    for slot in range(node.spec.devices):
        capacity = 0 if slot in node.unusable else DEVICE_MILLI
        used, promised = held.get(slot, 0), claimed.get(slot, 0)
        if used > DEVICE_MILLI or promised > DEVICE_MILLI:
            yield f"{name} slot {slot} is promised twice: {used} held, {promised} claimed"
        left = capacity - used - promised - growing.get(slot, 0)
        if int(row[slot]) != left:
            yield f"{name} slot {slot} counts {int(row[slot])} free where {left} are"
    if int((row[node.spec.devices : MAX_SLOTS] != -1).sum()) and not node.holders:
        yield f"{name} counts slots that it does not have"
    for job in node.growths:
        if state.jobs[job].resize is None:
            yield f"{name} grows {job}, which does not know"
    for job, piece in node.holders.items():
        if piece not in state.jobs[job].slices:
            yield f"{name} is held by {job}, which does not know"


def _per_slot(pieces: Iterable[Slice]) -> dict[int, int]:
    used: dict[int, int] = {}
    for piece in pieces:
        for slot in piece.slots:
            used[slot] = used.get(slot, 0) + piece.milli
    return used


def _table(state: State) -> Iterator[str]:
    values = current_rows(state)
    live = [job for job in state.jobs.values() if not job.ended]
    if int((values[:, 0] >= 0).sum()) != len(live):
        yield f"the table has {int((values[:, 0] >= 0).sum())} rows for {len(live)} live jobs"
    for job in live:
        row = values[job.row]
        if row[0] != job.position or row[COLUMN["phase"]] != job.phase:
            yield f"the row of job {job.id} is out of date: {np.array2string(row)}"
    phases, workers = values[:, COLUMN["phase"]], values[:, COLUMN["workers"]]
    waiting = np.flatnonzero(np.isin(phases, sorted(WAITING))).tolist()
    if waiting != sorted(state.job_table.waiting):
        yield f"rows {waiting} wait, and the table notes {sorted(state.job_table.waiting)}"
    growable = np.flatnonzero(workers < values[:, COLUMN["workers_max"]]).tolist()
    if growable != sorted(state.job_table.growable):
        yield f"rows {growable} could grow, and {sorted(state.job_table.growable)} are noted"


def _waiters(state: State) -> Iterator[str]:
    for holder, claimants in state.waiters.items():
        if not state.jobs[holder].releasing:
            yield f"{sorted(claimants)} wait for {holder}, which releases nothing"
        for claimant in claimants:
            claim = state.jobs[claimant].claim
            if claim is None or holder not in claim.waits_for:
                yield f"{claimant} is said to wait for {holder} and does not"
