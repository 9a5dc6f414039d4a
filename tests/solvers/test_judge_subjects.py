# SPDX-License-Identifier: Apache-2.0
"""Rules on what a plan is about, each broken alone."""

import pytest
from msgspec import structs

from schemas.decisions import MigrateOrdered, ResizeOrdered, StopOrdered
from schemas.ids import NodeName
from solvers.judge import Phase, PlanRule, judge
from tests.solvers.judge_worlds import (
    POSITION,
    broken,
    jid,
    launch,
    piece,
    plan,
    running,
    suspend,
    waiting,
    world,
)

NEW = waiting("new")
OLD = running("old", piece("n1", 0, 1))


def test_a_plan_that_keeps_every_rule_is_accepted() -> None:
    """A launch onto free devices and one onto devices that their holder leaves break nothing."""
    other = waiting("other")
    swapped = launch(other, piece("n1", 0, 1), waits=[jid("old")])
    proposal = plan(suspend(OLD, other), swapped, launch(NEW, piece("n1", 2, 3)))
    assert judge(world(NEW, OLD, other), proposal) == ()


def test_a_plan_made_on_another_position_is_stale() -> None:
    """A plan holds for the position that it was made or rebased on, and for no other."""
    proposal = structs.replace(plan(launch(NEW, piece("n1", 2, 3))), cut=POSITION - 1)
    assert broken(world(NEW, OLD), proposal) == {PlanRule.STALE_VERSION}


@pytest.mark.parametrize("role", ["subject", "gainer", "holder"])
def test_every_job_that_is_named_is_known(role: str) -> None:
    """Acted on, gaining or waited for: a job that nobody knows is an error."""
    ghost = waiting("ghost")
    actions = {
        "subject": (launch(ghost, piece("n2", 0, 1)),),
        "gainer": (
            structs.replace(suspend(OLD, NEW), gains=jid("ghost")),
            launch(NEW, piece("n2", 0, 1)),
        ),
        "holder": (launch(NEW, piece("n2", 0, 1), waits=[jid("ghost")]),),
    }[role]
    found = broken(world(NEW, OLD), plan(*actions))
    assert found - {PlanRule.MOVED_IN_VAIN} == {PlanRule.UNKNOWN_JOB}


def test_every_node_that_is_named_is_known() -> None:
    """A gang cannot go to a node that nobody declared."""
    proposal = plan(launch(NEW, piece("nowhere", 0, 1)))
    assert broken(world(NEW), proposal) == {PlanRule.UNKNOWN_NODE}


def test_a_job_is_acted_on_once() -> None:
    """Two actions on one job would each be right by themselves and wrong together."""
    proposal = plan(launch(NEW, piece("n2", 0, 1)), launch(NEW, piece("n2", 2, 3)))
    assert broken(world(NEW), proposal) == {PlanRule.ACTED_TWICE}


@pytest.mark.parametrize("attempt", [0, 2])
def test_a_launch_is_of_the_next_attempt(attempt: int) -> None:
    """An attempt that was, or that skips one, is not the next."""
    action = structs.replace(launch(NEW, piece("n2", 0, 1)), attempt=attempt)
    assert broken(world(NEW), plan(action)) == {PlanRule.STALE_ATTEMPT}


def test_a_stop_is_of_the_present_attempt() -> None:
    """What is done to a gang that runs names the attempt that runs."""
    cancelled = structs.replace(OLD, cancelled=True)
    proposal = plan(StopOrdered(jid("old"), 2))
    assert broken(world(cancelled), proposal) == {PlanRule.STALE_ATTEMPT}


def test_a_resize_has_the_next_number() -> None:
    """A resize number that was used already would hide a report."""
    grown = ResizeOrdered(jid("old"), 1, 3, 2, (piece("n1", 0, 1, 2, 3),), jid("old"))
    assert broken(world(OLD), plan(grown)) == {PlanRule.STALE_RESIZE}


@pytest.mark.parametrize("phase", [p for p in Phase if p not in {Phase.QUEUED, Phase.SUSPENDED}])
def test_only_a_waiting_job_is_launched(phase: Phase) -> None:
    """A launch starts from a job that waits and holds nothing."""
    job = structs.replace(NEW, phase=phase)
    assert broken(world(job), plan(launch(job, piece("n2", 0, 1)))) == {PlanRule.WRONG_PHASE}


@pytest.mark.parametrize("what", ["suspending", "resizing", "cancelled"])
def test_only_a_settled_gang_is_migrated(what: str) -> None:
    """A gang that leaves, changes size or was cancelled is not told to go elsewhere."""
    changed = {
        "suspending": structs.replace(OLD, phase=Phase.SUSPENDING),
        "resizing": structs.replace(OLD, resizing=True),
        "cancelled": structs.replace(OLD, cancelled=True),
    }[what]
    action = MigrateOrdered(jid("old"), 1, 1, (piece("n2", 0, 1),), (), jid("old"))
    assert broken(world(changed), plan(action)) == {PlanRule.WRONG_PHASE}


def test_only_a_cancelled_gang_is_stopped() -> None:
    """Stopping loses the work since the last checkpoint, so it is for work nobody wants."""
    assert broken(world(OLD), plan(StopOrdered(jid("old"), 1))) == {PlanRule.WRONG_PHASE}
    cancelled = structs.replace(OLD, cancelled=True)
    assert judge(world(cancelled), plan(StopOrdered(jid("old"), 1))) == ()


@pytest.mark.parametrize("restorable", [True, False])
def test_a_job_resumes_exactly_when_it_can(*, restorable: bool) -> None:
    """Without a checkpoint a resume cannot start; with one, starting afresh throws work away."""
    job = structs.replace(NEW, phase=Phase.SUSPENDED, attempt=1, restorable=restorable)
    right = launch(job, piece("n2", 0, 1))
    wrong = structs.replace(right, resume=not restorable)
    assert judge(world(job), plan(right)) == ()
    assert broken(world(job), plan(wrong)) == {PlanRule.NOTHING_TO_RESUME}


def test_a_violation_names_rule_action_subject_and_numbers() -> None:
    """What the judge says can be put on a screen as it is."""
    fine = launch(waiting("fine"), piece("n3", 0, 1))
    lost = launch(NEW, structs.replace(piece("n2", 0, 1), node=NodeName("nowhere")))
    (violation,) = judge(world(NEW, waiting("fine")), plan(fine, lost))
    assert (violation.action, violation.subject) == (1, "nowhere")
    assert str(violation) == "unknown_node: acme/new@1 is placed on node nowhere, which is unknown"
