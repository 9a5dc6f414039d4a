# SPDX-License-Identifier: Apache-2.0
"""Alibaba's openb trace as public events: a heterogeneous fleet with shared devices.

Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient
Descent", USENIX ATC 2023. The jobs arrive by the paper's protocol: the pod list in random order,
then clones of pods drawn with replacement, until the GPU demand that has arrived is 130 % of the
fleet; one after the other, and nothing departs. Chance is drawn from SHA-256, so that a seed means
the same order in every Python.
"""

from collections.abc import Iterator
from enum import StrEnum
from hashlib import sha256

from msgspec import Struct

from schemas import fleet, tenants
from schemas.ids import ClusterName, DomainName, NodeName, RegionName, SkuName, TenantName
from schemas.jobs import Constraints, Job, WorkerShape
from schemas.kinds import IoProfile, SkuKind, Span, Tier
from streams.traces.table import parquet_rows
from streams.traces.workload import Arrival, Workload

START_MS = 1_672_531_200_000
"""2023-01-01T00:00:00Z; the trace's own clock is not stated."""

TENANT = TenantName("openb")
TEAM = "openb"
ARRIVAL_GAP_MS = 1_000
DEMAND_PERCENT = 130

_ONE_PLACE = "openb"
_MEMORY_MIB = {
    "A10": 24_576,
    "P100": 16_384,
    "T4": 16_384,
    "V100M16": 16_384,
    "V100M32": 32_768,
    "G2": 0,  # not published
    "G3": 0,
}


class Variant(StrEnum):
    """The published pod lists: as it was, or with more of one kind of pod."""

    DEFAULT = "default"
    CPU100 = "cpu100"
    GPUSHARE40 = "gpushare40"
    GPUSPEC10 = "gpuspec10"
    MULTIGPU20 = "multigpu20"


class _Machine(Struct, frozen=True):
    name: str
    cpu_milli: int
    memory_mib: int
    gpus: int
    model: str


class _Pod(Struct, frozen=True):
    name: str
    cpu_milli: int
    memory_mib: int
    gpus: int
    gpu_milli: int
    models: str

    @property
    def demand_milli(self) -> int:
        """What the pod asks for, in thousandths of a GPU."""
        return self.gpus * (self.gpu_milli if self.gpus == 1 else 1_000)


def openb(variant: Variant = Variant.DEFAULT, seed: int = 0) -> Workload:
    """Return the 1,213 GPU nodes and a seeded sequence of pods, one a second, that never end."""
    machines = _machines()
    capacity_milli = 1_000 * sum(machine.gpus for machine in machines)
    sequence = _until(_sequence(_pods(variant), seed), capacity_milli * DEMAND_PERCENT // 100)
    arrivals = tuple(_arrival(number, pod) for number, pod in enumerate(sequence))
    return Workload(
        name=f"openb-{variant}",
        start_ms=START_MS,
        end_ms=START_MS + (len(arrivals) + 1) * ARRIVAL_GAP_MS,
        genesis=(*_fleet(machines), *_tenants()),
        arrivals=arrivals,
    )


def _machines() -> list[_Machine]:
    columns = ("node", "cpu_milli", "memory_mib", "gpus", "gpu_model")
    rows = parquet_rows("openb/nodes.parquet", columns)
    return [_Machine(*row) for row in rows if row[3]]


def _pods(variant: Variant) -> list[_Pod]:
    columns = ("pod", "cpu_milli", "memory_mib", "gpus", "gpu_milli", "gpu_spec")
    rows = parquet_rows(f"openb/pods_{variant}.parquet", columns)
    return [
        _Pod(name, cpu_milli, memory_mib, gpus, gpu_milli, models or "")
        for name, cpu_milli, memory_mib, gpus, gpu_milli, models in rows
    ]


def _sequence(pods: list[_Pod], seed: int) -> Iterator[_Pod]:
    """Yield all pods in an order drawn from the seed, then clones for ever."""
    yield from sorted(pods, key=lambda pod: _draw(f"{seed}/{pod.name}"))
    number = 0
    while True:
        yield pods[_draw(f"{seed}/clone/{number}") % len(pods)]
        number += 1


def _draw(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:8])


def _until(sequence: Iterator[_Pod], demand_milli: int) -> Iterator[_Pod]:
    """Yield pods until their demand reaches `demand_milli`, the one that reaches it included."""
    arrived_milli = 0
    while arrived_milli < demand_milli:
        pod = next(sequence)
        arrived_milli += pod.demand_milli
        yield pod


def _fleet(machines: list[_Machine]) -> Iterator[fleet.FleetEvent]:
    """Yield one region, cluster and domain: the trace says nothing of its network."""
    for model in sorted({machine.model for machine in machines}):
        memory_mib = _MEMORY_MIB[model]
        sku = fleet.Sku(SkuName(model), 1, SkuKind.GPU, "nvidia", memory_mib, shareable=True)
        yield fleet.SkuDeclared(sku)
    region, cluster = RegionName(_ONE_PLACE), ClusterName(_ONE_PLACE)
    yield fleet.RegionDeclared(fleet.Region(region, 1))
    yield fleet.ClusterDeclared(fleet.Cluster(cluster, 1, region, interconnect_mbps=1_250))
    yield fleet.DomainDeclared(fleet.Domain(DomainName(_ONE_PLACE), 1, cluster))
    for machine in machines:
        yield fleet.NodeDeclared(_node(machine))


def _node(machine: _Machine) -> fleet.Node:
    return fleet.Node(
        name=NodeName(machine.name),
        generation=1,
        domain=DomainName(_ONE_PLACE),
        sku=SkuName(machine.model),
        devices=machine.gpus,
        cpu_milli=machine.cpu_milli,
        memory_mib=machine.memory_mib,
        storage_mbps=2_000,
        network_mbps=3_125,
        io=IoProfile.HOST,
    )


def _tenants() -> tuple[tenants.TenantEvent, ...]:
    return (
        tenants.TenantDeclared(tenants.Tenant(TENANT, generation=1, share_weight=1)),
        tenants.TeamDeclared(tenants.Team(TENANT, TEAM, generation=1, share_weight=1)),
    )


def _arrival(number: int, pod: _Pod) -> Arrival:
    """Return one pod as a job of one worker; its name is padded, so that names sort by arrival."""
    shared = pod.gpus == 1
    job = Job(
        tenant=TENANT,
        name=f"{number:05d}-{pod.name}",
        generation=1,
        team=TEAM,
        tier=Tier.STANDARD,
        priority=0,
        workers_min=1,
        workers_max=1,
        worker=WorkerShape(
            devices=pod.gpus,
            device_milli=pod.gpu_milli if shared else 1_000,
            cpu_milli=pod.cpu_milli,
            memory_mib=pod.memory_mib,
        ),
        constraints=Constraints(
            skus=_skus(pod.models),
            span=Span.NODE,
        ),
    )
    return Arrival(START_MS + (number + 1) * ARRIVAL_GAP_MS, job, work_device_ms=0)


def _skus(models: str) -> tuple[SkuName, ...]:
    """Return the models that a pod may use; the trace names some twice."""
    return tuple(dict.fromkeys(SkuName(model) for model in models.split("|") if model))
