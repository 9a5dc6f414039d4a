# SPDX-License-Identifier: Apache-2.0
"""Whether a job event holds.

Natural keys: the job's generation for a submission, the sequence for a change, attempt and
transition for a report.
"""

from engine.job_state import JobState
from engine.outcomes import DUPLICATE, FACT, Outcome, Parked, Rejected, reject
from engine.phases import Phase
from engine.state import State
from schemas import jobs
from schemas.ids import JobId
from schemas.reasons import Rejection

_ON_DEVICES = frozenset({Phase.RUNNING, Phase.SUSPENDING, Phase.STOPPING})


def submitted(state: State, event: jobs.JobSubmitted) -> Outcome:
    """A job needs its team; the same id means the same job."""
    spec = event.job
    known = state.jobs.get(spec.id)
    if known is not None:
        if known.spec == spec:
            return DUPLICATE
        rule = "this job id was submitted with other content; raise the generation"
        return reject(Rejection.CONFLICT, "job.generation", spec.generation, rule)
    if state.latest_generation.get(f"{spec.tenant}/{spec.name}", 0) > spec.generation:
        return DUPLICATE
    if spec.team_id not in state.teams:
        return Parked(f"team:{spec.team_id}")
    for region in spec.constraints.regions:
        if region not in state.regions:
            return Parked(f"region:{region}")
    return FACT


def cancelled(state: State, event: jobs.JobCancelled) -> Outcome:
    """A job is cancelled once, and not after its end."""
    job = state.jobs.get(event.job)
    if job is None:
        return Parked(f"job:{event.job}")
    return DUPLICATE if job.ended or job.cancelled else FACT


def changed(state: State, event: jobs.JobTierChanged | jobs.JobPriorityChanged) -> Outcome:
    """A change counts once, in the order of its sequence."""
    job = state.jobs.get(event.job)
    if job is None:
        return Parked(f"job:{event.job}")
    return DUPLICATE if job.ended or event.sequence <= job.change_sequence else FACT


def report(state: State, event: jobs.JobReport) -> Outcome:
    """A report names an attempt that is; an older attempt is late, a later one never was."""
    job = state.jobs.get(event.job)
    if job is None:
        return Parked(f"job:{event.job}")
    if event.attempt > job.attempt:
        rule = f"the last attempt of {job.id} is {job.attempt}"
        return reject(Rejection.UNKNOWN_ATTEMPT, "attempt", event.attempt, rule)
    if event.attempt < job.attempt or job.ended or not job.slices:
        return DUPLICATE
    return _transition(job, event)


def _transition(job: JobState, event: jobs.JobReport) -> Outcome:  # noqa: PLR0911  # a table
    match event:
        case jobs.JobStarted() | jobs.JobResumed():
            return FACT if job.phase is Phase.STARTING else DUPLICATE
        case jobs.JobCheckpointed():
            return _checkpoint(job, event.checkpoint, in_phases=_ON_DEVICES)
        case jobs.JobSuspended():
            return _checkpoint(job, event.checkpoint, in_phases=frozenset({Phase.SUSPENDING}))
        case jobs.JobResized():
            return _resize(job, event)
        case jobs.JobProgressed():
            return FACT if event.sequence > job.progress_sequence else DUPLICATE
        case jobs.JobStopped():
            return FACT if job.phase is Phase.STOPPING else _impossible(job, "stopped")
        case jobs.JobFailed():
            return FACT
        case jobs.JobFinished():
            return _impossible(job, "finished") if job.phase is Phase.STARTING else FACT


def _checkpoint(job: JobState, checkpoint: int, in_phases: frozenset[Phase]) -> Outcome:
    if job.phase not in in_phases:
        return _impossible(job, "checkpointed or suspended")
    return FACT if checkpoint > job.checkpoint else DUPLICATE


def _resize(job: JobState, event: jobs.JobResized) -> Outcome:
    if event.resize > job.resize_number:
        rule = f"the last resize of attempt {job.attempt} is {job.resize_number}"
        return reject(Rejection.UNKNOWN_ATTEMPT, "resize", event.resize, rule)
    if job.resize is None or event.resize < job.resize_number:
        return DUPLICATE
    if event.workers != job.resize.workers:
        rule = f"resize {event.resize} was ordered to {job.resize.workers} workers"
        return reject(Rejection.IMPOSSIBLE_TRANSITION, "workers", event.workers, rule)
    return FACT


def _impossible(job: JobState, what: str) -> Rejected:
    rule = f"{JobId(job.id)} is {job.phase.name.lower()} and cannot be {what}"
    return reject(Rejection.IMPOSSIBLE_TRANSITION, "attempt", job.attempt, rule)
