# SPDX-License-Identifier: Apache-2.0
"""What is decided of each job event in each phase, and where a fact leaves the job."""

from collections.abc import Callable
from typing import get_args

import pytest
from msgspec import structs

from engine.job_state import JobState
from engine.outcomes import DUPLICATE, FACT, Outcome
from engine.phases import Phase
from schemas import decisions, fleet, jobs, tenants
from schemas.catalogue import CATALOGUE, Event
from schemas.decisions import Slice
from schemas.ids import JobId, NodeName, RegionName
from schemas.kinds import Tier
from schemas.reasons import Rejection
from tests.engine.stage import TENANT, genesis, job
from tests.engine.telling import Refusal, Telling, matches, told
from tests.schemas.samples import SAMPLES

SPEC = job("j", 2, least=1, team="red")
JOB = SPEC.id
NODE = NodeName("a0")
GANG = (Slice(NODE, (0, 1), 1_000, 2),)
SHRUNK = (Slice(NODE, (0,), 1_000, 1),)

READY = genesis()
QUEUED = (*READY, jobs.JobSubmitted(SPEC))
STARTING = (*QUEUED, decisions.LaunchOrdered(JOB, 1, 2, GANG))
RUNNING = (*STARTING, jobs.JobStarted(JOB, 1))
SUSPENDING = (*RUNNING, decisions.SuspendOrdered(JOB, 1, JOB))
SUSPENDED = (*SUSPENDING, jobs.JobSuspended(JOB, 1, 1))
RESIZING = (*RUNNING, decisions.ResizeOrdered(JOB, 1, 1, 1, SHRUNK, JOB))
STOPPING = (*RUNNING, jobs.JobCancelled(JOB), decisions.StopOrdered(JOB, 1))
RESUMING = (*SUSPENDED, decisions.LaunchOrdered(JOB, 2, 2, GANG, (), resume=True))
FINISHED = (*RUNNING, jobs.JobFinished(JOB, 1))

REPORTS: dict[str, Callable[[JobId, int], jobs.JobReport]] = {
    "started": jobs.JobStarted,
    "resumed": lambda name, attempt: jobs.JobResumed(name, attempt, 1),
    "checkpointed": lambda name, attempt: jobs.JobCheckpointed(name, attempt, 2),
    "suspended": lambda name, attempt: jobs.JobSuspended(name, attempt, 2),
    "resized": lambda name, attempt: jobs.JobResized(name, attempt, 1, 1),
    "progressed": lambda name, attempt: jobs.JobProgressed(name, attempt, 1, 500_000),
    "failed": lambda name, attempt: jobs.JobFailed(name, attempt, retryable=True),
    "finished": jobs.JobFinished,
    "stopped": jobs.JobStopped,
}
REQUESTS: tuple[jobs.JobRequest, ...] = (
    jobs.JobCancelled(JOB),
    jobs.JobTierChanged(JOB, 1, Tier.PREMIUM),
    jobs.JobPriorityChanged(JOB, 1, 5),
)


def left(story: tuple[Event, ...], event: Event) -> JobState:
    """The job after a fact."""
    telling = Telling(*story)
    assert telling.hear(event) == FACT
    return telling.state.jobs[JOB]


# --- reports, whatever they say -------------------------------------------------------------------

every_report = pytest.mark.parametrize("name", REPORTS)


def test_every_report_is_in_the_tables_here() -> None:
    """A new kind of report is told here too."""
    told_of = {type(report(JOB, 1)) for report in REPORTS.values()}
    assert told_of == set(get_args(jobs.JobReport))


@every_report
def test_a_report_of_an_unknown_job_waits_for_it(name: str) -> None:
    """It is parked for the job."""
    assert matches(told(READY, REPORTS[name](JOB, 1)), f"job:{JOB}")


@every_report
def test_a_report_of_an_attempt_that_never_was_is_refused(name: str) -> None:
    """The refusal says what the last attempt is."""
    refusal: Refusal = (Rejection.UNKNOWN_ATTEMPT, "attempt", 2, f"last attempt of {JOB} is 1")
    assert matches(told(RUNNING, REPORTS[name](JOB, 2)), refusal)
    refusal = (Rejection.UNKNOWN_ATTEMPT, "attempt", 1, f"last attempt of {JOB} is 0")
    assert matches(told(QUEUED, REPORTS[name](JOB, 1)), refusal)


@every_report
def test_a_report_of_an_attempt_that_is_over_is_late(name: str) -> None:
    """It has no effect: not on the next attempt, not while the job waits, not after its end."""
    for story in (RESUMING, SUSPENDED, FINISHED):
        assert told(story, REPORTS[name](JOB, 1)) == DUPLICATE


# --- reports, by phase ----------------------------------------------------------------------------


def impossible(phase: str, what: str) -> Refusal:
    return Rejection.IMPOSSIBLE_TRANSITION, "attempt", 1, f"{JOB} is {phase} and cannot be {what}"


NOT_NOW = "checkpointed or suspended"


@pytest.mark.parametrize(
    ("story", "report", "expected"),
    [
        (STARTING, "started", FACT),
        (STARTING, "resumed", FACT),
        (STARTING, "failed", FACT),
        (STARTING, "progressed", FACT),
        (STARTING, "checkpointed", impossible("starting", NOT_NOW)),
        (STARTING, "suspended", impossible("starting", NOT_NOW)),
        (STARTING, "finished", impossible("starting", "finished")),
        (STARTING, "stopped", impossible("starting", "stopped")),
        (RUNNING, "started", DUPLICATE),
        (RUNNING, "resumed", DUPLICATE),
        (RUNNING, "checkpointed", FACT),
        (RUNNING, "suspended", impossible("running", NOT_NOW)),
        (RUNNING, "progressed", FACT),
        (RUNNING, "failed", FACT),
        (RUNNING, "finished", FACT),
        (RUNNING, "stopped", impossible("running", "stopped")),
        (
            RUNNING,
            "resized",
            (Rejection.UNKNOWN_ATTEMPT, "resize", 1, "the last resize of attempt 1 is 0"),
        ),
        (RESIZING, "resized", FACT),
        (RESIZING, "finished", FACT),
        (SUSPENDING, "started", DUPLICATE),
        (SUSPENDING, "checkpointed", FACT),
        (SUSPENDING, "suspended", FACT),
        (SUSPENDING, "finished", FACT),
        (SUSPENDING, "failed", FACT),
        (SUSPENDING, "stopped", impossible("suspending", "stopped")),
        (STOPPING, "started", DUPLICATE),
        (STOPPING, "checkpointed", FACT),
        (STOPPING, "suspended", impossible("stopping", NOT_NOW)),
        (STOPPING, "finished", FACT),
        (STOPPING, "stopped", FACT),
    ],
)
def test_what_a_report_counts_for_in_a_phase(
    story: tuple[Event, ...], report: str, expected: Outcome | Refusal
) -> None:
    """What cannot be is refused by phase; what can is a fact once, and then a duplicate."""
    assert matches(told(story, REPORTS[report](JOB, 1)), expected)


@pytest.mark.parametrize(
    ("story", "event", "phase"),
    [
        (READY, jobs.JobSubmitted(SPEC), Phase.QUEUED),
        (STARTING, jobs.JobStarted(JOB, 1), Phase.RUNNING),
        (STARTING, jobs.JobFailed(JOB, 1, retryable=True), Phase.QUEUED),
        (RESUMING, jobs.JobResumed(JOB, 2, 1), Phase.RUNNING),
        (RESUMING, jobs.JobFailed(JOB, 2, retryable=True), Phase.SUSPENDED),
        (RUNNING, jobs.JobCheckpointed(JOB, 1, 1), Phase.RUNNING),
        (RUNNING, jobs.JobProgressed(JOB, 1, 1, 1), Phase.RUNNING),
        (RUNNING, jobs.JobFailed(JOB, 1, retryable=True), Phase.SUSPENDED),
        (RUNNING, jobs.JobFailed(JOB, 1, retryable=False), Phase.FAILED),
        (RUNNING, jobs.JobFinished(JOB, 1), Phase.FINISHED),
        (RESIZING, jobs.JobResized(JOB, 1, 1, 1), Phase.RUNNING),
        (SUSPENDING, jobs.JobSuspended(JOB, 1, 1), Phase.SUSPENDED),
        (STOPPING, jobs.JobStopped(JOB, 1), Phase.CANCELLED),
        (QUEUED, jobs.JobCancelled(JOB), Phase.CANCELLED),
        (SUSPENDED, jobs.JobCancelled(JOB), Phase.CANCELLED),
        (RUNNING, jobs.JobCancelled(JOB), Phase.RUNNING),
    ],
)
def test_where_a_fact_leaves_its_job(story: tuple[Event, ...], event: Event, phase: Phase) -> None:
    """A job is in the phase that follows; it holds devices exactly while it is on them."""
    found = left(story, event)
    assert found.phase is phase
    assert bool(found.slices) == (phase is Phase.RUNNING)
    assert found.workers == sum(piece.workers for piece in found.slices)


def test_a_checkpoint_counts_once_and_in_order() -> None:
    """Numbers rise per job, over attempts; a lower or equal one is late."""
    telling = Telling(*RUNNING)
    assert telling.hear(jobs.JobCheckpointed(JOB, 1, 3)) == FACT
    assert telling.hear(jobs.JobCheckpointed(JOB, 1, 2)) == DUPLICATE
    telling.happen(decisions.SuspendOrdered(JOB, 1, JOB))
    assert telling.hear(jobs.JobSuspended(JOB, 1, 3)) == DUPLICATE
    assert telling.hear(jobs.JobSuspended(JOB, 1, 4)) == FACT
    telling.happen(decisions.LaunchOrdered(JOB, 2, 2, GANG, (), resume=True))
    telling.happen(jobs.JobResumed(JOB, 2, 4))
    assert telling.hear(jobs.JobCheckpointed(JOB, 2, 4)) == DUPLICATE
    assert telling.hear(jobs.JobCheckpointed(JOB, 2, 5)) == FACT


def test_progress_counts_in_the_order_of_its_sequence() -> None:
    """What is late does not set a job back."""
    telling = Telling(*RUNNING)
    assert telling.hear(jobs.JobProgressed(JOB, 1, 5, 800_000)) == FACT
    assert telling.hear(jobs.JobProgressed(JOB, 1, 4, 100_000)) == DUPLICATE
    assert telling.state.jobs[JOB].progress_ppm == 800_000


def test_a_resize_is_reported_as_it_was_ordered() -> None:
    """Another number of workers is refused, an earlier resize is late, a later one never was."""
    workers: Refusal = (
        Rejection.IMPOSSIBLE_TRANSITION,
        "workers",
        2,
        "resize 1 was ordered to 1 workers",
    )
    assert matches(told(RESIZING, jobs.JobResized(JOB, 1, 1, 2)), workers)
    later: Refusal = (
        Rejection.UNKNOWN_ATTEMPT,
        "resize",
        2,
        "the last resize of attempt 1 is 1",
    )
    assert matches(told(RESIZING, jobs.JobResized(JOB, 1, 2, 1)), later)
    again = (*RESIZING, jobs.JobResized(JOB, 1, 1, 1))
    again = (*again, decisions.ResizeOrdered(JOB, 1, 2, 2, GANG, JOB))
    assert told(again, jobs.JobResized(JOB, 1, 1, 1)) == DUPLICATE
    assert left(again, jobs.JobResized(JOB, 1, 2, 2)).slices == GANG


# --- requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", REQUESTS, ids=lambda event: type(event).__name__)
def test_a_request_about_a_job(event: jobs.JobRequest) -> None:
    """It waits for its job, counts while the job lives, and not after its end."""
    assert matches(told(READY, event), f"job:{JOB}")
    for story in (QUEUED, RUNNING, SUSPENDED):
        assert told(story, event) == FACT
    assert told(FINISHED, event) == DUPLICATE


def test_changes_count_in_the_order_of_the_sequence_they_share() -> None:
    """Tier and priority have one sequence: a late change of either has no effect."""
    telling = Telling(*QUEUED)
    assert telling.hear(jobs.JobPriorityChanged(JOB, 5, 9)) == FACT
    assert telling.hear(jobs.JobTierChanged(JOB, 4, Tier.PREMIUM)) == DUPLICATE
    assert telling.hear(jobs.JobTierChanged(JOB, 6, Tier.PREMIUM)) == FACT
    found = telling.state.jobs[JOB]
    assert (found.priority, found.tier) == (9, Tier.PREMIUM)


def test_a_submission() -> None:
    """The same id means the same job, whether it lives or is over; a lower generation is late."""
    other = structs.replace(SPEC, priority=7)
    conflict: Refusal = (Rejection.CONFLICT, "job.generation", 1, "submitted with other content")
    for story in (QUEUED, RUNNING, FINISHED):
        assert told(story, jobs.JobSubmitted(SPEC)) == DUPLICATE
        assert matches(told(story, jobs.JobSubmitted(other)), conflict)
    third = (*READY, jobs.JobSubmitted(structs.replace(SPEC, generation=3)))
    assert told(third, jobs.JobSubmitted(structs.replace(SPEC, generation=2))) == DUPLICATE
    assert told(third, jobs.JobSubmitted(structs.replace(SPEC, generation=4))) == FACT


def test_a_submission_waits_for_its_team_and_its_regions() -> None:
    """What a job names must be known."""
    stranger = structs.replace(SPEC, team="green")
    assert matches(told(READY, jobs.JobSubmitted(stranger)), f"team:{TENANT}/green")
    far = structs.replace(SPEC.constraints, regions=(RegionName("r"), RegionName("far")))
    abroad = jobs.JobSubmitted(structs.replace(SPEC, constraints=far))
    assert matches(told(READY, abroad), "region:far")
    story = (*READY, fleet.RegionDeclared(fleet.Region(RegionName("far"), 1)))
    assert told(story, abroad) == FACT


# --- what upstream may not say --------------------------------------------------------------------

_MINE = (fleet, tenants, jobs)


@pytest.mark.parametrize(
    "event",
    [
        SAMPLES[entry.event]
        for entry in CATALOGUE
        if entry.event.__module__ not in {module.__name__ for module in _MINE}
        or entry.event is fleet.NodeHeartbeat
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_only_the_engine_says_or_nobody_serves_is_refused(event: Event) -> None:
    """Decisions, policy, rules, serving and raw events change nothing here, whoever sends them."""
    decided = type(event).__module__ == decisions.__name__
    rejection = Rejection.NOT_AUTHORISED if decided else Rejection.NOT_SERVED
    ce_type = next(entry.ce_type for entry in CATALOGUE if entry.event is type(event))
    assert matches(told(RUNNING, event), (rejection, "ce_type", ce_type, ""))
