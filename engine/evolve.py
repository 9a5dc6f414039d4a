# SPDX-License-Identifier: Apache-2.0
"""`evolve(state, record)`: the fold.

One function per kind of record, total, exact, without clock or chance.

Whoever reads the ledger folds it with this: the leader as it writes, a standby, the archive's
check, a replay.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from engine import fold_decisions as decided
from engine import fold_fleet as in_fleet
from engine import fold_jobs as of_job
from engine import fold_tenants as of_tenant
from engine.state import State
from schemas import decisions, fleet, jobs, tenants
from schemas.catalogue import Event
from schemas.errors import InternalError, UnknownEventError
from schemas.records import Record

# Each function takes the event type it is registered for; the table's values have no common
# narrower type.
_Fold = Callable[[State, Record, Any], None]

FOLDS: Mapping[type[Event], _Fold] = MappingProxyType(
    {
        fleet.SkuDeclared: in_fleet.sku_known,
        fleet.SkuChanged: in_fleet.sku_known,
        fleet.SkuRemoved: in_fleet.sku_removed,
        fleet.RegionDeclared: in_fleet.region_known,
        fleet.RegionChanged: in_fleet.region_known,
        fleet.RegionRemoved: in_fleet.region_removed,
        fleet.ClusterDeclared: in_fleet.cluster_known,
        fleet.ClusterChanged: in_fleet.cluster_known,
        fleet.ClusterRemoved: in_fleet.cluster_removed,
        fleet.DomainDeclared: in_fleet.domain_known,
        fleet.DomainChanged: in_fleet.domain_known,
        fleet.DomainRemoved: in_fleet.domain_removed,
        fleet.NodeDeclared: in_fleet.node_declared,
        fleet.NodeChanged: in_fleet.node_changed,
        fleet.NodeRemoved: in_fleet.node_removed,
        fleet.DeviceDeclared: in_fleet.device_came,
        fleet.DeviceChanged: in_fleet.device_changed,
        fleet.DeviceRemoved: in_fleet.device_removed,
        fleet.NodeHealthReported: in_fleet.node_health_reported,
        tenants.TenantDeclared: of_tenant.tenant_known,
        tenants.TenantChanged: of_tenant.tenant_known,
        tenants.TenantRemoved: of_tenant.tenant_removed,
        tenants.TeamDeclared: of_tenant.team_known,
        tenants.TeamChanged: of_tenant.team_known,
        tenants.TeamRemoved: of_tenant.team_removed,
        tenants.ReservationGranted: of_tenant.reservation_known,
        tenants.ReservationChanged: of_tenant.reservation_known,
        tenants.ReservationEnded: of_tenant.reservation_ended,
        jobs.JobSubmitted: of_job.submitted,
        jobs.JobCancelled: of_job.cancelled,
        jobs.JobTierChanged: of_job.tier_changed,
        jobs.JobPriorityChanged: of_job.priority_changed,
        jobs.JobStarted: of_job.started,
        jobs.JobResumed: of_job.resumed,
        jobs.JobCheckpointed: of_job.checkpointed,
        jobs.JobSuspended: of_job.suspended,
        jobs.JobResized: of_job.resized,
        jobs.JobProgressed: of_job.progressed,
        jobs.JobFailed: of_job.failed,
        jobs.JobFinished: of_job.finished,
        jobs.JobStopped: of_job.stopped,
        decisions.CycleOpened: decided.cycle_opened,
        decisions.LaunchOrdered: decided.launch_ordered,
        decisions.SuspendOrdered: decided.suspend_ordered,
        decisions.MigrateOrdered: decided.migrate_ordered,
        decisions.ResizeOrdered: decided.resize_ordered,
        decisions.StopOrdered: decided.stop_ordered,
        decisions.VerdictReached: decided.verdict_reached,
        decisions.ActionDropped: decided.action_dropped,
        decisions.PlanCommitted: decided.plan_committed,
        decisions.PolicyActivated: decided.policy_activated,
        decisions.RulesActivated: decided.rules_activated,
        decisions.EventParked: decided.event_parked,
        decisions.ParkedReleased: decided.parked_released,
    }
)


def evolve(state: State, record: Record) -> None:
    """Bring the state from `record.position` to the one after it.

    Raises `InternalError` where the record is not the next one or its time runs backwards, and
    `UnknownEventError` for a kind that no rule of this build folds: a fold never goes on past what
    it does not understand.
    """
    if record.position != state.head:
        msg = f"record {record.position} came where position {state.head} was due"
        raise InternalError(msg)
    if record.recorded_ms < state.now_ms:
        msg = f"record {record.position} is of {record.recorded_ms} ms, before {state.now_ms} ms"
        raise InternalError(msg)
    fold = FOLDS.get(type(record.event))
    if fold is None:
        msg = f"record {record.position}: no rule folds {type(record.event).__name__}"
        raise UnknownEventError(msg)
    state.now_ms = record.recorded_ms
    fold(state, record, record.event)
    state.head += 1


def advance(state: State, record: Record | None) -> None:
    """Bring the state past the next record; None stands for one that may be skipped."""
    if record is None:
        skip(state)
    else:
        evolve(state, record)


def skip(state: State) -> None:
    """Pass over a record that this build does not know and that is marked skippable."""
    state.head += 1
