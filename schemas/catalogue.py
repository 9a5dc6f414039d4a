# SPDX-License-Identifier: Apache-2.0
"""Every event type there is: its name on the wire, its family, its domain type.

The names are part of the contract and are written out here, so that renaming a class never changes
the wire.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct

from schemas import decisions, fleet, jobs, serving, tenants

Event = (
    fleet.FleetEvent
    | tenants.TenantEvent
    | jobs.JobEvent
    | serving.ServingEvent
    | decisions.DecisionEvent
)


class Family(StrEnum):
    """A group of event types that share a topic and a kind of publisher."""

    FLEET = "fleet.events"
    TENANT = "tenant.events"
    JOB = "job.events"
    SERVING = "request.events"
    DECISION = "ledger"


class EventType(Struct, frozen=True):
    """One event type: `ce_type` on the wire, `event` in the domain, `message` in the contract.

    A `raw` event comes so often that it is for intake only: intake folds many of them into one of
    another type, `decide` refuses them, and the ledger never carries them.
    """

    ce_type: str
    family: Family
    event: type[Event]
    message: str
    raw: bool = False


def _entry(ce_type: str, family: Family, event: type[Event], *, raw: bool = False) -> EventType:
    return EventType(ce_type, family, event, event.__name__, raw)


CATALOGUE: tuple[EventType, ...] = (
    _entry("singlepool.fleet.sku.declared.v1", Family.FLEET, fleet.SkuDeclared),
    _entry("singlepool.fleet.sku.changed.v1", Family.FLEET, fleet.SkuChanged),
    _entry("singlepool.fleet.sku.removed.v1", Family.FLEET, fleet.SkuRemoved),
    _entry("singlepool.fleet.region.declared.v1", Family.FLEET, fleet.RegionDeclared),
    _entry("singlepool.fleet.region.changed.v1", Family.FLEET, fleet.RegionChanged),
    _entry("singlepool.fleet.region.removed.v1", Family.FLEET, fleet.RegionRemoved),
    _entry("singlepool.fleet.cluster.declared.v1", Family.FLEET, fleet.ClusterDeclared),
    _entry("singlepool.fleet.cluster.changed.v1", Family.FLEET, fleet.ClusterChanged),
    _entry("singlepool.fleet.cluster.removed.v1", Family.FLEET, fleet.ClusterRemoved),
    _entry("singlepool.fleet.domain.declared.v1", Family.FLEET, fleet.DomainDeclared),
    _entry("singlepool.fleet.domain.changed.v1", Family.FLEET, fleet.DomainChanged),
    _entry("singlepool.fleet.domain.removed.v1", Family.FLEET, fleet.DomainRemoved),
    _entry("singlepool.fleet.node.declared.v1", Family.FLEET, fleet.NodeDeclared),
    _entry("singlepool.fleet.node.changed.v1", Family.FLEET, fleet.NodeChanged),
    _entry("singlepool.fleet.node.removed.v1", Family.FLEET, fleet.NodeRemoved),
    _entry("singlepool.fleet.device.declared.v1", Family.FLEET, fleet.DeviceDeclared),
    _entry("singlepool.fleet.device.changed.v1", Family.FLEET, fleet.DeviceChanged),
    _entry("singlepool.fleet.device.removed.v1", Family.FLEET, fleet.DeviceRemoved),
    _entry("singlepool.fleet.node_health.reported.v1", Family.FLEET, fleet.NodeHealthReported),
    _entry("singlepool.fleet.node_heartbeat.v1", Family.FLEET, fleet.NodeHeartbeat, raw=True),
    _entry("singlepool.tenant.tenant.declared.v1", Family.TENANT, tenants.TenantDeclared),
    _entry("singlepool.tenant.tenant.changed.v1", Family.TENANT, tenants.TenantChanged),
    _entry("singlepool.tenant.tenant.removed.v1", Family.TENANT, tenants.TenantRemoved),
    _entry("singlepool.tenant.team.declared.v1", Family.TENANT, tenants.TeamDeclared),
    _entry("singlepool.tenant.team.changed.v1", Family.TENANT, tenants.TeamChanged),
    _entry("singlepool.tenant.team.removed.v1", Family.TENANT, tenants.TeamRemoved),
    _entry("singlepool.tenant.reservation.granted.v1", Family.TENANT, tenants.ReservationGranted),
    _entry("singlepool.tenant.reservation.changed.v1", Family.TENANT, tenants.ReservationChanged),
    _entry("singlepool.tenant.reservation.ended.v1", Family.TENANT, tenants.ReservationEnded),
    _entry("singlepool.job.submitted.v1", Family.JOB, jobs.JobSubmitted),
    _entry("singlepool.job.cancelled.v1", Family.JOB, jobs.JobCancelled),
    _entry("singlepool.job.tier_changed.v1", Family.JOB, jobs.JobTierChanged),
    _entry("singlepool.job.priority_changed.v1", Family.JOB, jobs.JobPriorityChanged),
    _entry("singlepool.job.started.v1", Family.JOB, jobs.JobStarted),
    _entry("singlepool.job.resumed.v1", Family.JOB, jobs.JobResumed),
    _entry("singlepool.job.checkpointed.v1", Family.JOB, jobs.JobCheckpointed),
    _entry("singlepool.job.suspended.v1", Family.JOB, jobs.JobSuspended),
    _entry("singlepool.job.resized.v1", Family.JOB, jobs.JobResized),
    _entry("singlepool.job.progressed.v1", Family.JOB, jobs.JobProgressed),
    _entry("singlepool.job.failed.v1", Family.JOB, jobs.JobFailed),
    _entry("singlepool.job.finished.v1", Family.JOB, jobs.JobFinished),
    _entry("singlepool.job.stopped.v1", Family.JOB, jobs.JobStopped),
    _entry("singlepool.serving.deployment.declared.v1", Family.SERVING, serving.DeploymentDeclared),
    _entry("singlepool.serving.deployment.changed.v1", Family.SERVING, serving.DeploymentChanged),
    _entry("singlepool.serving.deployment.removed.v1", Family.SERVING, serving.DeploymentRemoved),
    _entry(
        "singlepool.serving.request_profile.observed.v1",
        Family.SERVING,
        serving.RequestProfileObserved,
    ),
    _entry("singlepool.serving.request_served.v1", Family.SERVING, serving.RequestServed, raw=True),
    _entry("singlepool.decision.cycle_opened.v1", Family.DECISION, decisions.CycleOpened),
    _entry("singlepool.decision.launch_ordered.v1", Family.DECISION, decisions.LaunchOrdered),
    _entry("singlepool.decision.suspend_ordered.v1", Family.DECISION, decisions.SuspendOrdered),
    _entry("singlepool.decision.migrate_ordered.v1", Family.DECISION, decisions.MigrateOrdered),
    _entry("singlepool.decision.resize_ordered.v1", Family.DECISION, decisions.ResizeOrdered),
    _entry("singlepool.decision.stop_ordered.v1", Family.DECISION, decisions.StopOrdered),
    _entry("singlepool.decision.verdict_reached.v1", Family.DECISION, decisions.VerdictReached),
    _entry("singlepool.decision.action_dropped.v1", Family.DECISION, decisions.ActionDropped),
    _entry("singlepool.decision.plan_committed.v1", Family.DECISION, decisions.PlanCommitted),
    _entry("singlepool.decision.policy_activated.v1", Family.DECISION, decisions.PolicyActivated),
    _entry("singlepool.decision.rules_activated.v1", Family.DECISION, decisions.RulesActivated),
    _entry("singlepool.decision.event_parked.v1", Family.DECISION, decisions.EventParked),
    _entry("singlepool.decision.parked_released.v1", Family.DECISION, decisions.ParkedReleased),
)
"""All event types, in the order of the contract's files."""

BY_CE_TYPE: Mapping[str, EventType] = MappingProxyType({e.ce_type: e for e in CATALOGUE})
BY_EVENT: Mapping[type[Event], EventType] = MappingProxyType({e.event: e for e in CATALOGUE})
RECORDED: tuple[EventType, ...] = tuple(e for e in CATALOGUE if not e.raw)
"""What a ledger can carry, and so what a history can hold."""
