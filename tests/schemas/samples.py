# SPDX-License-Identifier: Apache-2.0
"""One full, valid event of every type, spelled out: what the golden files were made from."""

from collections.abc import Mapping

from msgspec import structs

from schemas import decisions, fleet, jobs, serving, tenants
from schemas.catalogue import Event
from schemas.ids import (
    ClusterName,
    DeploymentId,
    DomainName,
    JobId,
    NodeName,
    RegionName,
    SkuName,
    TenantName,
)
from schemas.kinds import ApiKind, IoProfile, NodeHealth, SkuKind, Span, Tier

SKU = fleet.Sku(
    name=SkuName("h100"),
    generation=2,
    kind=SkuKind.GPU,
    vendor="nvidia",
    memory_mib=81_920,
    speeds=(fleet.WorkloadSpeed("llm", 2_600), fleet.WorkloadSpeed("vision", 1_900)),
    shareable=True,
    checkpointable=True,
    confidential=True,
)
REGION = fleet.Region(RegionName("west"), 1)
CLUSTER = fleet.Cluster(ClusterName("west-1"), 3, RegionName("west"), 5_000)
DOMAIN = fleet.Domain(DomainName("west-1.rack-7"), 1, ClusterName("west-1"))
NODE = fleet.Node(
    name=NodeName("west-1.n-042"),
    generation=4,
    domain=DomainName("west-1.rack-7"),
    sku=SkuName("h100"),
    devices=8,
    cpu_milli=96_000,
    memory_mib=2_097_152,
    storage_mbps=8_000,
    network_mbps=50_000,
    io=IoProfile.OFFLOAD,
    labels=(fleet.Label("zone.example/row", "7"), fleet.Label("partition", "research")),
    attested_until_ms=1_767_225_600_000,
)
TENANT = tenants.Tenant(TenantName("acme"), 1, 3)
TEAM = tenants.Team(TenantName("acme"), "research", 2, 5, 64)
RESERVATION = tenants.Reservation(
    tenant=TenantName("acme"),
    team="research",
    name="r-1",
    generation=1,
    skus=(SkuName("h100"), SkuName("a100")),
    regions=(RegionName("west"),),
    devices=32,
)
JOB = jobs.Job(
    tenant=TenantName("acme"),
    name="train-7",
    generation=1,
    team="research",
    tier=Tier.STANDARD,
    priority=-3,
    workers_min=4,
    workers_max=8,
    worker=jobs.WorkerShape(1, 500, 8_000, 65_536, 100, 200),
    constraints=jobs.Constraints(
        skus=(SkuName("h100"),),
        regions=(RegionName("west"), RegionName("north")),
        labels=(fleet.Label("partition", "research"),),
        confidential=True,
        span=Span.DOMAIN,
    ),
    workload_class="llm",
    checkpoint_mib=131_072,
)
ID = JobId("acme/train-7@1")
OTHER = JobId("acme/chat-2@5")
SLICES = (
    decisions.Slice(NodeName("west-1.n-042"), (0, 1, 5), 500, 3),
    decisions.Slice(NodeName("west-1.n-043"), (7,), 500, 1),
)
DEPLOYMENT = serving.Deployment(
    tenant=TenantName("acme"),
    name="chat",
    generation=2,
    team="serving",
    api=ApiKind.PROVISIONED,
    model="acme/chat-70b",
    provisioned_tokens_per_s=12_000,
)
PROFILE = serving.RequestProfile(
    deployment=DeploymentId("acme/chat@2"),
    origin_region=RegionName("west"),
    window_start_ms=1_767_225_600_000,
    window_ms=60_000,
    requests=5_400,
    prompt_tokens=2_000_000,
    output_tokens=700_000,
    reused_prefix_tokens=900_000,
    latency_p50_ms=320,
    latency_p99_ms=2_100,
    source="request.events.main/3/gw-1",
)
SERVED = serving.RequestServed(
    deployment=DeploymentId("acme/chat@2"),
    origin_region=RegionName("west"),
    gateway="gw-1",
    boot=1_767_225_000_000,
    sequence=48_213,
    served_ms=1_767_225_612_345,
    prompt_tokens=370,
    output_tokens=130,
    reused_prefix_tokens=166,
    latency_ms=421,
)
POLICY = decisions.Policy(
    name="pool",
    version=1,
    period_ms=60_000,
    fresh_device_ms=3_600_000,
    tiers=(
        decisions.TierPolicy(Tier.PREMIUM, 400, 4_000, 700_000),
        decisions.TierPolicy(Tier.STANDARD, 200, 2_000, 700_000),
        decisions.TierPolicy(Tier.BASIC, 100, 1_000, 50_000),
    ),
    lends=True,
    moves=True,
    reclaim_ms=120_000,
    park_ms=86_400_000,
    failure_buffer_ppm=20_000,
    gap_target_ppm=10_000,
    solve_interval_ms=600_000,
    min_run_ms=300_000,
    move_penalty_ms=60_000,
    queue_limit=2_000,
)
COMMITTED = decisions.PlanCommitted(
    cycle=9,
    proposed=5,
    applied=4,
    dropped=1,
    actions_digest=bytes(range(32)),
    policy="pool@1",
    rules=2,
    build="0123456789abcdef",
    problem_digest=bytes(range(32, 64)),
    reason="optimal",
    objective=-7,
    bound=12,
    gap_ppm=350,
    full_solve=True,
    prices=(0, -4, 2_500_000),
    state_digest=bytes(range(64, 96)),
    price_keys=("west-1/h100", "north-1/h100", "r-1"),
)
PARKED = decisions.EventParked(
    ce_type="singlepool.job.started.v1",
    payload=b"\n\x0eacme/train-7@1\x10\x01",
    waits_for="job:acme/train-7@1",
    deadline_ms=1_767_312_000_000,
    ce_id="report-1",
    ce_source="agent/west-1.n-042",
    ce_subject="acme/train-7@1",
    ce_time="2026-01-01T00:00:00Z",
    correlation_id="acme/train-7@1",
    causation_id="ledger/77",
)
EXCLUDED = (decisions.Exclusion("sku", 12), decisions.Exclusion("worker_shape", 3))

_FLEET: tuple[Event, ...] = (
    fleet.SkuDeclared(SKU),
    fleet.SkuChanged(structs.replace(SKU, generation=3, kind=SkuKind.ASIC)),
    fleet.SkuRemoved(SkuName("h100"), 4),
    fleet.RegionDeclared(REGION),
    fleet.RegionChanged(structs.replace(REGION, generation=2)),
    fleet.RegionRemoved(RegionName("west"), 3),
    fleet.ClusterDeclared(CLUSTER),
    fleet.ClusterChanged(structs.replace(CLUSTER, generation=4, interconnect_mbps=9_000)),
    fleet.ClusterRemoved(ClusterName("west-1"), 5),
    fleet.DomainDeclared(DOMAIN),
    fleet.DomainChanged(structs.replace(DOMAIN, generation=2)),
    fleet.DomainRemoved(DomainName("west-1.rack-7"), 3),
    fleet.NodeDeclared(NODE),
    fleet.NodeChanged(structs.replace(NODE, generation=5, io=IoProfile.HOST, devices=4)),
    fleet.NodeRemoved(NodeName("west-1.n-042"), 6),
    fleet.DeviceDeclared(NodeName("west-1.n-042"), 7, 1),
    fleet.DeviceChanged(NodeName("west-1.n-042"), 7, 2, usable=True),
    fleet.DeviceRemoved(NodeName("west-1.n-042"), 7, 3),
    fleet.NodeHealthReported(NodeName("west-1.n-042"), 9, NodeHealth.DRAINING, "ECC errors"),
    fleet.NodeHeartbeat(NodeName("west-1.n-042"), 1_767_225_000_000, 61, 1_767_225_610_000, 2),
)
_TENANTS: tuple[Event, ...] = (
    tenants.TenantDeclared(TENANT),
    tenants.TenantChanged(structs.replace(TENANT, generation=2, share_weight=4)),
    tenants.TenantRemoved(TenantName("acme"), 3),
    tenants.TeamDeclared(TEAM),
    tenants.TeamChanged(structs.replace(TEAM, generation=3, limit_devices=9)),
    tenants.TeamRemoved(TenantName("acme"), "research", 4),
    tenants.ReservationGranted(RESERVATION),
    tenants.ReservationChanged(structs.replace(RESERVATION, generation=2, devices=48)),
    tenants.ReservationEnded(TenantName("acme"), "r-1", 3),
)
_JOBS: tuple[Event, ...] = (
    jobs.JobSubmitted(JOB),
    jobs.JobCancelled(ID, "no longer wanted"),
    jobs.JobTierChanged(ID, 1, Tier.PREMIUM),
    jobs.JobPriorityChanged(ID, 2, 50),
    jobs.JobStarted(ID, 1),
    jobs.JobResumed(ID, 2, 3),
    jobs.JobCheckpointed(ID, 2, 4),
    jobs.JobSuspended(ID, 2, 5),
    jobs.JobResized(ID, 3, 1, 6),
    jobs.JobProgressed(ID, 3, 17, 640_000),
    jobs.JobFailed(ID, 3, retryable=True, detail="NCCL timeout"),
    jobs.JobFinished(ID, 4),
    jobs.JobStopped(ID, 4),
)
_SERVING: tuple[Event, ...] = (
    serving.DeploymentDeclared(DEPLOYMENT),
    serving.DeploymentChanged(structs.replace(DEPLOYMENT, generation=3, api=ApiKind.PAYGO)),
    serving.DeploymentRemoved(TenantName("acme"), "chat", 4),
    serving.RequestProfileObserved(PROFILE),
    SERVED,
)
_DECISIONS: tuple[Event, ...] = (
    decisions.CycleOpened(9, 76, 1_506_816_000_000),
    decisions.LaunchOrdered(ID, 1, 4, SLICES, (OTHER,), resume=True),
    decisions.SuspendOrdered(OTHER, 2, ID),
    decisions.MigrateOrdered(OTHER, 2, 4, SLICES, (ID,), ID),
    decisions.ResizeOrdered(OTHER, 2, 1, 4, SLICES, ID),
    decisions.StopOrdered(OTHER, 2),
    decisions.VerdictReached(ID, "never_fits", 8, 3, EXCLUDED),
    decisions.ActionDropped(ID, "LaunchOrdered", "devices_taken"),
    COMMITTED,
    decisions.PolicyActivated(POLICY),
    decisions.RulesActivated(2),
    PARKED,
    decisions.ParkedReleased(77, admitted=False, reason="unknown_entity"),
)

SAMPLES: Mapping[type[Event], Event] = {
    type(event): event for event in (*_FLEET, *_TENANTS, *_JOBS, *_SERVING, *_DECISIONS)
}
"""The sample of each event type."""
