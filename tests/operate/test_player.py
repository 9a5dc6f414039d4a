# SPDX-License-Identifier: Apache-2.0
"""The trace player beside a live engine: the ledger alone moves it, and nothing is said twice."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from compose.live_trace import live_workload
from engine.evolve import evolve
from engine.policies import POOL
from engine.state import State
from schemas.codec import decode_record
from schemas.directives import Directive
from schemas.ledger import Batch, RejectedEvent, scan
from schemas.records import Published
from streams.live.trace_player import LivePlayer, Stage
from streams.memory import MemoryLedger
from streams.play import Play
from streams.traces.workload import Workload

DAY = range(21, 22)
LATE_MS = 2_000_000_000_000


@dataclass
class World:
    """A ledger that a test writes, directives and refusals that it hands out, and a clock."""

    now_ms: int
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    orders: list[Directive] = field(default_factory=list)
    refusals: list[RejectedEvent] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    steady: int = 0

    def take(self) -> Sequence[Directive]:
        """What nodes are told since the last call."""
        found, self.orders = self.orders, []
        return found

    def publish(self, events: Sequence[Published]) -> None:
        """Keep what is published."""
        self.published.extend(events)

    def rejected(self, start: int, limit: int) -> Sequence[tuple[int, RejectedEvent]]:
        """What was refused."""
        return list(enumerate(self.refusals, 1))[start - 1 :][:limit]

    def wall_ms(self) -> int:
        """The virtual time."""
        return self.now_ms

    def steady_ms(self) -> int:
        """A second more at each look, so that every turn asks for refusals."""
        self.steady += 1_000
        return self.steady

    def rest(self, ms: int) -> None:
        """Let time pass."""
        self.steady += ms

    def player(self, workload: Workload, until_ms: int) -> LivePlayer:
        """A player of this world, from what its ledger holds."""
        return LivePlayer(Stage(self.ledger, self, self, self, self), workload, until_ms)


@pytest.fixture(scope="module")
def workload() -> Workload:
    """Two hours of the trace."""
    return live_workload(DAY, 2)


@pytest.fixture(scope="module")
def history(workload: Workload) -> list[bytes]:
    """The ledger of the embedded loop over the same workload."""
    ledger = MemoryLedger()
    Play(ledger, workload, POOL).run()
    return list(scan(ledger))


def genesis_end(history: list[bytes]) -> int:
    """The position of the first submission."""
    return next(at for at, data in enumerate(history) if _is(data, "singlepool.job.submitted.v1"))


def ids(events: Sequence[Published]) -> list[str]:
    return [event.origin.ce_id for event in events]


def test_of_the_genesis_one_kind_is_under_way_at_a_time(
    workload: Workload, history: list[bytes]
) -> None:
    """Partitions keep no order among each other: what names something comes when that is known."""
    world = World(workload.start_ms)
    player = world.player(workload, LATE_MS)
    player.turn()
    first = list(world.published)
    assert {event.ce_type for event in first} == {"singlepool.fleet.sku.declared.v1"}
    player.turn()
    assert world.published == first
    told = next(at for at, data in enumerate(history) if _is(data, first[-1].ce_type))
    world.ledger = MemoryLedger(history[: told + 1])
    after = world.player(workload, LATE_MS)
    after.turn()
    assert {e.ce_type for e in world.published[len(first) :]} == {
        "singlepool.fleet.region.declared.v1"
    }


def _is(data: bytes, ce_type: str) -> bool:
    return ce_type.encode() in data


def test_what_is_under_way_is_published_once_by_one_player_and_again_by_the_next(
    workload: Workload, history: list[bytes]
) -> None:
    """The next knows no more than the ledger; the engine makes nothing of a second time."""
    genesis = genesis_end(history)
    world = World(workload.arrivals[4].submit_ms, MemoryLedger(history[:genesis]))
    player = world.player(workload, LATE_MS)
    player.turn()
    due = ids(world.published)
    assert len(due) == len({*due}) >= 5
    assert player.under_way == len(due)
    player.turn()
    assert ids(world.published) == due
    world.player(workload, LATE_MS).turn()
    assert ids(world.published) == [*due, *due]


@pytest.mark.parametrize("eighth", range(1, 8))
def test_a_new_player_is_where_the_old_one_was(
    workload: Workload, history: list[bytes], eighth: int
) -> None:
    """One that followed ledger and directives, and one that only recalls, have the same due."""
    cut = len(history) * eighth // 8
    world = World(0)
    followed, lease, state = world.player(workload, LATE_MS), world.ledger.acquire("test"), State()
    for at, data in enumerate(history[:cut]):
        world.ledger.append(lease, at, Batch([data]))
        record = decode_record(data)
        assert record is not None
        evolve(state, record)
        world.orders.extend(state.take_directives())
        followed.turn()
    recalled = World(0, MemoryLedger(history[:cut])).player(workload, LATE_MS)
    assert followed.head == recalled.head == cut
    for now_ms in (workload.start_ms, workload.end_ms, LATE_MS):
        assert followed.due(now_ms) == recalled.due(now_ms)


def test_a_directive_waits_for_its_record(workload: Workload, history: list[bytes]) -> None:
    """It comes by another topic and may come first; when it was recorded, the ledger says."""
    told, launch = first_directive(history)
    world = World(LATE_MS, MemoryLedger(history[:told]))
    player = world.player(workload, world.now_ms)
    world.orders = [launch]
    player.turn()
    assert not any(event.origin.ce_source.startswith("agent/") for event in world.published)
    lease = world.ledger.acquire("test")
    world.ledger.append(lease, told, Batch(history[told : told + 1]))
    player.turn()
    (report,) = [e for e in world.published if e.origin.ce_source.startswith("agent/")]
    assert report.origin.ce_subject == launch.job
    assert report.ce_type == "singlepool.job.started.v1"


def first_directive(records: Sequence[bytes]) -> tuple[int, Directive]:
    """The position of the first directive's record, and the directive."""
    state = State()
    for at, data in enumerate(records):
        record = decode_record(data)
        assert record is not None
        evolve(state, record)
        for directive in state.take_directives():
            return at, directive
    pytest.fail("nobody was told anything")


def test_what_was_refused_is_not_waited_for(workload: Workload, history: list[bytes]) -> None:
    """It will never be on the ledger, so the play could not end."""
    genesis = genesis_end(history)
    last_ms = workload.arrivals[0].submit_ms
    world = World(last_ms, MemoryLedger(history[:genesis]))
    player = world.player(workload, last_ms)
    player.turn()
    waited = not player.done
    world.refusals = [
        RejectedEvent(event, "malformed", "job", "", "must be another", last_ms)
        for event in world.published
    ]
    player.turn()
    assert (waited, player.done, player.under_way) == (True, True, 0)
