# SPDX-License-Identifier: Apache-2.0
"""Microsoft's Philly trace as a workload, in one pool or fenced by team.

The trace gives arrival, duration, GPUs and team. Tier, checkpoint size and elasticity are not in it; they follow by one rule from the SHA-256 of
`philly/<job>`: bytes 0-1 give the tier, byte 2 whether a gang is elastic, byte 3 the checkpoint size. Figures and reasons are
in `docs/trace-workloads.md`.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from importlib.resources import files
from itertools import chain

import pyarrow.parquet as pq

from schemas import fleet, tenants
from schemas.catalogue import Event
from schemas.ids import ClusterName, DomainName, NodeName, RegionName, SkuName, TenantName
from schemas.jobs import Constraints, Job, JobSubmitted, WorkerShape
from schemas.kinds import IoProfile, SkuKind, Tier
from streams.traces.workload import Arrival, Workload

TENANT = TenantName("philly")
SKU = SkuName("p100")
EPOCH_MS = 1_504_483_200_000
"""2017-09-04 00:00 UTC, the trace's second 0."""

DAY_MS = 86_400_000
DEVICES_PER_NODE = 8
NODES_PER_DOMAIN = 4
CLUSTERS = (
    ("us-east-1", "us-east", 32),
    ("us-east-2", "us-east", 16),
    ("eu-west-1", "eu-west", 16),
    ("eu-west-2", "eu-west", 8),
    ("ap-south-1", "ap-south", 8),
)
NODES = sum(nodes for _, _, nodes in CLUSTERS)
HOST_OF_TEAMS_WITHOUT_PARTITION = "6214e9"
"""The team with the largest partition takes in the few jobs of teams that have none."""

RESERVED_PARTS = (4, 5)
"""In one pool, a team's reservation is its partition scaled by four fifths."""

PREMIUM_PERCENT, STANDARD_PERCENT = 30, 30
ELASTIC_FROM_DEVICES = 4
CHECKPOINT_MIB = (2_048, 16_384)
"""Least and most checkpoint size per device of a gang."""


class Mode(StrEnum):
    """How the teams share the fleet."""

    POOL = "pool"
    FENCED = "fenced"


@dataclass(frozen=True, slots=True)
class Row:
    """One job of the trace."""

    job: int
    team: str
    submit_s: int
    duration_s: int
    devices: int


def rows(first_day: int, last_day: int) -> tuple[Row, ...]:
    """Return the jobs submitted on the days `first_day` to `last_day`, both counted, by (submission, job)."""
    source = files("streams.traces") / "data/philly/jobs.parquet"
    with source.open("rb") as file:
        table = pq.read_table(file)
    columns = (table[name].to_pylist() for name in ("job", "vc", "submit_s", "duration_s", "gpus"))
    start_s, end_s = first_day * 86_400, (last_day + 1) * 86_400
    return tuple(
        Row(job, team, submit_s, int(duration_s), devices)
        for job, team, submit_s, duration_s, devices in zip(*columns, strict=True)
        if start_s <= submit_s < end_s
    )


def partitions() -> dict[str, int]:
    """Return whole nodes per team that has a partition: the published sizes scaled to the fleet by largest remainder."""
    source = files("streams.traces") / "data/philly/vc_nodes.csv"
    with source.open(encoding="utf-8", newline="") as file:
        sizes = {row["vc"]: int(row["nodes"]) for row in csv.DictReader(file)}
    return largest_remainder(sizes, NODES)


def largest_remainder(sizes: dict[str, int], total: int) -> dict[str, int]:
    """Return integer shares of `total` in proportion to `sizes`; ties in the remainder go by name."""
    whole = sum(sizes.values())
    shares = {name: size * total // whole for name, size in sizes.items()}
    order = sorted(sizes, key=lambda name: (-(sizes[name] * total % whole), name))
    for name in order[: total - sum(shares.values())]:
        shares[name] += 1
    return shares


def home(team: str, owners: dict[str, int]) -> str:
    """Return whose partition a team's jobs run in."""
    return team if team in owners else HOST_OF_TEAMS_WITHOUT_PARTITION


def node_owners(owners: dict[str, int]) -> dict[str, str]:
    """Return node name to team: each partition inside one cluster where one has room, the largest first."""
    free = {cluster: _node_names(cluster, nodes) for cluster, _, nodes in CLUSTERS}
    owned: dict[str, str] = {}
    needs = _largest_gangs()
    for team in sorted(owners, key=lambda t: (-owners[t], -needs.get(t, 0), t)):
        left = owners[team]
        fitting = [c for c in free if len(free[c]) >= left]
        order = sorted(fitting or free, key=lambda c: (len(free[c]), c), reverse=not fitting)
        for cluster in order:
            taken, free[cluster] = free[cluster][:left], free[cluster][left:]
            owned.update(dict.fromkeys(taken, team))
            left -= len(taken)
    return owned


def _largest_gangs() -> dict[str, int]:
    largest: Counter[str] = Counter()
    for row in rows(21, 62):
        largest[row.team] = max(largest[row.team], row.devices)
    return dict(largest)


def _node_names(cluster: str, nodes: int) -> list[str]:
    return [f"{cluster}-n{index:02d}" for index in range(nodes)]


def workload(first_day: int, last_day: int, mode: Mode) -> Workload:
    """Return the trace's days as a workload in one pool or fenced."""
    jobs = rows(first_day, last_day)
    owners = partitions()
    start_ms = EPOCH_MS + first_day * DAY_MS
    fenced = mode is Mode.FENCED
    genesis = chain(
        _fleet_events(node_owners(owners) if fenced else {}),
        _tenant_events(sorted({row.team for row in jobs}), {} if fenced else owners),
    )
    submitted = [(row, job_of(row, home(row.team, owners) if fenced else "")) for row in jobs]
    return Workload(
        name=f"philly days {first_day}-{last_day} {mode.value}",
        start_ms=start_ms,
        end_ms=EPOCH_MS + (last_day + 1) * DAY_MS,
        arrivals=(
            *(Arrival(start_ms, event) for event in genesis),
            *(Arrival(EPOCH_MS + row.submit_s * 1_000, JobSubmitted(job)) for row, job in submitted),
        ),
        work={job.id: _work(row) for row, job in submitted},
    )


def _work(row: Row) -> int:
    return row.devices * 1_000 * row.duration_s * 1_000


def _fleet_events(owned: dict[str, str]) -> Iterator[Event]:
    yield fleet.SkuDeclared(fleet.Sku(SKU, 1, SkuKind.GPU, "nvidia", 16_384))
    for region in sorted({region for _, region, _ in CLUSTERS}):
        yield fleet.RegionDeclared(fleet.Region(RegionName(region), 1))
    for cluster, region, nodes in CLUSTERS:
        name = ClusterName(cluster)
        yield fleet.ClusterDeclared(fleet.Cluster(name, 1, RegionName(region), 1_250))
        for index, node in enumerate(_node_names(cluster, nodes)):
            domain = DomainName(f"{cluster}-r{index // NODES_PER_DOMAIN}")
            if index % NODES_PER_DOMAIN == 0:
                yield fleet.DomainDeclared(fleet.Domain(domain, 1, name))
            yield fleet.NodeDeclared(_node(node, domain, owned.get(node)))


def _node(name: str, domain: DomainName, owner: str | None) -> fleet.Node:
    return fleet.Node(
        name=NodeName(name),
        generation=1,
        domain=domain,
        sku=SKU,
        devices=DEVICES_PER_NODE,
        cpu_milli=64_000,
        memory_mib=524_288,
        storage_mbps=2_000,
        network_mbps=12_500,
        io=IoProfile.OFFLOAD,
        labels=() if owner is None else (fleet.Label("partition", owner),),
    )


def _tenant_events(teams: list[str], owners: dict[str, int]) -> Iterator[Event]:
    yield tenants.TenantDeclared(tenants.Tenant(TENANT, 1, 1))
    for team in sorted({*teams, *owners}):
        yield tenants.TeamDeclared(tenants.Team(TENANT, team, 1, 1))
    many, of = RESERVED_PARTS
    total = sum(owners.values()) * DEVICES_PER_NODE * many // of
    for team, devices in largest_remainder(owners, total).items() if owners else ():
        yield tenants.ReservationGranted(
            tenants.Reservation(TENANT, team, f"home-{team}", 1, (), (), devices)
        )


def job_of(row: Row, partition: str) -> Job:
    """Return the job that a row of the trace asks for, by the derivation rule; `partition` "" leaves it free to go anywhere."""
    digest = sha256(f"philly/{row.job}".encode()).digest()
    tier = _tier(int.from_bytes(digest[:2], "big"))
    elastic = row.devices >= ELASTIC_FROM_DEVICES and tier is not Tier.PREMIUM and digest[2] < 128
    least, most = CHECKPOINT_MIB
    return Job(
        tenant=TENANT,
        name=f"j{row.job}",
        generation=1,
        team=row.team,
        tier=tier,
        priority=0,
        workers_min=row.devices // 2 if elastic else row.devices,
        workers_max=row.devices,
        worker=WorkerShape(devices=1, cpu_milli=4_000, memory_mib=32_768),
        constraints=Constraints(
            labels=(fleet.Label("partition", partition),) if partition else ()
        ),
        workload_class="training",
        checkpoint_mib=row.devices * (least + digest[3] * (most - least) // 255),
    )


def _tier(hashed: int) -> Tier:
    if hashed < 65_536 * PREMIUM_PERCENT // 100:
        return Tier.PREMIUM
    if hashed < 65_536 * (PREMIUM_PERCENT + STANDARD_PERCENT) // 100:
        return Tier.STANDARD
    return Tier.BASIC


