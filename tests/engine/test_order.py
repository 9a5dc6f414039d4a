# SPDX-License-Identifier: Apache-2.0
"""Who is looked at first: rank, worth, a fair level between teams, then the team's own order."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.phases import Phase
from engine.planning.order import in_order
from engine.planning.view import view
from engine.policies import POOL
from engine.snapshot import Snapshot, cut
from schemas import jobs, tenants
from schemas.kinds import Tier
from tests.engine.stage import TENANT, Stage, genesis, job


def waiting_stage(red_weight: int, *wanted: jobs.Job) -> Stage:
    """An empty fleet of sixteen devices and jobs that all came at once."""
    stage = Stage(POOL)
    stage.tell(
        *genesis(reserved=0), tenants.TeamChanged(tenants.Team(TENANT, "red", 2, red_weight))
    )
    stage.hear(*(jobs.JobSubmitted(spec) for spec in wanted), after_ms=60_000)
    return stage


def order_of(stage: Stage) -> list[str]:
    """The names of the waiting jobs, in the order in which a plan would look at them."""
    snapshot: Snapshot = cut(stage.state, stage.now_ms)
    seen = view(snapshot)
    rows: list[int] = in_order(snapshot, seen, np.flatnonzero(seen.waiting)).tolist()
    return [snapshot.details[row].spec.name for row in rows]


def test_teams_take_turns_by_their_share_weight() -> None:
    """With weights of three to one, three devices go to red for each that goes to blue."""
    wanted = [job(f"{team}{i}", team=team) for team in ("blue", "red") for i in range(12)]
    stage = waiting_stage(3, *wanted)
    first = order_of(stage)[:12]
    assert [sum(name.startswith(team) for name in first) for team in ("red", "blue")] == [9, 3]


def test_who_has_more_already_comes_later() -> None:
    """A team that runs work is behind one that runs none, though it asked first."""
    stage = Stage(POOL)
    stage.tell(*genesis(reserved=0))
    stage.submit(job("running", 4, team="blue"))
    asked = (job("b", 1, team="blue"), job("r0", 1, team="red"), job("r1", 3, team="red"))
    stage.hear(*(jobs.JobSubmitted(spec) for spec in asked), after_ms=60_000)
    assert order_of(stage) == ["r0", "r1", "b"]


def test_priority_counts_inside_a_team_alone() -> None:
    """However high a team sets its own priorities, another's turn comes when it is due."""
    loud = [structs.replace(job(f"loud{i}", team="red"), priority=1_000 + i) for i in range(3)]
    stage = waiting_stage(1, *loud, job("quiet", team="blue"))
    order = order_of(stage)
    assert [name for name in order if name != "quiet"] == ["loud2", "loud1", "loud0"]
    assert order.index("quiet") <= 1


def test_worth_comes_before_fairness() -> None:
    """A standard job of a team that has much goes before a basic one of a team with nothing."""
    stage = Stage(POOL)
    stage.tell(*genesis(reserved=0))
    stage.submit(job("running", 4, team="blue"))
    asked = (job("basic", team="red"), job("standard", team="blue", tier=Tier.STANDARD))
    stage.hear(*(jobs.JobSubmitted(spec) for spec in asked), after_ms=60_000)
    assert order_of(stage) == ["standard", "basic"]


@given(
    weight=st.integers(1, 7),
    sizes=st.lists(st.tuples(st.sampled_from(["red", "blue"]), st.integers(1, 8)), max_size=12),
)
def test_levels_never_fall_along_the_order(weight: int, sizes: list[tuple[str, int]]) -> None:
    """Looked at in order, each job's team has at least the level of the one before."""
    wanted = {f"j{i}": (team, size) for i, (team, size) in enumerate(sizes)}
    stage = waiting_stage(weight, *(job(n, size, team=team) for n, (team, size) in wanted.items()))
    used = {"red": 0, "blue": 0}
    levels: list[int] = []
    for name in order_of(stage):
        team, size = wanted[name]
        used[team] += size * 1_000
        levels.append(used[team] * 1_000 // (weight if team == "red" else 1))
    assert all(before <= after for before, after in pairwise(levels))


def test_a_fair_share_is_what_a_full_fleet_gives() -> None:
    """Sixteen devices, all asked for twice over: the plan itself gives twelve and four."""
    wanted = [job(f"{team}{i}", team=team) for team in ("blue", "red") for i in range(16)]
    stage = waiting_stage(3, *wanted)
    stage.wait()
    stage.settle()
    running = [j.spec.team for j in stage.state.jobs.values() if j.phase is Phase.RUNNING]
    assert (running.count("red"), running.count("blue")) == (12, 4)
