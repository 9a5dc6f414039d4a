# SPDX-License-Identifier: Apache-2.0
"""An engine's snapshots: how a start uses them, whose they are, how many are kept."""

import pytest
from msgspec import structs

from engine.digest import Digest
from schemas import jobs
from schemas.ledger import Batch, LedgerStorageError, Snapshot
from streams.live.following import Follower
from streams.memory import MemoryLedger
from tests.engine.stage import genesis, job
from tests.live.world import World, folded, lines, live


def test_a_start_from_a_snapshot_is_a_start_from_zero() -> None:
    """Same state, same digest as announced; and the tail alone is read."""
    world = World()
    world.input.publish(*genesis(), *(jobs.JobSubmitted(job(f"j{i}", 2)) for i in range(6)))
    live(world, every=10)
    head = world.ledger.head()
    announced = dict(world.herald.announced)
    assert head in announced
    assert world.snapshots.positions()[-1] == head
    warm = Follower(world.ledger, world.snapshots)
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
    world.input.publish(jobs.JobSubmitted(job("a", 2)))
    live(world, "two")
    newest = world.snapshots.latest()
    assert newest is not None
    assert Follower(world.ledger, world.snapshots).began == newest.position > sound
    world.snapshots.put(structs.replace(newest, data=b"of another version"))
    assert Follower(world.ledger, world.snapshots).began == sound
    world.snapshots.drop(sound)
    assert Follower(world.ledger, world.snapshots).began == 0


@pytest.mark.parametrize("wanted", [1, 30], ids=["behind the snapshots", "past the snapshots"])
def test_snapshots_of_another_ledger_are_passed_over_and_go(wanted: int) -> None:
    """An engine whose ledger was made anew, or that shares a folder, decides on its own state."""
    other = World()
    other.input.publish(*genesis(), *(jobs.JobSubmitted(job(f"o{i}", 1)) for i in range(6)))
    live(other, every=5)
    world = World()
    world.input.publish(*genesis(), *(jobs.JobSubmitted(job(f"j{i}", 1)) for i in range(wanted)))
    live(world)
    world.snapshots = other.snapshots
    world.input.publish(jobs.JobSubmitted(job("more", 1)))
    live(world, "two")
    assert Follower(world.ledger, other.snapshots).began == world.ledger.head()
    for position, digest in world.herald.announced:
        assert Digest().update(folded(world.records()[:position])) == digest
    assert max(world.snapshots.positions()) == world.ledger.head()


def test_of_a_ledger_that_lost_its_end_older_snapshots_still_serve() -> None:
    """Restored from an archive that ends before the last snapshot, it has the earlier ones."""
    world = World()
    world.input.publish(*genesis(), *(jobs.JobSubmitted(job(f"j{i}", 2)) for i in range(12)))
    live(world, every=5)
    *_, older, newest = world.snapshots.positions()
    restored = MemoryLedger()
    restored.append(restored.acquire("restore"), 0, Batch(world.ledger.read(0, newest - 1)))
    assert Follower(restored, world.snapshots).began == older


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
