# SPDX-License-Identifier: Apache-2.0
"""A plan's value is that of the global allocation's own objective, counted from where gangs are."""

import numpy as np
import pytest

from engine.planning import plan, rederive
from engine.planning.aftermath import aftermath
from engine.planning.certificate import pose
from engine.planning.view import view
from engine.policies import POOL
from engine.snapshot import Snapshot, cut
from schemas import fleet, jobs
from schemas.decisions import MigrateOrdered, SuspendOrdered
from schemas.ids import NodeName
from schemas.kinds import NodeHealth, Tier
from solvers import allocation
from tests.engine.stage import Stage, genesis, job

HOUR_MS = 3_600_000
MINE = job("mine", 4, tier=Tier.PREMIUM, team="red")


def waiting(old: int = 4) -> Stage:
    """Old work on four devices each of sixteen, and a reservation's owner who has just come."""
    stage = Stage(POOL)
    stage.tell(*genesis(reserved=4))
    stage.submit(*(job(f"old{i}", 4) for i in range(old)))
    stage.wait(3 * HOUR_MS)
    stage.hear(jobs.JobSubmitted(MINE), after_ms=60_000)
    return stage


def by_objective(snapshot: Snapshot) -> int:
    """What the snapshot's plan is worth to the global allocation, gang by gang."""
    seen = view(snapshot)
    posed = pose(snapshot, seen)
    after = aftermath(snapshot, seen, plan(snapshot).actions)
    gangs = np.zeros(posed.problem.class_value.shape, np.int64)
    for member, cls in zip(posed.members.tolist(), posed.class_of.tolist(), strict=True):
        if after.running[member]:
            gangs[cls, after.pool[member]] += 1
    return allocation.objective(posed.problem, gangs)


def test_a_plan_that_serves_all_is_worth_what_the_objective_says() -> None:
    """The owner displaces old work; who stays is worth its bonus, who goes is not."""
    stage = waiting()
    snapshot = cut(stage.state, stage.now_ms)
    assert plan(snapshot).certificate.objective == by_objective(snapshot)


def test_a_short_reservation_costs_its_penalty() -> None:
    """With no node fit for new work the owner waits, and the plan's value says what that costs."""
    stage = waiting()
    served = plan(cut(stage.state, stage.now_ms)).certificate.objective
    ill = [
        fleet.NodeHealthReported(NodeName(name), 1, NodeHealth.SUSPECT)
        for name in ("a0", "a1", "b0", "b1")
    ]
    stage.hear(*ill)
    snapshot = cut(stage.state, stage.now_ms)
    made = plan(snapshot)
    assert made.actions == ()
    assert made.certificate.objective < 0 < served


@pytest.mark.parametrize("old", [3, 4], ids=["migrates", "suspends"])
def test_the_value_follows_from_the_record(old: int) -> None:
    """Problem, value and bound are worked out again from actions and prices alone.

    Work leaves a draining node: for where there is room, or to wait.
    """
    stage = waiting(old)
    (piece,) = stage.state.jobs[job("old0").id].slices
    stage.hear(fleet.NodeHealthReported(piece.node, 1, NodeHealth.DRAINING))
    snapshot = cut(stage.state, stage.now_ms)
    made = plan(snapshot)
    leaves = MigrateOrdered if old == 3 else SuspendOrdered
    assert any(isinstance(a, leaves) and a.job == job("old0").id for a in made.actions)
    again = rederive(snapshot, made.actions, made.certificate.prices)
    proof = made.certificate
    assert (again.problem_digest, again.objective, again.bound) == (
        proof.problem_digest,
        proof.objective,
        proof.bound,
    )
