# SPDX-License-Identifier: Apache-2.0
"""How each decision of the engine changes the state."""

from engine import progress
from engine.holdings import drop_resize, enter, grow, promise, take, touch
from engine.job_state import Claim, JobState, Resize
from engine.phases import Phase
from engine.rules import RULES
from engine.state import State
from schemas import decisions
from schemas.directives import ResizeDirective, StopDirective, SuspendDirective
from schemas.errors import UnknownEventError
from schemas.ids import JobId
from schemas.reasons import Reason
from schemas.records import Record


def cycle_opened(state: State, record: Record, event: decisions.CycleOpened) -> None:
    """A batch begins; until its commit no moment is a valid cut."""
    state.open_cycle = True
    state.cycle_due = False
    state.memory.cycle, state.memory.planned_ms = event.cycle, record.recorded_ms
    state.dirty["memory:"] = None


def plan_committed(state: State, record: Record, event: decisions.PlanCommitted) -> None:
    """The batch is whole; the planner's memory is what it says."""
    state.open_cycle = False
    if event.full_solve:
        state.memory.solved_ms = record.recorded_ms
    state.memory.prices, state.memory.price_keys = event.prices, event.price_keys
    state.dirty["memory:"] = None


def launch_ordered(state: State, record: Record, event: decisions.LaunchOrdered) -> None:
    """The job claims its devices, and starts at once where nobody holds them."""
    job = state.jobs[event.job]
    _claim(state, job, event.attempt, event.workers, event.slices, event.waits_for)
    claim = job.claim
    if claim is not None and claim.waits_for:
        enter(job, Phase.CLAIMED, record.recorded_ms)
        job.reason = Reason.WAITING_FOR_RELEASE.value
    else:
        take(state, job, record.recorded_ms)
    touch(state, job)


def _claim(  # the fields of an order
    state: State,
    job: JobState,
    attempt: int,
    workers: int,
    slices: tuple[decisions.Slice, ...],
    waits_for: tuple[JobId, ...],
) -> None:
    waits = tuple(holder for holder in waits_for if state.jobs[holder].releasing)
    promise(state, job, Claim(attempt, workers, slices, waits))


def suspend_ordered(state: State, record: Record, event: decisions.SuspendOrdered) -> None:
    """The gang makes no more progress; it holds its devices until it reports its release."""
    job = state.jobs[event.job]
    _stop_progress(state, job, Phase.SUSPENDING, record.recorded_ms)
    job.moves += 1
    state.tiers[job.tier].moves += 1
    job.reason = Reason.DISPLACED.value
    state.directives.append(SuspendDirective(job.id, job.attempt, state.head))
    touch(state, job)


def migrate_ordered(state: State, record: Record, event: decisions.MigrateOrdered) -> None:
    """The gang leaves for devices elsewhere, which its next attempt claims."""
    job = state.jobs[event.job]
    _stop_progress(state, job, Phase.SUSPENDING, record.recorded_ms)
    job.moves += 1
    state.tiers[job.tier].moves += 1
    job.reason = Reason.WAITING_FOR_RELEASE.value
    _claim(state, job, event.attempt + 1, event.workers, event.slices, event.waits_for)
    state.directives.append(SuspendDirective(job.id, job.attempt, state.head))
    touch(state, job)


def _stop_progress(state: State, job: JobState, phase: Phase, now_ms: int) -> None:
    enter(job, phase, now_ms)
    job.stopped_ms = now_ms
    progress.set_progress(state, job, now_ms, 0)


def resize_ordered(state: State, record: Record, event: decisions.ResizeOrdered) -> None:
    """The gang will go on with another number of workers; growth takes its devices at once."""
    job = state.jobs[event.job]
    job.resize = Resize(event.resize, event.workers, event.slices)
    job.resize_number = event.resize
    if event.workers > job.workers:
        grow(state, job, event.slices)
    else:
        job.moves += 1
        state.tiers[job.tier].moves += 1
    if not state.rules.resize_counts_as_progress:
        progress.set_progress(state, job, record.recorded_ms, 0)
    state.directives.append(
        ResizeDirective(job.id, job.attempt, event.resize, event.workers, event.slices, state.head)
    )
    touch(state, job)


def stop_ordered(state: State, record: Record, event: decisions.StopOrdered) -> None:
    """A cancelled gang is told to give its devices up."""
    job = state.jobs[event.job]
    drop_resize(state, job)
    _stop_progress(state, job, Phase.STOPPING, record.recorded_ms)
    state.cancelled_holding.pop(job.id, None)
    state.directives.append(StopDirective(job.id, job.attempt, state.head))
    touch(state, job)


def verdict_reached(state: State, _: Record, event: decisions.VerdictReached) -> None:
    """Why the job does not run."""
    job = state.jobs[event.job]
    job.reason = event.reason
    touch(state, job)


def action_dropped(state: State, _: Record, event: decisions.ActionDropped) -> None:
    """An action that did not hold at the head; the next cycle plans again."""
    state.cycle_due = True
    state.dirty[f"job:{event.job}"] = None


def policy_activated(state: State, _: Record, event: decisions.PolicyActivated) -> None:
    """Planning follows this policy from here on."""
    state.policy = event.policy
    state.cycle_due = True
    state.dirty["policy:"] = None


def rules_activated(state: State, _: Record, event: decisions.RulesActivated) -> None:
    """Records mean what this version says from here on."""
    rules = RULES.get(event.rules)
    if rules is None:
        msg = f"rules version {event.rules} is not known to this build (it knows {sorted(RULES)})"
        raise UnknownEventError(msg)
    state.rules = rules
    state.dirty["policy:"] = None


def event_parked(state: State, record: Record, event: decisions.EventParked) -> None:
    """Keep an event that came before what it names."""
    state.parked[record.position] = event
    state.waiting_events.setdefault(event.waits_for, {})[record.position] = None
    state.dirty[f"parked:{record.position}"] = None


def parked_released(state: State, _: Record, event: decisions.ParkedReleased) -> None:
    """A parked event was admitted or refused; either way it waits no more."""
    parked = state.parked.pop(event.parked)
    waiting = state.waiting_events[parked.waits_for]
    del waiting[event.parked]
    if not waiting:
        del state.waiting_events[parked.waits_for]
    state.dirty[f"parked:{event.parked}"] = None
