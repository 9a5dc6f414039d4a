# SPDX-License-Identifier: Apache-2.0
"""Microsoft's Philly trace as public events: the main job's input.

Jeon et al., "Analysis of Large-Scale Multi-Tenant GPU Clusters for DNN Training Workloads", USENIX
ATC 2019; partition sizes from Hu et al., SC 2021. See `data/philly/README.md` for source and
licence, and `docs/trace-workloads.md` for what is derived and how.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from schemas.fleet import Label
from schemas.ids import JobId, SkuName, TenantName, job_id
from schemas.jobs import Constraints, Job, WorkerShape
from schemas.tenants import (
    Reservation,
    ReservationGranted,
    Team,
    TeamDeclared,
    Tenant,
    TenantDeclared,
    TenantEvent,
)
from streams.traces.derived import derive
from streams.traces.partitions import Part, lay_out, sizes
from streams.traces.philly_fleet import CLUSTERS, DEVICES_PER_NODE, NODES, SKU, fleet
from streams.traces.table import csv_rows, parquet_rows
from streams.traces.workload import Arrival, Workload, largest_remainder

DAYS = range(21, 35)
"""The default window, [day 21, day 35): 16,295 jobs."""

SIX_WEEKS = range(21, 63)
"""All that is shipped, [day 21, day 63): 54,784 jobs; partition sizes are made for these."""

EPOCH_MS = 1_504_483_200_000
"""Day 0 of the trace, 2017-09-04T00:00:00Z."""

TENANT = TenantName("philly")
PARTITION_LABEL = "partition"
RESERVED_FIFTHS = 4
"""In the pool, a team's reservation is so many fifths of the devices its fence had."""

_DAY_MS = 86_400_000
_WORKER = WorkerShape(devices=1, cpu_milli=4_000, memory_mib=32_768)


class Mode(StrEnum):
    """Whether teams keep to their own nodes or share one pool."""

    FENCED = "fenced"
    POOL = "pool"


class _Row(Struct, frozen=True):
    job: JobId
    name: str
    team: str
    submit_ms: int
    duration_ms: int
    gpus: int


class Fences(Struct, frozen=True):
    """Each team's partition: its nodes, where they lie, and whose partition a team works in."""

    nodes: Mapping[str, int]
    parts: Mapping[str, tuple[Part, ...]]
    home: Mapping[str, str]

    def largest_gang(self, team: str) -> int:
        """Return the most devices that one cluster's part of the team's partition has."""
        return DEVICES_PER_NODE * max(p.nodes for p in self.parts[self.home[team]])


def philly(days: range = DAYS, mode: Mode = Mode.POOL) -> Workload:
    """Return the jobs submitted on `days` of the trace (within `SIX_WEEKS`), fenced or in one pool.

    Raises `ValueError` for days that are not shipped.
    """
    if not days or days.step != 1 or days[0] < SIX_WEEKS[0] or days[-1] > SIX_WEEKS[-1]:
        msg = f"days {days} are not within {SIX_WEEKS}, which is what is shipped of the trace"
        raise ValueError(msg)
    rows = _rows()
    fences = _fences(rows)
    start_ms, end_ms = (EPOCH_MS + day * _DAY_MS for day in (days.start, days.stop))
    chosen = [row for row in rows if start_ms <= row.submit_ms < end_ms]
    labels = _labels(fences) if mode is Mode.FENCED else {}
    genesis = (*fleet(labels), *_tenants(fences, mode))
    never = (r.job for r in chosen if r.gpus > fences.largest_gang(r.team))
    return Workload(
        name="philly",
        start_ms=start_ms,
        end_ms=end_ms,
        genesis=genesis,
        arrivals=tuple(_arrival(row, fences, mode) for row in chosen),
        never_runnable=tuple(never) if mode is Mode.FENCED else (),
    )


def philly_fences() -> Fences:
    """Return the partitions of the fenced run; the pool's reservations follow from their sizes."""
    return _fences(_rows())


def _rows() -> list[_Row]:
    """All shipped jobs by (submission, id). Names are padded, so their order is the trace's."""
    columns = ("job", "vc", "submit_s", "duration_s", "gpus")
    rows: list[_Row] = []
    for number, team, submit_s, duration_s, gpus in parquet_rows("philly/jobs.parquet", columns):
        name = f"job-{number:05d}"
        duration_ms = round(duration_s * 1_000)
        submit_ms = EPOCH_MS + submit_s * 1_000
        rows.append(_Row(job_id(TENANT, name, 1), name, team, submit_ms, duration_ms, gpus))
    return sorted(rows, key=lambda row: (row.submit_ms, row.job))


def _fences(rows: list[_Row]) -> Fences:
    weights = {row["vc"]: int(row["nodes"]) for row in csv_rows("philly/vc_nodes.csv")}
    biggest: dict[str, int] = {}
    for row in rows:
        biggest[row.team] = max(biggest.get(row.team, 0), row.gpus)
    # A team without a partition joins the largest one, where a guest takes the smallest part.
    host = min(weights, key=lambda team: (-weights[team], team))
    home = {team: team if team in weights else host for team in sorted(biggest | weights)}
    needs: dict[str, int] = {}
    for team, gpus in biggest.items():
        needed = -(-gpus // DEVICES_PER_NODE)
        needs[home[team]] = max(needs.get(home[team], 0), needed)
    nodes = sizes(weights, needs, NODES)
    clusters = [(cluster.name, cluster.nodes) for cluster in CLUSTERS]
    return Fences(nodes, lay_out(nodes, needs, clusters), home)


def _labels(fences: Fences) -> dict[tuple[str, int], Label]:
    """Return the label of each node, by cluster and number."""
    return {
        (part.cluster, part.first + i): Label(PARTITION_LABEL, team)
        for team, parts in fences.parts.items()
        for part in parts
        for i in range(part.nodes)
    }


def _tenants(fences: Fences, mode: Mode) -> list[TenantEvent]:
    events: list[TenantEvent] = [TenantDeclared(Tenant(TENANT, generation=1, share_weight=1))]
    # A team's share weight is its partition's nodes; a guest weighs one.
    teams = (Team(TENANT, team, 1, fences.nodes.get(team, 1)) for team in sorted(fences.home))
    events += map(TeamDeclared, teams)
    if mode is Mode.POOL:
        for team, devices in reservations(fences).items():
            owned = Reservation(TENANT, team, team, 1, (SkuName(SKU),), (), devices)
            events.append(ReservationGranted(owned))
    return events


def reservations(fences: Fences) -> dict[str, int]:
    """Return each partition scaled to four fifths, in devices, by largest remainder."""
    devices = {team: nodes * DEVICES_PER_NODE for team, nodes in sorted(fences.nodes.items())}
    return largest_remainder(devices, NODES * DEVICES_PER_NODE * RESERVED_FIFTHS // 5)


def _arrival(row: _Row, fences: Fences, mode: Mode) -> Arrival:
    given = derive(row.job, row.gpus)
    fence = (Label(PARTITION_LABEL, fences.home[row.team]),) if mode is Mode.FENCED else ()
    job = Job(
        tenant=TENANT,
        name=row.name,
        generation=1,
        team=row.team,
        tier=given.tier,
        priority=0,
        workers_min=given.workers_min,
        workers_max=row.gpus,
        worker=_WORKER,
        constraints=Constraints(skus=(SkuName(SKU),), labels=fence),
        workload_class="training",
        checkpoint_mib=given.checkpoint_mib,
    )
    return Arrival(row.submit_ms, job, row.gpus * row.duration_ms)
