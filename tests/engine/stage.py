# SPDX-License-Identifier: Apache-2.0
"""A small stage for the engine: a fleet, a tenant, a host, and agents that answer when told."""

from collections.abc import Iterable

from msgspec import structs

from engine.invariants import broken
from engine.planning import Plan, plan
from engine.policies import POOL
from engine.rules import CURRENT_RULES
from engine.state import State
from schemas import fleet, jobs, tenants
from schemas.catalogue import Event
from schemas.codec import publish
from schemas.decisions import Policy, PolicyActivated, RulesActivated
from schemas.directives import (
    Directive,
    LaunchDirective,
    ResizeDirective,
    StopDirective,
    SuspendDirective,
)
from schemas.ids import (
    ClusterName,
    DomainName,
    JobId,
    NodeName,
    RegionName,
    SkuName,
    TenantName,
)
from schemas.kinds import IoProfile, SkuKind, Tier
from streams.host import Batch, Host, PendingCycle

START_MS = 1_000_000_000
TENANT = TenantName("acme")
SKU = SkuName("gpu")
TEAMS = ("red", "blue")
QUICK = structs.replace(POOL, name="quick", min_run_ms=0, park_ms=600_000)


def node(name: str, cluster: str, devices: int = 4) -> fleet.Node:
    """A plain node in the one domain of its cluster."""
    return fleet.Node(
        NodeName(name),
        1,
        DomainName(f"{cluster}-d"),
        SKU,
        devices,
        cpu_milli=16_000,
        memory_mib=65_536,
        storage_mbps=2_000,
        network_mbps=10_000,
        io=IoProfile.OFFLOAD,
    )


def genesis(reserved: int = 4) -> tuple[Event, ...]:
    """Two clusters of two nodes of four devices, two teams, of which red has a reservation."""
    events: list[Event] = [
        fleet.SkuDeclared(fleet.Sku(SKU, 1, SkuKind.GPU, "any", 16_384)),
        fleet.RegionDeclared(fleet.Region(RegionName("r"), 1)),
        tenants.TenantDeclared(tenants.Tenant(TENANT, 1, 1)),
        *(tenants.TeamDeclared(tenants.Team(TENANT, team, 1, 1)) for team in TEAMS),
    ]
    for cluster in ("a", "b"):
        name = ClusterName(cluster)
        events.extend(
            [
                fleet.ClusterDeclared(fleet.Cluster(name, 1, RegionName("r"), 1_000)),
                fleet.DomainDeclared(fleet.Domain(DomainName(f"{cluster}-d"), 1, name)),
                *(fleet.NodeDeclared(node(f"{cluster}{i}", cluster)) for i in range(2)),
            ]
        )
    events.append(
        tenants.ReservationGranted(tenants.Reservation(TENANT, "red", "home", 1, (), (), reserved))
    )
    return tuple(events)


def job(  # a builder: every part has a default
    name: str,
    workers: int = 1,
    *,
    least: int | None = None,
    tier: Tier = Tier.BASIC,
    team: str = "blue",
    generation: int = 1,
) -> jobs.Job:
    """A job of one-device workers."""
    return jobs.Job(
        TENANT,
        name,
        generation,
        team,
        tier,
        priority=0,
        workers_min=workers if least is None else least,
        workers_max=workers,
        worker=jobs.WorkerShape(1, cpu_milli=1_000, memory_mib=1_024),
        constraints=jobs.Constraints(),
        checkpoint_mib=1_024,
    )


class Stage:
    """An engine with its ledger in memory; invariants are checked after every step."""

    def __init__(self, policy: Policy = QUICK, rules: int = CURRENT_RULES) -> None:
        """Start an empty ledger under a policy and rules."""
        self.state = State()
        self.host = Host(self.state, "stage")
        self.now_ms = START_MS
        self.ledger: list[bytes] = []
        self.told: dict[JobId, Directive] = {}
        self._aside: tuple[PendingCycle, Plan] | None = None
        self.last: Batch = self._take(
            self.host.activate((RulesActivated(rules), PolicyActivated(policy)), self.now_ms)
        )

    def _take(self, batch: Batch) -> Batch:
        self.ledger.extend(batch.records)
        for directive in batch.directives:
            self.told[directive.job] = directive
        assert broken(self.state) == ()
        return batch

    def tell(self, *events: Event, after_ms: int = 0) -> Batch:
        """Let time pass, then let events arrive."""
        if self._aside is not None:
            return self.hear(*events, after_ms=after_ms)
        self.now_ms += after_ms
        arrived = [(publish(event), event) for event in events]
        self.last = self._take(self.host.step(arrived, self.now_ms, retry=True))
        return self.last

    def hear(self, *events: Event, after_ms: int = 0) -> Batch:
        """Let time pass, then let events arrive; plan nothing."""
        self.now_ms += after_ms
        arrived = [(publish(event), event) for event in events]
        self.last = self._take(self.host.admit(arrived, self.now_ms))
        return self.last

    def plan_aside(self) -> bool:
        """Make a plan and keep it, as a slow planner would; events only come in until it lands."""
        pending = None if self._aside else self.host.open_cycle(self.now_ms, retry=True)
        if pending is not None:
            self._aside = pending, plan(pending.snapshot)
        return pending is not None

    def land(self, after_ms: int = 0) -> Batch:
        """Record what still holds of the plan that was kept, if there is one."""
        aside, self._aside = self._aside, None
        self.now_ms += after_ms
        if aside is not None:
            self.last = self._take(self.host.close_cycle(*aside, self.now_ms))
        return self.last

    def wait(self, ms: int = 60_000) -> Batch:
        """Let time pass and look again."""
        return self.tell(after_ms=ms)

    def answer(self, name: JobId) -> jobs.JobReport | None:
        """Return the report with which the agents answer what they were last told of a job."""
        state = self.state.jobs[name]
        match self.told.pop(name, None):
            case LaunchDirective(attempt=attempt, resume=True):
                return jobs.JobResumed(name, attempt, state.checkpoint)
            case LaunchDirective(attempt=attempt):
                return jobs.JobStarted(name, attempt)
            case SuspendDirective(attempt=attempt):
                return jobs.JobSuspended(name, attempt, state.checkpoint + 1)
            case ResizeDirective(attempt=attempt, resize=resize, workers=workers):
                return jobs.JobResized(name, attempt, resize, workers)
            case StopDirective(attempt=attempt):
                return jobs.JobStopped(name, attempt)
            case None:
                return None

    def settle(self, rounds: int = 20) -> None:
        """Let the agents answer all they were told, until they were told nothing new."""
        for _ in range(rounds):
            reports = [self.answer(name) for name in sorted(self.told)]
            if not reports:
                return
            self.tell(*_known(reports), after_ms=1_000)

    def submit(self, *wanted: jobs.Job) -> None:
        """Submit jobs, plan, and let the agents answer."""
        self.tell(*(jobs.JobSubmitted(spec) for spec in wanted), after_ms=60_000)
        self.settle()


def _known(reports: Iterable[jobs.JobReport | None]) -> tuple[jobs.JobReport, ...]:
    return tuple(report for report in reports if report is not None)
