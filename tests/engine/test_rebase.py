# SPDX-License-Identifier: Apache-2.0
"""A plan meets what happened since its cut: what no longer holds falls, with what built on it."""

from engine.invariants import broken
from engine.judging import judge_plan
from engine.minutes import minutes
from engine.phases import Phase
from engine.planning import Plan, plan
from engine.rebase import Rebased, rebase
from engine.snapshot import cut
from schemas import fleet, jobs
from schemas.catalogue import Event
from schemas.decisions import LaunchOrdered, SuspendOrdered
from schemas.ids import NodeName
from schemas.kinds import NodeHealth, Tier
from schemas.reasons import Drop
from tests.engine.stage import Stage, genesis, job

HOUR_MS = 3_600_000
MINE = job("mine", 4, tier=Tier.PREMIUM, team="red")


def pending_plan() -> tuple[Stage, Plan]:
    """A full fleet, a premium newcomer, and the plan for it, not recorded yet."""
    stage = Stage()
    stage.tell(*genesis(reserved=4))
    stage.submit(*(job(f"old{i}", 4) for i in range(4)))
    stage.wait(3 * HOUR_MS)
    happen(stage, jobs.JobSubmitted(MINE))
    return stage, plan(cut(stage.state, stage.now_ms))


def happen(stage: Stage, *events: Event) -> None:
    """Record facts without a cycle, as they come while a plan is being made."""
    for event in events:
        stage.host.record_own(event, stage.now_ms)
    assert broken(stage.state) == ()


def carried_out(stage: Stage, made: Plan, rebased: Rebased) -> None:
    """Record what is left of a plan: the judge accepts it and the state stays sound."""
    assert judge_plan(stage.state, made, rebased, stage.now_ms) == ()
    for entry in minutes(stage.state, made, rebased, b"", "test"):
        stage.host.record_own(entry.event, stage.now_ms, entry.cause)
    assert broken(stage.state) == ()


def test_a_plan_for_an_unchanged_head_is_applied_whole() -> None:
    """With nothing in between, nothing is dropped."""
    stage, made = pending_plan()
    assert [type(action) for action in made.actions] == [SuspendOrdered, LaunchOrdered]
    assert rebase(stage.state, made) == Rebased(made.actions, (), made.verdicts)
    carried_out(stage, made, rebase(stage.state, made))


def test_a_cancelled_newcomer_takes_its_moves_with_it() -> None:
    """Nobody is suspended for a job that is gone."""
    stage, made = pending_plan()
    happen(stage, jobs.JobCancelled(MINE.id))
    rebased = rebase(stage.state, made)
    assert rebased.applied == ()
    reasons = {drop.action: drop.reason for drop in rebased.dropped}
    assert reasons["LaunchOrdered"] == Drop.SUBJECT_CHANGED
    assert reasons["SuspendOrdered"] == Drop.DEPENDS_ON_DROPPED
    carried_out(stage, made, rebased)


def test_a_launch_falls_with_the_suspension_that_made_its_room() -> None:
    """The victim was cancelled meanwhile: the move no longer holds, nor what waited for it."""
    stage, made = pending_plan()
    victim = made.actions[0].job
    happen(stage, jobs.JobCancelled(victim))
    rebased = rebase(stage.state, made)
    reasons = {drop.job: drop.reason for drop in rebased.dropped}
    assert reasons[victim] == Drop.SUBJECT_CHANGED
    assert reasons[MINE.id] == Drop.DEPENDS_ON_DROPPED
    assert rebased.applied == ()
    carried_out(stage, made, rebased)


def test_devices_of_a_node_that_fell_ill_are_no_longer_there() -> None:
    """A launch onto a node that was quarantined since is dropped."""
    stage, made = pending_plan()
    launch = made.actions[-1]
    assert isinstance(launch, LaunchOrdered)
    node = NodeName(launch.slices[0].node)
    happen(stage, fleet.NodeHealthReported(node, 1, NodeHealth.QUARANTINED))
    rebased = rebase(stage.state, made)
    assert MINE.id in {drop.job for drop in rebased.dropped}
    assert not any(isinstance(action, LaunchOrdered) for action in rebased.applied)
    carried_out(stage, made, rebased)


def test_an_unrelated_change_drops_nothing() -> None:
    """A job submitted while the plan was made waits for the next one."""
    stage, made = pending_plan()
    happen(stage, jobs.JobSubmitted(job("later", 1)))
    rebased = rebase(stage.state, made)
    assert rebased == Rebased(made.actions, (), made.verdicts)
    carried_out(stage, made, rebased)
    assert stage.state.jobs[MINE.id].phase is Phase.CLAIMED
