# SPDX-License-Identifier: Apache-2.0
"""The leader's turns: one transaction each, planning aside, time that never runs backwards."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import pytest
from msgspec import structs

from engine.verify import Verifier
from schemas import jobs
from schemas.decisions import (
    CycleOpened,
    EventParked,
    LaunchOrdered,
    PlanCommitted,
    PolicyActivated,
    RulesActivated,
)
from schemas.ledger import FencedError, scan
from schemas.records import Published
from streams.build import fingerprint
from streams.live.following import Follower
from streams.live.heart import Pulse
from streams.live.leader import Leader, Manner, take_over
from streams.live.ports import Beat, Planner, Role
from streams.live.watch import Watch
from tests.engine.stage import genesis, job
from tests.live.world import INPUT, QUICK, START_MS, HeldPlanner, World, manner


@contextmanager
def leader(
    world: World, how: Manner | None = None, planner: Planner | None = None
) -> Generator[Leader]:
    """A leader of a world, which stops at the end without leaving."""
    ends = world.ends(planner)
    how = manner() if how is None else how
    watch = Watch(how.owner, how.patience, 0)
    pulse = Pulse(ends.beats, how.owner)
    made = take_over(ends, how, watch, Follower(world.ledger, world.snapshots), pulse)
    try:
        yield made
    finally:
        made.close(leaving=False)


def turns(one: Leader, count: int) -> None:
    for _ in range(count):
        one.turn()


def submit(world: World, *names: str) -> None:
    world.input.publish(*(jobs.JobSubmitted(job(name, 2)) for name in names))


def test_what_arrives_is_decided_planned_and_told() -> None:
    """A job on a known fleet is launched within a period; the ledger verifies from its records."""
    world = World()
    with leader(world) as one:
        world.input.publish(*genesis())
        submit(world, "a")
        turns(one, 30)
        assert one.state.head == world.ledger.head()
    assert any(isinstance(event, LaunchOrdered) for event in world.events())
    assert world.ledger.consumed() == {INPUT: len(world.input.events)}
    result = Verifier(fingerprint(), lambda _: True).run(world.records())
    assert (result.diverged, result.cycles) == (0, result.same_build)
    assert result.cycles > 0


def test_another_policy_is_put_in_force_by_who_is_told_to() -> None:
    """The first leader's, on an empty ledger; after that who is told to activate, and once."""
    world, other = World(), structs.replace(QUICK, name="other", period_ms=500)
    takeovers = ((QUICK, False), (other, False), (other, True), (other, True))
    in_force: list[str] = []
    for policy, activate in takeovers:
        with leader(world, replace(manner(policy=policy), activate=activate)) as one:
            turns(one, 3)
            assert one.state.policy is not None
            in_force.append(one.state.policy.name)
    assert in_force == ["quick", "quick", "other", "other"]
    recorded = [e.policy.name for e in world.events() if isinstance(e, PolicyActivated)]
    assert recorded == ["quick", "other"]
    assert sum(isinstance(event, RulesActivated) for event in world.events()) == 1


def test_a_turn_is_one_transaction() -> None:
    """Events, a plan that landed with them, offsets, refusals and what follows land together."""
    world, planner = World(), HeldPlanner()
    with leader(world, planner=planner) as one:
        world.input.publish(*genesis())
        submit(world, "a")
        turns(one, 20)
        planner.ready = True
        submit(world, "b")
        world.input.events.append(Published("singlepool.job.submitted.v1", b"\xff"))
        before, told = len(world.ledger.appends), len(world.ledger.told)
        one.turn()
        (batch,) = world.ledger.appends[before:]
    events = world.events()[-len(batch.records) :]
    assert isinstance(events[0], jobs.JobSubmitted)
    assert isinstance(events[-1], PlanCommitted)
    assert batch.consumed == {INPUT: len(world.input.events)}
    assert [refused.rejection for refused in batch.rejected] == ["malformed"]
    assert {output.channel.value for output in world.ledger.told[told:]} == {
        "directives",
        "verdicts",
    }


def test_events_go_on_while_a_plan_is_made() -> None:
    """Planning blocks nobody, and what landed late verifies on the cut that it saw."""
    world, planner = World(), HeldPlanner()
    with leader(world, planner=planner) as one:
        world.input.publish(*genesis())
        submit(world, "a", "b")
        turns(one, 20)
        cut = planner.begun[-1].position
        world.input.publish(jobs.JobCancelled(job("a").id))
        submit(world, "c")
        one.turn()
        assert one.state.head > cut
        assert not any(isinstance(event, CycleOpened) for event in world.events())
        planner.ready = True
        turns(one, 30)
    opened = [event for event in world.events() if isinstance(event, CycleOpened)]
    assert opened[0].cut == cut
    assert Verifier(fingerprint(), lambda _: True).run(world.records()).diverged == 0


def test_idle_turns_leave_no_trace() -> None:
    """No record, no offset, no transaction while nothing arrives and nothing is due."""
    world = World()
    with leader(world) as one:
        world.input.publish(*genesis())
        turns(one, 20)
        before = len(world.ledger.appends)
        turns(one, 200)
    assert len(world.ledger.appends) == before


def test_looks_that_find_nothing_new_are_a_period_apart() -> None:
    """A job that no plan can place is looked at again once a period, not every turn."""
    world, planner = World(), HeldPlanner()
    planner.ready = True
    with leader(world, planner=planner) as one:
        world.input.publish(*genesis())
        submit(world, *(f"j{i}" for i in range(12)))
        turns(one, 100)
        head, before, since_ms = one.state.head, len(planner.begun), world.clock.wall
        turns(one, 500)
        periods = (world.clock.wall - since_ms) // QUICK.period_ms
        looks = planner.begun[before:]
    assert one.state.head == head
    assert 0 < len(looks) <= periods + 1
    gaps = [later.now_ms - look.now_ms for look, later in pairwise(looks)]
    assert min(gaps) >= QUICK.period_ms


def test_recorded_time_never_runs_backwards_and_never_stands_still() -> None:
    """A clock that is set back stops neither the ledger's time nor the planning that hangs on it.

    Nor does a leader whose clock is behind what the one before recorded.
    """
    world = World()
    with leader(world) as one:
        world.input.publish(*genesis())
        submit(world, "a")
        turns(one, 30)
        world.clock.wall -= 3_600_000
        for name in ("b", "c"):
            submit(world, name)
            turns(one, 30)
    with leader(world, manner("two")) as two:
        for name in ("d", "e"):
            submit(world, name)
            turns(two, 30)
    times = [record.recorded_ms for record in world.records()]
    assert times == sorted(times)
    launched = [event.job for event in world.events() if isinstance(event, LaunchOrdered)]
    assert launched == [job(name).id for name in "abcde"]
    assert times[-1] < START_MS + 100 * 1_000


def test_what_waits_for_nothing_that_comes_is_refused_in_time() -> None:
    """A parked event's deadline passes while nothing else happens; its refusal is kept."""
    world = World()
    with leader(world) as one:
        world.input.publish(jobs.JobCancelled(job("nobody").id))
        turns(one, 3)
        assert isinstance(world.events()[-1], EventParked)
        world.clock.rest(QUICK.park_ms)
        turns(one, 2)
    assert [kept.rejection for _, kept in world.ledger.rejected(1, 9)] == ["unknown_entity"]


def test_a_deposed_leader_lands_nothing() -> None:
    """Once another took the ledger, the next turn raises, and nothing of it is there."""
    world = World()
    with leader(world) as one:
        world.input.publish(*genesis())
        turns(one, 20)
        world.ledger.acquire("another")
        before = list(scan(world.ledger)), len(world.ledger.told)
        submit(world, "a")
        with pytest.raises(FencedError, match="another took the ledger"):
            one.turn()
        assert (list(scan(world.ledger)), len(world.ledger.told)) == before


def test_an_idle_leader_stops_when_it_hears_a_later_one() -> None:
    """It appends nothing, so only the beats can tell it."""
    world = World()
    with leader(world) as one:
        turns(one, 5)
        world.beats.beats.append(Beat("another", Role.LEADER, 1, 0, 1))
        turns(one, 5)
        world.beats.beats.append(Beat("another", Role.LEADER, 2, 0, 2))
        with pytest.raises(FencedError, match="another leads since epoch 2"):
            one.turn()


def test_a_new_leader_goes_on_where_the_ledger_ends() -> None:
    """It repeats no input and no directive, and loses none, whatever the first still held."""
    world = World()
    with leader(world) as one:
        world.input.publish(*genesis())
        submit(world, "a")
        turns(one, 30)
        told = list(world.ledger.told)
    world.input.publish(jobs.JobStarted(job("a").id, 1))
    with leader(world, manner("two")) as two:
        turns(two, 30)
        digest = two.digest()
    assert world.input.handed == len(world.input.events)
    facts = [event for event in world.events() if isinstance(event, jobs.JobSubmitted)]
    assert len(facts) == 1
    directives = [o for o in world.ledger.told if o.channel.value == "directives"]
    assert directives == [o for o in told if o.channel.value == "directives"]
    assert directives
    again = Follower(world.ledger)
    again.follow(world.ledger.head())
    assert again.digest.update(again.state) == digest


def test_a_policy_is_activated_once() -> None:
    """The first leader of an empty ledger activates rules and policy; a later one follows them."""
    world = World()
    with leader(world):
        assert world.ledger.head() == 2
    other = structs.replace(QUICK, name="other")
    with leader(world, manner("two", policy=other)) as two:
        assert two.state.policy == QUICK
    assert world.ledger.head() == 2
