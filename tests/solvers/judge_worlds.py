# SPDX-License-Identifier: Apache-2.0
"""Small worlds for the judge: builders that let a test say what matters to it, and no more."""

from collections.abc import Iterable, Sequence

from msgspec import structs

from schemas.decisions import (
    Action,
    LaunchOrdered,
    Slice,
    SuspendOrdered,
)
from schemas.ids import (
    ClusterName,
    DomainName,
    JobId,
    NodeName,
    RegionName,
    SkuName,
    TenantName,
    reservation_id,
    team_id,
)
from schemas.jobs import Constraints, Job, WorkerShape
from schemas.kinds import Tier
from schemas.tenants import Reservation
from solvers.judge import (
    Claim,
    Holding,
    JobFacts,
    NodeFacts,
    Phase,
    PlanRule,
    PoolFacts,
    Proposal,
    ReservationFacts,
    Snapshot,
    TeamFacts,
    judge,
)

NOW_MS = 1_000_000
POSITION = 70
TENANT = TenantName("acme")
TEAM = team_id(TENANT, "ml")
RESERVED = reservation_id(TENANT, "core")
RELEASING = (Phase.SUSPENDING, Phase.STOPPING)


def node(name: str, **changes: object) -> NodeFacts:
    """Four devices; `n1` to `n3` are in cluster c1 (n3 in another domain), the others in c2."""
    first = name in {"n1", "n2", "n3"}
    plain = NodeFacts(
        name=NodeName(name),
        domain=DomainName("d2" if name == "n3" else "d1" if first else "d3"),
        cluster=ClusterName("c1" if first else "c2"),
        region=RegionName("r1" if first else "r2"),
        sku=SkuName("gpu"),
        slots=(1000,) * 4,
        cpu_milli=64_000,
        memory_mib=64_000,
        storage_mbps=1_000,
        network_mbps=1_000,
    )
    return structs.replace(plain, **changes)


def spec(name: str, **changes: object) -> Job:
    """Basic work of one or two workers with two devices each."""
    plain = Job(
        tenant=TENANT,
        name=name,
        generation=1,
        team="ml",
        tier=Tier.BASIC,
        priority=0,
        workers_min=1,
        workers_max=2,
        worker=WorkerShape(devices=2, cpu_milli=1_000, memory_mib=1_000),
        constraints=Constraints(),
    )
    return structs.replace(plain, **changes)


def jid(name: str) -> JobId:
    return JobId(f"{TENANT}/{name}@1")


def piece(node_name: str, *slots: int, milli: int = 1000, each: int = 2) -> Slice:
    """Return a slice whose workers have `each` devices."""
    return Slice(NodeName(node_name), slots, milli, len(slots) // each)


def waiting(name: str, **changes: object) -> JobFacts:
    """Return a queued job; `spec` fields go to its spec."""
    return _job(name, Phase.QUEUED, (), changes)


def running(name: str, *slices: Slice, **changes: object) -> JobFacts:
    """Return a job in its first attempt on slices, running for long."""
    return _job(name, Phase.RUNNING, slices, {"attempt": 1, **changes})


_OF_FACTS = set(JobFacts.__struct_fields__) - {"spec", "tier"}


def _job(
    name: str, phase: Phase, slices: tuple[Slice, ...], changes: dict[str, object]
) -> JobFacts:
    asked = spec(name, **{k: v for k, v in changes.items() if k not in _OF_FACTS})
    workers = sum(s.workers for s in slices)
    known = JobFacts(asked, asked.tier, phase, workers=workers, slices=slices)
    return structs.replace(known, **{k: v for k, v in changes.items() if k in _OF_FACTS})


def world(*jobs: JobFacts, nodes: Iterable[NodeFacts] = (), **changes: object) -> Snapshot:
    """Return the facts of jobs on nodes (n1 to n4 where not given), holders and use filled in."""
    listed = list(nodes) or [node(n) for n in ("n1", "n2", "n3", "n4")]
    by_name = {n.name: structs.replace(n, holders=(*n.holders, *held(n, jobs))) for n in listed}
    used = sum(j.workers * j.worker_milli for j in jobs if j.phase not in RELEASING)
    inside = [j for j in jobs if j.reservation is not None]
    inside_milli = sum(j.workers * j.worker_milli for j in inside)
    capacity = sum(sum(n.slots) for n in listed)
    plain = Snapshot(
        position=POSITION,
        now_ms=NOW_MS,
        nodes=by_name,
        jobs={j.spec.id: j for j in jobs},
        teams={TEAM: TeamFacts(0, used)},
        reservations={RESERVED: reservation(8, inside_milli)},
        pool=PoolFacts(capacity, 8_000, used - inside_milli),
    )
    return structs.replace(plain, **changes)


def held(on: NodeFacts, jobs: Iterable[JobFacts]) -> tuple[Holding, ...]:
    return tuple(
        Holding(
            job.spec.id,
            job.attempt,
            s.slots,
            s.milli,
            s.workers,
            job.spec.worker,
            job.phase in RELEASING,
        )
        for job in jobs
        for s in job.slices
        if s.node == on.name
    )


def reservation(
    devices: int,
    inside_milli: int = 0,
    *,
    skus: tuple[SkuName, ...] = (),
    regions: tuple[RegionName, ...] = (),
) -> ReservationFacts:
    granted = Reservation(TENANT, "ml", "core", 1, skus, regions, devices)
    return ReservationFacts(granted, inside_milli)


def launch(job: JobFacts, *slices: Slice, waits: Sequence[JobId] = ()) -> LaunchOrdered:
    """Return a launch of the next attempt."""
    workers = sum(s.workers for s in slices)
    return LaunchOrdered(
        job.spec.id, job.attempt + 1, workers, slices, tuple(waits), job.restorable
    )


def suspend(job: JobFacts, gains: JobFacts) -> SuspendOrdered:
    return SuspendOrdered(job.spec.id, job.attempt, gains.spec.id)


def plan(*actions: Action, due: Sequence[JobId] = ()) -> Proposal:
    return Proposal(POSITION, actions, tuple(due))


def claim(job: JobFacts, s: Slice, *waits: JobId) -> Claim:
    return Claim(job.spec.id, job.attempt + 1, s.slots, s.milli, s.workers, job.spec.worker, waits)


def broken(snapshot: Snapshot, proposal: Proposal) -> set[PlanRule]:
    """Return the rules that a plan breaks."""
    return {violation.rule for violation in judge(snapshot, proposal)}
