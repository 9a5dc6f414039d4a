# SPDX-License-Identifier: Apache-2.0
"""How each job event changes the state.

Every function is total over facts that `decide` admitted.
"""

from engine import progress
from engine.holdings import (
    drop_resize,
    enter,
    forget_claim,
    hold_resized,
    notify_waiters,
    release,
    take,
    touch,
)
from engine.job_state import JobState
from engine.phases import HOLDING, Phase
from engine.state import Kind, State
from schemas import jobs
from schemas.directives import StopDirective
from schemas.records import Record


def submitted(state: State, record: Record, event: jobs.JobSubmitted) -> None:
    """Queue a new job."""
    spec = event.job
    job = JobState(spec, record.position, record.recorded_ms, state.rules.unseen.value)
    job.work_since_ms = job.time.since_ms = record.recorded_ms
    job.team_index = state.index("team", spec.team_id)
    job.kind_index = state.kind_index(Kind(spec.worker, spec.constraints, spec.workload_class))
    state.jobs[job.id] = job
    state.latest_generation[f"{spec.tenant}/{spec.name}"] = spec.generation
    state.live[job.id] = job
    state.cycle_due = True
    touch(state, job)


def cancelled(state: State, record: Record, event: jobs.JobCancelled) -> None:
    """End a job that holds nothing; one that runs is stopped by the next plan.

    One that is already giving up its devices ends when it has.
    """
    job = state.jobs[event.job]
    job.cancelled = True
    forget_claim(state, job)
    if job.phase not in HOLDING:
        progress.end(state, job, Phase.CANCELLED, record.recorded_ms)
    elif job.phase in {Phase.STARTING, Phase.RUNNING}:
        state.cancelled_holding[job.id] = None
    state.cycle_due = True
    touch(state, job)


def tier_changed(state: State, record: Record, event: jobs.JobTierChanged) -> None:
    """Give the job another tier; what it received so far stays counted where it was."""
    job = state.jobs[event.job]
    progress.settle(state, job, record.recorded_ms)
    job.tier, job.change_sequence = event.tier, event.sequence
    progress.set_progress(state, job, record.recorded_ms, job.progress_milli)
    state.cycle_due = True
    touch(state, job)


def priority_changed(state: State, _: Record, event: jobs.JobPriorityChanged) -> None:
    """Give the job another priority."""
    job = state.jobs[event.job]
    job.priority, job.change_sequence = event.priority, event.sequence
    state.cycle_due = True
    touch(state, job)


def started(state: State, record: Record, event: jobs.JobStarted) -> None:
    """The attempt makes progress, from nothing."""
    job = state.jobs[event.job]
    if not job.first_started_ms:
        job.first_started_ms = record.recorded_ms
        totals = state.tiers[job.tier]
        totals.launches += 1
        totals.waited_ms += record.recorded_ms - job.submitted_ms
    _run(state, job, record.recorded_ms)


def resumed(state: State, record: Record, event: jobs.JobResumed) -> None:
    """The attempt makes progress, from a checkpoint."""
    job = state.jobs[event.job]
    gap_ms = record.recorded_ms - job.stopped_ms
    job.suspended_ms += gap_ms
    state.tiers[job.tier].suspended_ms += gap_ms
    _run(state, job, record.recorded_ms)


def _run(state: State, job: JobState, now_ms: int) -> None:
    enter(job, Phase.RUNNING, now_ms)
    progress.set_progress(state, job, now_ms, job.workers * job.worker_milli)
    touch(state, job)


def checkpointed(state: State, record: Record, event: jobs.JobCheckpointed) -> None:
    """Work up to now is safe."""
    job = state.jobs[event.job]
    progress.settle(state, job, record.recorded_ms)
    job.checkpoint, job.checkpointed_work = event.checkpoint, job.work
    touch(state, job)


def suspended(state: State, record: Record, event: jobs.JobSuspended) -> None:
    """The attempt is checkpointed and has released; a migration goes on to its next attempt."""
    job = state.jobs[event.job]
    progress.settle(state, job, record.recorded_ms)
    job.checkpoint, job.checkpointed_work = event.checkpoint, job.work
    _leave(state, job, record.recorded_ms)


def _leave(state: State, job: JobState, now_ms: int) -> None:
    """Release all, then take the claim if there is one, or wait."""
    progress.set_progress(state, job, now_ms, 0)
    release(state, job, now_ms)
    state.cancelled_holding.pop(job.id, None)
    if job.cancelled:
        progress.end(state, job, Phase.CANCELLED, now_ms)
    elif job.claim is None:
        enter(job, Phase.SUSPENDED if job.first_started_ms else Phase.QUEUED, now_ms)
    else:
        enter(job, Phase.CLAIMED, now_ms)
        if not job.claim.waits_for:
            take(state, job, now_ms)
    state.cycle_due = True
    touch(state, job)


def resized(state: State, record: Record, event: jobs.JobResized) -> None:
    """The gang runs with another number of workers; what a shrink freed is given back."""
    job = state.jobs[event.job]
    resize = job.resize
    if resize is None:
        return
    now_ms = record.recorded_ms
    shrunk = resize.workers < job.workers
    hold_resized(state, job, resize)
    progress.set_progress(state, job, now_ms, job.workers * job.worker_milli)
    if shrunk:
        notify_waiters(state, job.id, now_ms)
        state.cycle_due = True
    touch(state, job)


def progressed(state: State, _: Record, event: jobs.JobProgressed) -> None:
    """Note how far the job says that it is."""
    job = state.jobs[event.job]
    job.progress_sequence, job.progress_ppm = event.sequence, event.progress_ppm
    touch(state, job)


def failed(state: State, record: Record, event: jobs.JobFailed) -> None:
    """The gang died and released; a retryable job goes back to its last checkpoint."""
    job = state.jobs[event.job]
    progress.settle(state, job, record.recorded_ms)
    job.failures += 1
    if event.retryable:
        progress.lose_work(state, job)
        if job.phase is Phase.RUNNING:
            job.stopped_ms = record.recorded_ms
        job.reason = state.rules.unseen.value
        _leave(state, job, record.recorded_ms)
        return
    _finish(state, job, Phase.FAILED, record.recorded_ms)


def finished(state: State, record: Record, event: jobs.JobFinished) -> None:
    """The gang is done and has released."""
    _finish(state, state.jobs[event.job], Phase.FINISHED, record.recorded_ms)


def _finish(state: State, job: JobState, phase: Phase, now_ms: int) -> None:
    forget_claim(state, job)
    release(state, job, now_ms)
    progress.end(state, job, phase, now_ms)
    state.cancelled_holding.pop(job.id, None)
    state.cycle_due = True
    touch(state, job)


def stopped(state: State, record: Record, event: jobs.JobStopped) -> None:
    """The gang has released after a stop.

    Cancelled for good, or failed over to its last checkpoint.
    """
    job = state.jobs[event.job]
    _leave(state, job, record.recorded_ms)


def fail_over(state: State, job: JobState, now_ms: int) -> None:
    """The gang lost a node: what is left of it is told to stop.

    It resumes from its last checkpoint.
    """
    if job.phase is Phase.STOPPING:
        return
    progress.settle(state, job, now_ms)
    progress.lose_work(state, job)
    if job.phase is Phase.RUNNING:
        job.stopped_ms = now_ms
    job.failures += 1
    drop_resize(state, job)
    forget_claim(state, job)
    progress.set_progress(state, job, now_ms, 0)
    enter(job, Phase.STOPPING, now_ms)
    job.reason = state.rules.unseen.value
    state.directives.append(StopDirective(job.id, job.attempt, state.head))
    touch(state, job)
