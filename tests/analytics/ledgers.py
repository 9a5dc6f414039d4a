# SPDX-License-Identifier: Apache-2.0
"""Small ledgers written by hand, for tests of the archive and its views.

They follow the contract's state model as the engine does, but are told step by step, so that every
figure of a view can be worked out on paper. Times are milliseconds from 0, so that minutes are
easy to see.
"""

from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from duckdb import DuckDBPyConnection

from analytics.archive import SEGMENT_RECORDS, Archiver
from analytics.database import open_history
from schemas import decisions, fleet, jobs, tenants
from schemas.catalogue import Event
from schemas.codec import encode_record, publish
from schemas.ids import ClusterName, DomainName, JobId, NodeName, RegionName, SkuName, TenantName
from schemas.kinds import IoProfile, SkuKind, Tier
from schemas.ledger import LedgerReader
from schemas.records import NO_ORIGIN, Origin

MINUTE_MS = 60_000
TENANT = TenantName("acme")


class LedgerBuilder:
    """A ledger in memory: a reader of what was put on it, in order."""

    def __init__(self) -> None:
        """Start empty, at time 0."""
        self.records: list[bytes] = []
        self.now_ms = 0

    def at(self, minute: int) -> "LedgerBuilder":
        """Put what follows at this minute of recorded time."""
        assert minute * MINUTE_MS >= self.now_ms
        self.now_ms = minute * MINUTE_MS
        return self

    def put(self, event: Event, cause: int | None = None, origin: Origin = NO_ORIGIN) -> int:
        """Append an event; return its position."""
        position = len(self.records)
        published = publish(event, origin)
        self.records.append(encode_record(position, self.now_ms, published, cause))
        return position

    def put_all(self, *events: Event) -> None:
        """Append events in order."""
        for event in events:
            self.put(event)

    def head(self) -> int:
        """How many records there are."""
        return len(self.records)

    def read(self, start: int, limit: int) -> Sequence[bytes]:
        """Return at most `limit` records from position `start` on."""
        return self.records[start : start + limit]

    def history(self, folder: Path) -> DuckDBPyConnection:
        """Archive all of it and open the history."""
        sealed(self, folder)
        return open_history(folder)


def sealed(ledger: LedgerReader, folder: Path, segment_records: int = SEGMENT_RECORDS) -> int:
    """Archive all that a ledger has, as a process that comes and goes; return how many records."""
    with closing(Archiver(folder, segment_records)) as archiver:
        return archiver.seal(ledger)


def declare_fleet(ledger: LedgerBuilder, nodes: Iterable[str], devices: int = 8) -> None:
    """One SKU, region, cluster and domain, with nodes of so many devices."""
    ledger.put_all(
        fleet.SkuDeclared(fleet.Sku(SkuName("v100"), 1, SkuKind.GPU, "nvidia", 32_768)),
        fleet.RegionDeclared(fleet.Region(RegionName("north"), 1)),
        fleet.ClusterDeclared(fleet.Cluster(ClusterName("north-1"), 1, RegionName("north"), 1_000)),
        fleet.DomainDeclared(fleet.Domain(DomainName("rack"), 1, ClusterName("north-1"))),
    )
    for name in nodes:
        ledger.put(fleet.NodeDeclared(node(name, devices)))


def node(name: str, devices: int = 8, generation: int = 1) -> fleet.Node:
    """A node of the one domain."""
    return fleet.Node(
        NodeName(name),
        generation,
        DomainName("rack"),
        SkuName("v100"),
        devices,
        cpu_milli=96_000,
        memory_mib=500_000,
        storage_mbps=1_000,
        network_mbps=1_000,
        io=IoProfile.HOST,
    )


def declare_team(ledger: LedgerBuilder, name: str, reserved: int = 0) -> None:
    """A team, with a reservation where it has any."""
    ledger.put(tenants.TeamDeclared(tenants.Team(TENANT, name, 1, 1)))
    if reserved:
        ledger.put(tenants.ReservationGranted(reservation(name, reserved)))


def reservation(team: str, devices: int, generation: int = 1) -> tenants.Reservation:
    """A reservation of any devices anywhere."""
    return tenants.Reservation(TENANT, team, f"{team}-own", generation, (), (), devices)


def submit(
    ledger: LedgerBuilder,
    name: str,
    team: str = "vision",
    tier: Tier = Tier.BASIC,
    workers: tuple[int, int] = (1, 1),
    devices: int = 8,
) -> JobId:
    """Submit a job of so many workers (fewest, most) with so many whole devices each."""
    job = jobs.Job(
        TENANT,
        name,
        1,
        team,
        tier,
        0,
        *workers,
        jobs.WorkerShape(devices),
        jobs.Constraints(),
        checkpoint_mib=1_000,
    )
    ledger.put(jobs.JobSubmitted(job))
    return job.id


def piece(name: str, slots: Sequence[int] = range(8), workers: int = 1) -> decisions.Slice:
    """Whole devices of a node."""
    return decisions.Slice(NodeName(name), tuple(slots), 1_000, workers)


def launch(
    job: JobId, attempt: int, *slices: decisions.Slice, waits_for: Sequence[JobId] = ()
) -> decisions.LaunchOrdered:
    """An order to launch; from the second attempt on, from a checkpoint."""
    workers = sum(s.workers for s in slices)
    return decisions.LaunchOrdered(job, attempt, workers, slices, tuple(waits_for), attempt > 1)


def commit(cycle: int, applied: int, gap_ppm: int = 0) -> decisions.PlanCommitted:
    """The end of a cycle's batch."""
    return decisions.PlanCommitted(
        cycle=cycle,
        proposed=applied,
        applied=applied,
        dropped=0,
        actions_digest=bytes(32),
        policy="pool@1",
        rules=1,
        build="test",
        problem_digest=bytes(32),
        reason="optimal",
        objective=100,
        bound=101,
        gap_ppm=gap_ppm,
        full_solve=True,
        prices=(),
        state_digest=bytes(32),
    )


def long_ledger(records: int) -> LedgerBuilder:
    """A ledger of so many records, most of them reports of one job's progress."""
    ledger = LedgerBuilder()
    declare_fleet(ledger, ("a", "b"))
    job = submit(ledger, "long")
    for sequence in range(records - ledger.head()):
        ledger.at(sequence).put(jobs.JobProgressed(job, 1, sequence, sequence))
    return ledger
