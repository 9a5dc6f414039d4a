# SPDX-License-Identifier: Apache-2.0
"""A job's accounts: work done, device time due and received, and when its promise would break.

`work` is all device time in which the job made progress; `time.received` counts it only up to what
is due, so that an elastic job above its minimum cannot hide a suspension.
"""

from engine.device_time import NEVER_MS
from engine.job_state import JobState
from engine.phases import Phase
from engine.state import State
from schemas.kinds import Tier


def settle(state: State, job: JobState, now_ms: int) -> None:
    """Bring the job's accounts and its tier's totals up to `now_ms`."""
    job.work += job.progress_milli * (now_ms - job.work_since_ms)
    job.work_since_ms = now_ms
    _add(state, job, job.time.settle(now_ms))


def set_progress(state: State, job: JobState, now_ms: int, progress_milli: int) -> None:
    """Settle, then go on with this many thousandths of devices making progress."""
    job.work += job.progress_milli * (now_ms - job.work_since_ms)
    job.work_since_ms = now_ms
    job.progress_milli = progress_milli
    due = received = 0
    if job.first_started_ms and not job.ended:
        due = job.spec.workers_min * job.worker_milli
        received = min(progress_milli, due)
    _add(state, job, job.time.set_rates(now_ms, due, received))
    job.breach_ms = NEVER_MS
    if received < due:
        job.breach_ms = job.time.breach_ms(now_ms, promise_ppm(state, job.tier))


def _add(state: State, job: JobState, added: tuple[int, int]) -> None:
    totals = state.tiers[job.tier]
    totals.due += added[0]
    totals.received += added[1]


def promise_ppm(state: State, tier: Tier) -> int:
    """Return the device fraction promised to a tier per rolling hour, in millionths; 0 for none."""
    if state.policy is None:
        return 0
    return next((t.promise_ppm for t in state.policy.tiers if t.tier == tier), 0)


def lose_work(state: State, job: JobState) -> None:
    """Fall back to the last checkpoint; what came after it is lost."""
    lost = job.work - job.checkpointed_work
    job.work = job.checkpointed_work
    job.lost_work += lost
    state.tiers[job.tier].lost_work += lost


def end(state: State, job: JobState, phase: Phase, now_ms: int) -> None:
    """Close the job's accounts: it is over."""
    job.phase, job.phase_since_ms, job.ended_ms = phase, now_ms, now_ms
    state.live.pop(job.id, None)
    set_progress(state, job, now_ms, 0)
    totals = state.tiers[job.tier]
    totals.ended += 1
    totals.failed += phase is Phase.FAILED
