# SPDX-License-Identifier: Apache-2.0
"""A small world for the player's tests: two clusters, two speeds, and an engine that obeys chance.

The engine is a fold of the ledger like the real one: what it orders is a function of the entries so
far and of a list of choices, so it too can be made again from any prefix.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas import fleet, jobs
from schemas.catalogue import Event
from schemas.codec import decode_event
from schemas.decisions import Slice
from schemas.directives import (
    Directive,
    LaunchDirective,
    ResizeDirective,
    StopDirective,
    SuspendDirective,
)
from schemas.ids import ClusterName, DomainName, JobId, NodeName, RegionName, SkuName, TenantName
from schemas.jobs import Constraints, Job, WorkerShape
from schemas.kinds import IoProfile, SkuKind, Tier
from schemas.records import Published
from streams.player import TracePlayer
from streams.traces.workload import Arrival, Workload

START_MS = 1_000_000
FOREVER_MS = 2**60
TICK_MS = 9_000
NODES = (NodeName("fast-0"), NodeName("slow-0"), NodeName("slow-1"))
SPEEDS = {NodeName("fast-0"): 2_000, NodeName("slow-0"): 1_000, NodeName("slow-1"): 1_000}


def genesis() -> tuple[fleet.FleetEvent, ...]:
    """Cluster `fast`: offload, 1,000 MB/s, twice the speed. Cluster `slow`: host, 1,000 MB/s."""
    speed = (fleet.WorkloadSpeed("training", 2_000),)
    return (
        fleet.SkuDeclared(fleet.Sku(SkuName("new"), 1, SkuKind.GPU, "nvidia", 1, speed)),
        fleet.SkuDeclared(fleet.Sku(SkuName("old"), 1, SkuKind.GPU, "nvidia", 1)),
        fleet.RegionDeclared(fleet.Region(RegionName("r"), 1)),
        *(_cluster("fast", interconnect_mbps=800)),
        *(_cluster("slow", interconnect_mbps=500)),
        *(fleet.NodeDeclared(_node(name)) for name in NODES),
    )


def _cluster(name: str, interconnect_mbps: int) -> tuple[fleet.FleetEvent, ...]:
    cluster = fleet.Cluster(ClusterName(name), 1, RegionName("r"), interconnect_mbps)
    domain = fleet.Domain(DomainName(name), 1, ClusterName(name))
    return fleet.ClusterDeclared(cluster), fleet.DomainDeclared(domain)


def _node(name: NodeName) -> fleet.Node:
    fast = name.startswith("fast")
    return fleet.Node(
        name=name,
        generation=1,
        domain=DomainName("fast" if fast else "slow"),
        sku=SkuName("new" if fast else "old"),
        devices=8,
        cpu_milli=64_000,
        memory_mib=500_000,
        storage_mbps=1_000,
        network_mbps=10_000,
        io=IoProfile.OFFLOAD if fast else IoProfile.HOST,
    )


def job(name: str, workers: int = 2, checkpoint_mib: int = 8_192, least: int = 1) -> Job:
    return Job(
        tenant=TenantName("t"),
        name=name,
        generation=1,
        team="a",
        tier=Tier.BASIC,
        priority=0,
        workers_min=least,
        workers_max=workers,
        worker=WorkerShape(devices=1),
        constraints=Constraints(),
        workload_class="training",
        checkpoint_mib=checkpoint_mib,
    )


def workload(*arrivals: Arrival) -> Workload:
    ordered = tuple(sorted(arrivals, key=lambda a: (a.submit_ms, a.job.id)))
    return Workload("small", START_MS, START_MS + 10**6, genesis(), ordered)


@dataclass(frozen=True)
class Entry:
    """One entry of the test's ledger: a fact, or a directive that became due."""

    recorded_ms: int
    what: Event | Directive


@dataclass
class _Known:
    spec: Job
    phase: str = "waiting"
    attempt: int = 0
    workers: int = 0
    resizes: int = 0
    checkpoint: int = 0
    started: bool = False


@dataclass
class FakeEngine:
    """Launches whatever waits, and disturbs running gangs as `choices` say."""

    choices: Sequence[int] = ()
    known: dict[JobId, _Known] = field(default_factory=dict)
    length: int = 0

    def fold(self, entry: Entry) -> None:
        """Take in one entry."""
        self.length += 1
        match entry.what:
            case jobs.JobSubmitted(job=spec):
                self.known[spec.id] = _Known(spec)
            case jobs.JobStarted(job=name) | jobs.JobResumed(job=name):
                self.known[name].phase, self.known[name].started = "running", True
            case jobs.JobResized(job=name, workers=workers):
                self.known[name].phase, self.known[name].workers = "running", workers
            case jobs.JobSuspended(job=name, checkpoint=checkpoint):
                assert checkpoint > self.known[name].checkpoint
                self.known[name].phase, self.known[name].checkpoint = "waiting", checkpoint
            case jobs.JobStopped(job=name) | jobs.JobFailed(job=name):
                self.known[name].phase = "waiting"
            case jobs.JobFinished(job=name):
                del self.known[name]
            case LaunchDirective(job=name, attempt=attempt, workers=workers):
                known = self.known[name]
                known.phase, known.attempt, known.workers = "starting", attempt, workers
                known.resizes = 0
            case SuspendDirective(job=name) | StopDirective(job=name):
                self.known[name].phase = "leaving"
            case ResizeDirective(job=name, resize=resize):
                self.known[name].phase, self.known[name].resizes = "resizing", resize
            case _:
                pass

    def orders(self) -> list[Directive]:
        """Return what is ordered now, one directive a job at most."""
        ordered: list[Directive] = []
        for name, known in sorted(self.known.items()):
            position = self.length + len(ordered)
            directive = self._order(name, known, position)
            if directive is not None:
                ordered.append(directive)
        return ordered

    def _order(self, name: JobId, known: _Known, position: int) -> Directive | None:
        choice = self._choice(position)
        if known.phase == "waiting":
            node = NODES[choice % len(NODES)]
            attempt, workers = known.attempt + 1, known.spec.workers_max
            pieces = (Slice(node, tuple(range(workers)), 1_000, workers),)
            return LaunchDirective(
                name, attempt, workers, pieces, known.started, known.checkpoint, position
            )
        if choice in {1, 4} and known.phase in {"starting", "running", "resizing"}:
            return SuspendDirective(name, known.attempt, position)
        if choice == 2 and known.phase in {"running", "resizing"}:
            workers = known.spec.workers_min + position % 2
            pieces = (Slice(NODES[1], tuple(range(workers)), 1_000, workers),)
            resize = known.resizes + 1
            return ResizeDirective(name, known.attempt, resize, workers, pieces, position)
        if choice == 3 and known.phase in {"starting", "running", "resizing", "leaving"}:
            return StopDirective(name, known.attempt, position)
        return None

    def _choice(self, position: int) -> int:
        return self.choices[position] if position < len(self.choices) else 0


class Game:
    """Player and engine over one ledger, from any prefix on."""

    def __init__(
        self, source: Workload, choices: Sequence[int] = (), prefix: Sequence[Entry] = ()
    ) -> None:
        """Make both again from the ledger's prefix, as after a crash."""
        self.player = TracePlayer(source)
        self.engine = FakeEngine(choices)
        self.ledger: list[Entry] = []
        self.now_ms = 0
        self.published: list[Published] = []
        for entry in prefix:
            self.append(entry)

    def append(self, entry: Entry) -> None:
        """Put an entry on the ledger and let both see it."""
        self.ledger.append(entry)
        self.engine.fold(entry)
        self.now_ms = entry.recorded_ms
        if isinstance(
            entry.what, LaunchDirective | SuspendDirective | ResizeDirective | StopDirective
        ):
            self.player.observe(entry.what, entry.recorded_ms)
        else:
            self.player.recall(entry.what, entry.recorded_ms)

    def play(self) -> list[Entry]:
        """Play to the end and return the ledger."""
        while (event_ms := self.player.next_ms()) is not None:
            # The disturber looks at every tick while it still has choices.
            tick_ms = (self.now_ms // TICK_MS + 1) * TICK_MS
            restless = len(self.ledger) < len(self.engine.choices) and self.engine.known
            now_ms = max(self.now_ms, min(event_ms, tick_ms) if restless else event_ms)
            for published in self.player.due(now_ms):
                self.published.append(published)
                self.append(Entry(now_ms, decode(published)))
            for directive in self.engine.orders():
                self.append(Entry(now_ms, directive))
            self.now_ms = now_ms
        return self.ledger

    def pending(self) -> list[Published]:
        """Return all that the player would publish if nothing more were ordered."""
        return self.player.due(FOREVER_MS)


def decode(published: Published) -> Event:
    return decode_event(published.ce_type, published.payload)
