# SPDX-License-Identifier: Apache-2.0
"""Rules on limits, reservations, lending and moves, each broken alone."""

import pytest
from msgspec import structs

from schemas.decisions import Action, MigrateOrdered, ResizeOrdered, StopOrdered
from schemas.ids import RegionName, SkuName
from schemas.kinds import Tier
from solvers.judge import Phase, PlanRule, PoolFacts, ReservationFacts, TeamFacts, judge
from tests.solvers.judge_worlds import (
    NOW_MS,
    RESERVED,
    TEAM,
    broken,
    jid,
    launch,
    node,
    piece,
    plan,
    reservation,
    running,
    suspend,
    waiting,
    world,
)

NONE = set[PlanRule]()
NEW = waiting("new")
OWNER = waiting("owner", tier=Tier.PREMIUM, reservation=RESERVED)
OLD = running("old", piece("n1", 0, 1))
INSIDE = running("inside", piece("n1", 0, 1), tier=Tier.PREMIUM, reservation=RESERVED)


@pytest.mark.parametrize(("used_milli", "ok"), [(2_000, True), (2_001, False)])
def test_a_team_stays_inside_its_limit(used_milli: int, *, ok: bool) -> None:
    """A launch that takes a team beyond its limit of devices is refused."""
    snapshot = world(NEW, teams={TEAM: TeamFacts(4, used_milli)})
    rules = NONE if ok else {PlanRule.TEAM_LIMIT}
    assert broken(snapshot, plan(launch(NEW, piece("n1", 0, 1)))) == rules


def test_a_team_may_use_what_its_own_work_gives_up() -> None:
    """The limit is on what the team uses once the plan is carried out."""
    snapshot = world(NEW, OLD, teams={TEAM: TeamFacts(2, 2_000)})
    swap = plan(suspend(OLD, NEW), launch(NEW, piece("n2", 0, 1)))
    assert judge(snapshot, swap) == ()
    stopped = world(NEW, structs.replace(OLD, cancelled=True), teams={TEAM: TeamFacts(2, 2_000)})
    assert judge(stopped, plan(StopOrdered(jid("old"), 1), launch(NEW, piece("n2", 0, 1)))) == ()


def test_a_team_beyond_a_lowered_limit_may_give_up_devices() -> None:
    """A plan answers for what it adds, not for a limit that was lowered before it."""
    both = running("old", piece("n1", 0, 1, 2, 3))
    snapshot = world(both, teams={TEAM: TeamFacts(1, 4_000)})
    shrink = ResizeOrdered(jid("old"), 1, 1, 1, (piece("n1", 0, 1),), jid("old"))
    assert judge(snapshot, plan(shrink)) == ()


@pytest.mark.parametrize(("devices", "ok"), [(4, True), (3, False)])
def test_a_reservation_guarantees_no_more_than_its_devices(devices: int, *, ok: bool) -> None:
    """Premium work beyond a reservation's devices is not inside it, whoever says so."""
    snapshot = world(OWNER, reservations={RESERVED: reservation(devices, 2_000)})
    rules = NONE if ok else {PlanRule.OVER_RESERVATION}
    assert broken(snapshot, plan(launch(OWNER, piece("n1", 0, 1)))) == rules


def test_a_reservation_that_nobody_granted_guarantees_nothing() -> None:
    """Work inside an unknown reservation is over it."""
    snapshot = world(OWNER, reservations={})
    action = launch(OWNER, piece("n1", 0, 1))
    assert broken(snapshot, plan(action)) == {PlanRule.OVER_RESERVATION}


@pytest.mark.parametrize(
    "granted",
    [reservation(8, skus=(SkuName("tpu"),)), reservation(8, regions=(RegionName("r2"),))],
    ids=["another SKU", "another region"],
)
def test_work_inside_a_reservation_goes_where_it_covers(granted: ReservationFacts) -> None:
    """Devices of another SKU or region are not those that were reserved."""
    snapshot = world(OWNER, reservations={RESERVED: granted})
    action = launch(OWNER, piece("n1", 0, 1))
    assert broken(snapshot, plan(action)) == {PlanRule.OUTSIDE_RESERVATION}


@pytest.mark.parametrize(("reserved_milli", "ok"), [(12_000, True), (12_001, False)])
def test_without_lending_reserved_devices_stay_idle(reserved_milli: int, *, ok: bool) -> None:
    """Where nothing is lent, work outside reservations fits into what nobody reserved."""
    snapshot = world(NEW, OWNER, lends=False, pool=PoolFacts(16_000, reserved_milli, 2_000))
    outside, inside = launch(NEW, piece("n1", 0, 1)), launch(OWNER, piece("n2", 0, 1))
    rules = NONE if ok else {PlanRule.LENDING_OFF}
    assert broken(snapshot, plan(outside, inside)) == rules
    assert judge(structs.replace(snapshot, lends=True), plan(outside, inside)) == ()
    assert judge(snapshot, plan(inside)) == ()


def test_a_claim_that_is_due_is_placed() -> None:
    """Premium work inside its reservation is placed by the first plan that sees it."""
    due = [jid("owner")]
    assert judge(world(OWNER), plan(launch(OWNER, piece("n1", 0, 1)), due=due)) == ()
    assert broken(world(OWNER), plan(due=due)) == {PlanRule.CLAIM_NOT_PLACED}


def test_premium_inside_its_reservation_does_not_give_way() -> None:
    """Guaranteed work is not suspended or migrated for work that is not."""
    snapshot = world(NEW, INSIDE)
    taking = launch(NEW, piece("n1", 0, 1), waits=[jid("inside")])
    away = MigrateOrdered(jid("inside"), 1, 1, (piece("n2", 0, 1),), (), jid("new"))
    for move in (suspend(INSIDE, NEW), away):
        assert broken(snapshot, plan(move, taking)) == {PlanRule.RESERVED_DISPLACED}


def test_premium_inside_may_give_way_to_its_like() -> None:
    """Guaranteed work may make room for guaranteed work, and move for its own sake."""
    taking = launch(OWNER, piece("n1", 0, 1), waits=[jid("inside")])
    assert judge(world(OWNER, INSIDE), plan(suspend(INSIDE, OWNER), taking)) == ()
    better = MigrateOrdered(jid("inside"), 1, 1, (piece("n2", 0, 1),), (), jid("inside"))
    assert judge(world(INSIDE), plan(better)) == ()


def test_what_premium_has_beyond_its_fewest_workers_may_be_taken() -> None:
    """The guarantee is for the size that was asked at least."""
    both = running("inside", piece("n1", 0, 1, 2, 3), tier=Tier.PREMIUM, reservation=RESERVED)
    shrink = ResizeOrdered(jid("inside"), 1, 1, 1, (piece("n1", 0, 1),), jid("new"))
    taking = launch(NEW, piece("n1", 2, 3), waits=[jid("inside")])
    assert judge(world(NEW, both), plan(shrink, taking)) == ()


BOTH = running("old", piece("n1", 0, 1, 2, 3))


@pytest.mark.parametrize(
    "move",
    [
        suspend(BOTH, NEW),
        MigrateOrdered(jid("old"), 1, 2, (piece("n2", 0, 1, 2, 3),), (), jid("new")),
        ResizeOrdered(jid("old"), 1, 1, 1, (piece("n1", 0, 1),), jid("new")),
    ],
    ids=["suspend", "migrate", "shrink"],
)
def test_a_policy_that_moves_nothing_is_obeyed(move: Action) -> None:
    """Where running work is not moved, nobody suspends, migrates or shrinks it."""
    snapshot = world(NEW, BOTH, moves=False)
    proposal = plan(move, launch(NEW, piece("n1", 2, 3), waits=[jid("old")]))
    assert broken(snapshot, proposal) == {PlanRule.MOVES_OFF}
    assert judge(structs.replace(snapshot, moves=True), proposal) == ()


def test_growth_is_no_move() -> None:
    """A policy that moves nothing still lets gangs grow into what is free."""
    grown = ResizeOrdered(jid("old"), 1, 1, 2, (piece("n1", 0, 1, 2, 3),), jid("old"))
    assert judge(world(OLD, moves=False), plan(grown)) == ()


@pytest.mark.parametrize("fit", [True, False])
def test_work_leaves_an_unfit_node_under_every_policy(*, fit: bool) -> None:
    """Whoever moves for its own sake where nothing is moved must have to."""
    nodes = [node("n1", healthy_for_new_work=fit), node("n2")]
    away = MigrateOrdered(jid("old"), 1, 1, (piece("n2", 0, 1),), (), jid("old"))
    rules = {PlanRule.MOVES_OFF} if fit else NONE
    assert broken(world(OLD, nodes=nodes, moves=False), plan(away)) == rules


@pytest.mark.parametrize(("ran_ms", "ok"), [(60_000, True), (59_999, False)])
def test_a_run_lasts_for_the_shortest_time(ran_ms: int, *, ok: bool) -> None:
    """A job that just started is not displaced for another."""
    old = structs.replace(OLD, running_since_ms=NOW_MS - ran_ms)
    taking = launch(NEW, piece("n1", 0, 1), waits=[jid("old")])
    rules = NONE if ok else {PlanRule.MOVED_TOO_SOON}
    snapshot = world(NEW, old, min_run_ms=60_000)
    assert broken(snapshot, plan(suspend(old, NEW), taking)) == rules


def test_an_owner_who_returns_need_not_wait_for_a_short_run() -> None:
    """What is lent is reclaimed at once."""
    old = structs.replace(OLD, running_since_ms=NOW_MS)
    taking = launch(OWNER, piece("n1", 0, 1), waits=[jid("old")])
    snapshot = world(OWNER, old, min_run_ms=60_000)
    assert judge(snapshot, plan(suspend(old, OWNER), taking)) == ()


def test_a_move_is_for_someone_who_uses_the_room() -> None:
    """Nobody is displaced for a job that this plan gives nothing."""
    asleep = structs.replace(NEW, phase=Phase.QUEUED)
    assert broken(world(asleep, OLD), plan(suspend(OLD, NEW))) == {PlanRule.MOVED_IN_VAIN}
