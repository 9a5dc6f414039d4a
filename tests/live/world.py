# SPDX-License-Identifier: Apache-2.0
"""A world in memory for the engine service: time that passes only when somebody waits."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog
from msgspec import structs
from structlog.testing import CapturingLogger
from structlog.typing import FilteringBoundLogger

from engine.evolve import evolve
from engine.planning import Plan, plan
from engine.policies import POOL
from engine.snapshot import Snapshot as Cut
from engine.state import State
from schemas.catalogue import Event
from schemas.codec import decode_record, publish
from schemas.decisions import Policy
from schemas.ledger import Batch, Lease, SnapshotStore, scan
from schemas.records import Origin, Published, Record
from streams.live.ends import Ends
from streams.live.health import Status
from streams.live.leader import Manner
from streams.live.metrics import Metrics
from streams.live.planner import InlinePlanner
from streams.live.ports import NOTHING, Arrived, Beat, Output, Planner
from streams.live.service import Service
from streams.live.watch import Patience
from streams.memory import MemoryLedger, MemorySnapshots

START_MS = 1_000_000_000
INPUT = "in/0"
LONG_MS = 20_000
QUICK: Policy = structs.replace(POOL, name="quick", period_ms=250, min_run_ms=0, park_ms=60_000)


class FakeClock:
    """Time that passes when somebody rests; a test may also set the time of day back."""

    def __init__(self) -> None:
        """Start at the world's first moment."""
        self.steady = 0
        self.wall = START_MS

    def wall_ms(self) -> int:
        """The time of day."""
        return self.wall

    def steady_ms(self) -> int:
        """What has passed."""
        return self.steady

    def rest(self, ms: int) -> None:
        """Let time pass."""
        self.steady += ms
        self.wall += ms


class LiveMemory(MemoryLedger):
    """A ledger in memory that keeps what follows from its batches; waiting on it takes no time."""

    def __init__(self, clock: FakeClock) -> None:
        """Start empty."""
        super().__init__()
        self._clock = clock
        self.told: list[Output] = []
        self.appends: list[Batch] = []
        self.failures: list[Exception] = []
        self.lost_answers: list[Exception] = []

    def append_and_tell(
        self, lease: Lease, position: int, batch: Batch, outputs: Sequence[Output]
    ) -> int:
        """Append; or fail before or after that, as the test asked for."""
        if self.failures:
            raise self.failures.pop(0)
        head = self.append(lease, position, batch)
        self.told.extend(outputs)
        self.appends.append(batch)
        if self.lost_answers:
            raise self.lost_answers.pop(0)
        return head

    def wait(self, position: int, timeout_ms: int) -> int:
        """Return the head; let time pass where there is nothing new."""
        if self.head() <= position:
            self._clock.rest(timeout_ms)
        return self.head()


class MemoryInput:
    """One input in memory; polling it when it is empty lets time pass."""

    def __init__(self, clock: FakeClock) -> None:
        """Start empty."""
        self._clock = clock
        self.events: list[Published] = []
        self.handed = 0
        self._next = 0

    def publish(self, *events: Event) -> None:
        """Put events on the input, as intake would."""
        for event in events:
            origin = Origin(f"{len(self.events)}", "test")
            self.events.append(publish(event, origin))

    def seek(self, consumed: Mapping[str, int]) -> None:
        """Go on after what is accounted for."""
        self._next = consumed.get(INPUT, 0)

    def poll(self, limit: int, timeout_ms: int) -> Arrived:
        """Return what there is; let time pass where there is nothing."""
        found = tuple(self.events[self._next : self._next + limit])
        if not found:
            self._clock.rest(timeout_ms)
            return NOTHING
        self._next += len(found)
        self.handed += len(found)
        return Arrived(found, {INPUT: self._next})

    def lag(self) -> int:
        """How many events are left."""
        return len(self.events) - self._next


class BeatTopic:
    """A topic of beats in memory."""

    def __init__(self) -> None:
        """Start empty."""
        self.beats: list[Beat] = []

    def reader(self) -> "MemoryBeats":
        """One engine's ends."""
        return MemoryBeats(self)


class MemoryBeats:
    """One engine's ends of a topic of beats."""

    def __init__(self, topic: BeatTopic) -> None:
        """Listen from now on."""
        self._topic = topic
        self._next = len(topic.beats)

    def send(self, beat: Beat) -> None:
        """Beat."""
        self._topic.beats.append(beat)

    def poll(self) -> Sequence[Beat]:
        """What was beaten since."""
        found = self._topic.beats[self._next :]
        self._next += len(found)
        return found


class MemoryHerald:
    """Remembers what was announced."""

    def __init__(self) -> None:
        """Start with nothing announced."""
        self.announced: list[tuple[int, bytes]] = []

    def announce(self, position: int, digest: bytes) -> None:
        """Remember it."""
        self.announced.append((position, digest))


class HeldPlanner:
    """A planner whose plans are ready when the test says so."""

    def __init__(self) -> None:
        """Start with nothing ready."""
        self.begun: list[Cut] = []
        self.ready = False
        self._making = False

    def begin(self, cut: Cut) -> None:
        """Keep the cut."""
        assert not self._making, "one plan at a time"
        self._making = True
        self.begun.append(cut)

    def finished(self) -> Plan | None:
        """The plan on the last cut, once the test says so."""
        if not (self._making and self.ready):
            return None
        self._making = False
        return plan(self.begun[-1])

    def forget(self) -> None:
        """Make no plan any more."""
        self._making = False


class World:
    """One ledger, one input, one topic of beats, and ends of it for any number of engines."""

    def __init__(self) -> None:
        """Start empty."""
        self.clock = FakeClock()
        self.ledger = LiveMemory(self.clock)
        self.input = MemoryInput(self.clock)
        self.beats = BeatTopic()
        self.snapshots: SnapshotStore = MemorySnapshots()
        self.herald = MemoryHerald()
        self.lines = CapturingLogger()

    def ends(self, planner: Planner | None = None) -> Ends:
        """Ends for one more engine."""
        log: FilteringBoundLogger = structlog.wrap_logger(
            self.lines,
            processors=[],
            wrapper_class=structlog.make_filtering_bound_logger(0),
        )
        return Ends(
            ledger=self.ledger,
            input=self.input,
            beats=self.beats.reader(),
            snapshots=self.snapshots,
            herald=self.herald,
            planner=InlinePlanner() if planner is None else planner,
            clock=self.clock,
            metrics=Metrics(),
            status=Status(self.clock),
            log=log,
        )

    def records(self) -> list[Record]:
        """All records, as values."""
        return [r for data in scan(self.ledger) if (r := decode_record(data)) is not None]

    def events(self) -> list[Event]:
        """What they say."""
        return [record.event for record in self.records()]

    def folded(self) -> State:
        """The state that they give."""
        return folded(self.records())


def manner(owner: str = "one", *, every: int = 1_000_000, policy: Policy = QUICK) -> Manner:
    return Manner(owner, policy, every, Patience())


def folded(records: Iterable[Record]) -> State:
    state = State()
    for record in records:
        evolve(state, record)
    return state


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
