# SPDX-License-Identifier: Apache-2.0
"""One engine's life in memory: standby, leader, standby again; graceful ends."""

from dataclasses import replace

import pytest

from schemas import fleet, jobs
from schemas.decisions import LaunchOrdered
from schemas.ids import NodeName
from schemas.ledger import (
    CorruptLedgerError,
    FencedError,
    LedgerBusyError,
    LedgerStorageError,
    scan,
)
from schemas.reasons import Reason
from streams.live.ends import Ends
from streams.live.ports import Arrived, Beat, Role
from streams.live.service import Service
from tests.engine.stage import genesis, job
from tests.live.world import (
    START_MS,
    HeldPlanner,
    MemoryBeats,
    MemoryInput,
    World,
    lines,
    live,
    manner,
)


def test_an_engine_alone_waits_a_moment_and_leads() -> None:
    """It finds nobody, takes the ledger, decides what arrives, and says each cycle in one line."""
    world = World()
    world.input.publish(*genesis(), jobs.JobSubmitted(job("a", 2)))
    ends = live(world)
    assert world.records()[0].recorded_ms >= START_MS + 1_000
    said = lines(world)
    assert said[:3] == ["standing by", "taking over", "leading"]
    (cycle,) = [call.kwargs for call in world.lines.calls if call.kwargs["event"] == "cycle"]
    assert (cycle["cycle"], cycle["epoch"], cycle["launches"]) == (1, 1, 1)
    assert cycle["position"] == len(world.records()) - int(str(cycle["records"]))
    assert ends.metrics.value("singlepool_decisions_total", kind="LaunchOrdered") == 1
    assert ends.metrics.value("singlepool_epoch") == 1
    assert ends.metrics.value("singlepool_allocated_devices") == 2
    assert ends.metrics.value("singlepool_capacity_devices") == 16
    assert ends.metrics.value("singlepool_consumer_lag_events") == 0


def test_what_is_held_is_told_though_no_cycle_follows() -> None:
    """The last job ends and a node goes, which nobody plans for; nor need who leads next."""
    world = World()
    world.input.publish(*genesis(), jobs.JobSubmitted(job("a", 2)))
    assert census(live(world)) == (2, 16, 0)
    assert census(live(world, "two")) == (2, 16, 0)
    world.input.publish(
        jobs.JobStarted(job("a").id, 1),
        jobs.JobFinished(job("a").id, 1),
        fleet.NodeRemoved(NodeName("a0"), 1),
    )
    assert census(live(world, "three")) == (0, 12, 0)
    assert lines(world).count("cycle") == 1


def census(ends: Ends) -> tuple[float, float, float]:
    """Devices that are held and that there are, and jobs that wait."""
    value = ends.metrics.value
    held = value("singlepool_allocated_devices") or 0.0
    there = value("singlepool_capacity_devices") or 0.0
    waiting = (value("singlepool_jobs_waiting", reason=r.value) or 0.0 for r in Reason)
    return held, there, sum(waiting)


def test_who_leads_no_more_tells_nothing_of_the_pool() -> None:
    """Deposed, an engine stands by for another, and its last figures are not those of now."""
    world = World()
    world.input.publish(*genesis(), jobs.JobSubmitted(job("a", 2)))
    ends = world.ends()
    seen: list[tuple[float, float, float]] = []

    def stop() -> bool:
        if "stands back" in lines(world):
            world.beats.beats.append(Beat("another", Role.LEADER, 2, 0, 2))
            seen.append(census(ends))
        elif census(ends)[0] == 2 and not world.ledger.failures:
            world.ledger.failures = [LedgerStorageError("no answer came")]
            world.input.publish(jobs.JobSubmitted(job("never", 1_000)))
        return len(seen) > 20

    Service(ends, manner("one"), stop).run()
    assert lines(world).count("leading") == 1
    assert seen[-1] == (0, 0, 0)


def test_a_standby_follows_while_the_leader_beats() -> None:
    """It never takes over from a leader that lives, and is ready all the time."""
    world = World()
    live(world)
    head = world.ledger.head()

    def leader_beats() -> None:
        world.beats.beats.append(Beat("one", Role.LEADER, 1, head, 1))

    ends = live(world, "two", watch=leader_beats)
    assert lines(world).count("leading") == 1
    assert ends.status.ready
    assert ends.metrics.value("singlepool_head_position") == head


def test_a_leader_that_leaves_hands_over_at_once() -> None:
    """Its last beat says so, and the next needs no patience; both fold to the same state."""
    world = World()
    world.input.publish(*genesis(), jobs.JobSubmitted(job("a", 2)))
    live(world)
    last = world.beats.beats[-1]
    assert (last.owner, last.role) == ("one", Role.LEAVING)
    before_ms = world.clock.steady
    standby = Service(world.ends(), manner("two"), lambda: lines(world).count("leading") == 2)
    world.beats.beats.append(last)
    standby.run()
    assert lines(world).count("leading") == 2
    assert world.clock.steady - before_ms < 500


class Broken(MemoryInput):
    """An input that can never be read."""

    def poll(self, limit: int, timeout_ms: int) -> Arrived:
        """Fail as a broker does that does not let in who asks."""
        self._clock.rest(timeout_ms)
        msg = f"not one of {limit} events may be read"
        raise LedgerStorageError(msg)


def test_what_no_trying_helps_is_tried_ever_less_often() -> None:
    """Each try of a leader costs an epoch that the ledger keeps for ever."""
    world = World()
    world.input = Broken(world.clock)
    live(world, for_ms=60_000)
    rests = [c.kwargs["rest_ms"] for c in world.lines.calls if c.kwargs["event"] == "stands back"]
    assert rests[:6] == [500, 1_000, 2_000, 4_000, 8_000, 8_000]
    assert world.ledger.acquire("who asks").epoch == len(rests) + 1


def test_a_ledger_that_lost_records_ends_an_engine() -> None:
    """Somebody has to look; to try again for ever would hide it."""
    world = World()

    def lost(start: int, limit: int) -> list[bytes]:
        msg = f"{limit} records from {start} on are gone"
        raise CorruptLedgerError(msg)

    live(world)
    world.ledger.read = lost  # type: ignore[method-assign]  # a fault of the carrier
    with pytest.raises(CorruptLedgerError):
        live(world, "two")


class Unheard(MemoryBeats):
    """Beats that nobody carries until a moment."""

    def __init__(self, world: World, until_ms: int) -> None:
        """Carry none until then."""
        super().__init__(world.beats)
        self._world, self._until_ms = world, until_ms

    def send(self, beat: Beat) -> None:
        """Beat, or not."""
        if self._world.clock.steady >= self._until_ms:
            super().send(beat)


def test_a_standby_whose_beats_are_not_carried_is_not_ready() -> None:
    """It could not take over: it says so once, and once more when they are."""
    world, ready = World(), dict[int, bool]()
    ends = replace(world.ends(), beats=Unheard(world, 10_000))

    def stop() -> bool:
        ready[world.clock.steady] = ends.status.ready
        return world.clock.steady >= 10_500

    Service(ends, manner(), stop).run()
    assert {ready[at] for at in ready if 1_000 < at < 4_900} == {True}
    assert {ready[at] for at in ready if 5_200 < at < 9_900} == {False}
    assert ends.status.ready
    assert lines(world) == ["standing by", "beats do not come back", "beats come back"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([LedgerBusyError("nothing was written")], []),
        ([LedgerStorageError("no answer came")], []),
        ([], [LedgerStorageError("no answer came")]),
    ],
)
def test_an_append_that_failed_is_looked_up(
    before: list[Exception], after: list[Exception]
) -> None:
    """The engine stands back, folds what is there, and goes on: each event counts once."""
    world = World()
    world.input.publish(*genesis())
    live(world, every=5)

    world.ledger.failures, world.ledger.lost_answers = [*before], [*after]
    world.input.publish(*(jobs.JobSubmitted(job(f"j{i}", 2)) for i in range(6)))
    live(world, "two")
    assert lines(world).count("stands back") == 1
    submitted = [e.job.name for e in world.events() if isinstance(e, jobs.JobSubmitted)]
    assert submitted == [f"j{i}" for i in range(6)]
    positions = [record.position for record in world.records()]
    assert positions == list(range(len(positions)))


def test_a_plan_in_the_making_does_not_outlive_its_leader() -> None:
    """Who stands back while a plan is made begins anew; the plan was made on what may not be."""
    world, planner = World(), HeldPlanner()
    world.input.publish(*genesis(), jobs.JobSubmitted(job("a", 2)))

    def fail_once() -> None:
        if "stands back" in lines(world):
            planner.ready = True
        elif planner.begun and not world.ledger.failures:
            world.ledger.failures = [LedgerStorageError("no answer came")]
            world.input.publish(jobs.JobSubmitted(job("b", 2)))

    live(world, watch=fail_once, planner=planner)
    assert lines(world).count("leading") == 2
    assert len(planner.begun) > 1
    launched = [event.job for event in world.events() if isinstance(event, LaunchOrdered)]
    assert launched == [job("a").id, job("b").id]


def test_a_fenced_leader_ends() -> None:
    """It must not stand by again by itself: whoever runs it is to know."""
    world = World()

    def usurp() -> None:
        if "leading" in lines(world):
            world.ledger.acquire("another")
            world.input.publish(*genesis())

    with pytest.raises(FencedError, match="another took the ledger"):
        live(world, watch=usurp)
    assert len(list(scan(world.ledger))) == 2
    assert world.beats.beats[-1].role is not Role.LEAVING
