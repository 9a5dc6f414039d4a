# SPDX-License-Identifier: Apache-2.0
"""One engine's life in memory: standby, leader, standby again; snapshots; graceful ends."""

from collections.abc import Callable

import pytest

from engine.digest import Digest
from schemas import jobs
from schemas.decisions import LaunchOrdered
from schemas.ledger import FencedError, LedgerBusyError, LedgerStorageError, Snapshot, scan
from streams.live.ends import Ends
from streams.live.following import Follower
from streams.live.ports import Beat, Planner, Role
from streams.live.service import Service
from tests.engine.stage import genesis, job
from tests.live.world import START_MS, HeldPlanner, World, folded, manner

LONG_MS = 20_000


def lines(world: World) -> list[str]:
    """What engines said, in order."""
    return [str(call.kwargs["event"]) for call in world.lines.calls]


def live(
    world: World,
    owner: str = "one",
    *,
    for_ms: int = LONG_MS,
    every: int = 1_000_000,
    watch: Callable[[], None] = lambda: None,
    planner: Planner | None = None,
) -> Ends:
    """Let an engine live for a while of the world's time, told to stop then."""
    until_ms = world.clock.steady + for_ms
    ends = world.ends(planner)

    def stop() -> bool:
        watch()
        return world.clock.steady >= until_ms

    Service(ends, manner(owner, every=every), stop).run()
    return ends


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


def test_a_start_from_a_snapshot_is_a_start_from_zero() -> None:
    """Same state, same digest as announced; and the tail alone is read."""
    world = World()
    world.input.publish(*genesis(), *(jobs.JobSubmitted(job(f"j{i}", 2)) for i in range(6)))
    live(world, every=10)
    head = world.ledger.head()
    announced = dict(world.herald.announced)
    assert head in announced
    assert world.snapshots.positions()[-1] == head
    warm = Follower(world.snapshots)
    assert warm.began == head
    warm.warm()
    assert warm.digest.update(warm.state) == announced[head]
    for position, digest in announced.items():
        assert Digest().update(folded(world.records()[:position])) == digest


def test_few_snapshots_are_kept() -> None:
    """The newest, and as many older ones as a damaged one may need."""
    world = World()
    world.input.publish(*genesis())
    for start in range(0, 40, 4):
        wanted = [jobs.JobSubmitted(job(f"j{i}", 2)) for i in range(start, start + 4)]
        world.input.publish(*wanted)
        live(world, f"e{start}", every=5)
    assert len(world.snapshots.positions()) == 3
    assert world.snapshots.positions()[-1] == world.ledger.head()


def test_snapshots_that_do_not_restore_are_passed_over() -> None:
    """One of another build's version costs a longer tail, no more."""
    world = World()
    world.input.publish(*genesis())
    live(world)
    (sound,) = world.snapshots.positions()
    world.snapshots.put(Snapshot(sound + 1, b"of another version"))
    assert Follower(world.snapshots).began == sound
    world.snapshots.drop(sound)
    assert Follower(world.snapshots).began == 0


def test_a_snapshot_that_cannot_be_kept_stops_nobody() -> None:
    """A full disk is said and counted; the ledger holds all."""
    world = World()

    class Full:
        """A store on a full disk."""

        def put(self, snapshot: Snapshot) -> None:
            """Fail."""
            msg = f"no room for {snapshot.position}"
            raise LedgerStorageError(msg)

        def latest(self, position: int | None = None) -> Snapshot | None:
            """None was ever kept."""
            return None if position is None else self.latest()

        def positions(self) -> list[int]:
            """None was ever kept."""
            return []

        def drop(self, position: int) -> None:
            """Nothing to forget."""

    world.snapshots = Full()
    world.input.publish(*genesis(), *(jobs.JobSubmitted(job(f"j{i}", 2)) for i in range(6)))
    ends = live(world, every=5)
    assert "snapshot failed" in lines(world)
    failures = ends.metrics.value("singlepool_snapshot_failures_total")
    assert failures == lines(world).count("snapshot failed")
    assert world.ledger.consumed() == {"in/0": len(world.input.events)}


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
