# SPDX-License-Identifier: Apache-2.0
"""How jobs take and give back devices: the only code that changes the node table's free amounts.

`NodeTable` counts what is neither held nor claimed. A claim subtracts at once, turning it into a
holding changes nothing, a release adds back: so a device that waits for its holder's release is
never promised again.
"""

from engine.job_state import Claim, JobState, Resize
from engine.phases import Phase
from engine.slices import added
from engine.state import State
from schemas.decisions import Slice
from schemas.directives import LaunchDirective
from schemas.ids import JobId
from schemas.jobs import WorkerShape
from schemas.reasons import Reason

_PLACED: str = Reason.PLACED.value


def account(state: State, piece: Slice, shape: WorkerShape, sign: int) -> None:
    """Add a slice's amounts to its node's free amounts (`sign` 1) or take them out (-1)."""
    table = state.node_table
    row = state.nodes[piece.node].row
    milli = table.milli[row]
    for slot in piece.slots:
        milli[slot] += sign * piece.milli
    workers = sign * piece.workers
    host = table.host[row]
    host[0] += workers * shape.cpu_milli
    host[1] += workers * shape.memory_mib
    if shape.storage_mbps or shape.network_mbps:
        host[2] += workers * shape.storage_mbps
        host[3] += workers * shape.network_mbps


def promise(state: State, job: JobState, claim: Claim) -> None:
    """Put devices aside for the job's next attempt."""
    job.claim = claim
    for piece in claim.slices:
        account(state, piece, job.spec.worker, -1)
        state.nodes[piece.node].claimants[job.id] = piece
    for holder in claim.waits_for:
        state.waiters.setdefault(holder, {})[job.id] = None


def forget_claim(state: State, job: JobState) -> None:
    """Give up what was put aside for the job's next attempt."""
    claim = job.claim
    if claim is None:
        return
    for piece in claim.slices:
        account(state, piece, job.spec.worker, 1)
        del state.nodes[piece.node].claimants[job.id]
    for holder in claim.waits_for:
        _stop_waiting(state, holder, job.id)
    job.claim = None


def _stop_waiting(state: State, holder: JobId, claimant: JobId) -> None:
    waiting = state.waiters.get(holder)
    if waiting is not None:
        waiting.pop(claimant, None)
        if not waiting:
            del state.waiters[holder]


def take(state: State, job: JobState, now_ms: int) -> None:
    """Turn the job's claim into a holding and start its attempt."""
    claim = job.claim
    if claim is None:
        return
    for piece in claim.slices:
        node = state.nodes[piece.node]
        del node.claimants[job.id]
        node.holders[job.id] = piece
    resume = job.first_started_ms > 0
    job.claim = None
    job.attempt, job.workers, job.slices = claim.attempt, claim.workers, claim.slices
    job.resize_number = 0
    enter(job, Phase.STARTING, now_ms)
    job.reason = _PLACED
    state.directives.append(
        LaunchDirective(
            job.id, job.attempt, job.workers, job.slices, resume, job.checkpoint, state.head
        )
    )


def release(state: State, job: JobState, now_ms: int) -> None:
    """Give back all that the job holds; who waited for it may start."""
    drop_resize(state, job)
    for piece in job.slices:
        account(state, piece, job.spec.worker, 1)
        del state.nodes[piece.node].holders[job.id]
    job.slices, job.workers = (), 0
    notify_waiters(state, job.id, now_ms)


def grow(state: State, job: JobState, slices: tuple[Slice, ...]) -> None:
    """Take what a growing gang needs beyond what it holds."""
    for piece in added(job.slices, slices):
        account(state, piece, job.spec.worker, -1)
        state.nodes[piece.node].growths[job.id] = piece


def drop_resize(state: State, job: JobState) -> None:
    """Give up a resize that was ordered and will not be reported any more."""
    if job.resize is not None:
        for piece in added(job.slices, job.resize.slices):
            if state.nodes[piece.node].growths.pop(job.id, None) is not None:
                account(state, piece, job.spec.worker, 1)
    job.resize = None


def hold_resized(state: State, job: JobState, resize: Resize) -> None:
    """Hold what a resize was ordered to; what a shrink freed is given back."""
    if resize.workers > job.workers:
        for piece in added(job.slices, resize.slices):
            del state.nodes[piece.node].growths[job.id]
    else:
        for piece in job.slices:
            account(state, piece, job.spec.worker, 1)
        for piece in resize.slices:
            account(state, piece, job.spec.worker, -1)
    name_holder(state, job, resize.slices)
    job.workers, job.resize = resize.workers, None


def name_holder(state: State, job: JobState, slices: tuple[Slice, ...]) -> None:
    """Name the job on the nodes of `slices` instead of those it was named on."""
    for piece in job.slices:
        state.nodes[piece.node].holders.pop(job.id, None)
    for piece in slices:
        state.nodes[piece.node].holders[job.id] = piece
    job.slices = slices


def name_on_nodes(state: State, job: JobState) -> None:
    """Name a job on the nodes of all that it holds, claims and grows into."""
    for piece in job.slices:
        state.nodes[piece.node].holders[job.id] = piece
    for piece in job.claim.slices if job.claim is not None else ():
        state.nodes[piece.node].claimants[job.id] = piece
    if job.resize is not None and job.resize.workers > job.workers:
        for piece in added(job.slices, job.resize.slices):
            state.nodes[piece.node].growths[job.id] = piece


def notify_waiters(state: State, released: JobId, now_ms: int) -> None:
    """Tell the claims that waited for `released`; a claim that waits for nobody else starts."""
    for claimant in tuple(state.waiters.pop(released, ())):
        job = state.jobs[claimant]
        claim = job.claim
        if claim is None:
            continue
        rest = tuple(holder for holder in claim.waits_for if holder != released)
        job.claim = Claim(claim.attempt, claim.workers, claim.slices, rest)
        touch(state, job)
        if not rest and job.phase is Phase.CLAIMED:
            take(state, job, now_ms)


def touch(state: State, job: JobState) -> None:
    """Note that a job changed: its part of the digest, and its row of the table."""
    state.dirty[job.key] = None
    state.stale[job.id] = None


def enter(job: JobState, phase: Phase, now_ms: int) -> None:
    """Move a job to a phase."""
    job.phase = phase
    job.phase_since_ms = now_ms
