# SPDX-License-Identifier: Apache-2.0
"""`decide(state, event)`: whether an event that upstream published holds now.

It only judges; whoever asked appends the fact, keeps the refusal, or parks the event. Every event
type has a natural key whose order the state itself can judge, so a duplicate or late event is known
without a memory of ids.
"""

from engine import decide_fleet, decide_jobs, decide_tenants
from engine.outcomes import Outcome, reject
from engine.state import State
from schemas import decisions, fleet, jobs, serving, tenants
from schemas.catalogue import BY_EVENT, Event
from schemas.reasons import Rejection


def decide(state: State, event: Event) -> Outcome:  # one return per family
    """Return what becomes of an event at the state's moment."""
    match event:
        case jobs.JobSubmitted():
            return decide_jobs.submitted(state, event)
        case jobs.JobCancelled():
            return decide_jobs.cancelled(state, event)
        case jobs.JobTierChanged() | jobs.JobPriorityChanged():
            return decide_jobs.changed(state, event)
        case (
            jobs.JobStarted()
            | jobs.JobResumed()
            | jobs.JobCheckpointed()
            | jobs.JobSuspended()
            | jobs.JobResized()
            | jobs.JobProgressed()
            | jobs.JobFailed()
            | jobs.JobFinished()
            | jobs.JobStopped()
        ):
            return decide_jobs.report(state, event)
        case _:
            return _decide_world(state, event)


def _decide_world(state: State, event: Event) -> Outcome:  # noqa: C901, PLR0911, PLR0912  # a table
    match event:
        case fleet.NodeHealthReported():
            return decide_fleet.node_health(state, event)
        case fleet.NodeDeclared() | fleet.NodeChanged():
            return decide_fleet.node(state, event)
        case fleet.NodeRemoved():
            return decide_fleet.node_removed(state, event)
        case fleet.DeviceDeclared() | fleet.DeviceChanged() | fleet.DeviceRemoved():
            return decide_fleet.device(state, event)
        case fleet.SkuDeclared() | fleet.SkuChanged():
            return decide_fleet.sku(state, event)
        case fleet.RegionDeclared() | fleet.RegionChanged():
            return decide_fleet.region(state, event)
        case fleet.ClusterDeclared() | fleet.ClusterChanged():
            return decide_fleet.cluster(state, event)
        case fleet.DomainDeclared() | fleet.DomainChanged():
            return decide_fleet.domain(state, event)
        case fleet.SkuRemoved():
            return decide_fleet.removed(state, event, "sku")
        case fleet.RegionRemoved():
            return decide_fleet.removed(state, event, "region")
        case fleet.ClusterRemoved():
            return decide_fleet.removed(state, event, "cluster")
        case fleet.DomainRemoved():
            return decide_fleet.removed(state, event, "domain")
        case _:
            return _decide_rest(state, event)


def _decide_rest(state: State, event: Event) -> Outcome:  # noqa: PLR0911  # a table
    match event:
        case tenants.TenantDeclared() | tenants.TenantChanged():
            return decide_tenants.tenant(state, event)
        case tenants.TeamDeclared() | tenants.TeamChanged():
            return decide_tenants.team(state, event)
        case tenants.ReservationGranted() | tenants.ReservationChanged():
            return decide_tenants.reservation(state, event)
        case tenants.TenantRemoved():
            return decide_tenants.tenant_removed(state, event)
        case tenants.TeamRemoved():
            return decide_tenants.team_removed(state, event)
        case tenants.ReservationEnded():
            return decide_tenants.reservation_ended(state, event)
        case decisions.PolicyActivated() | decisions.RulesActivated():
            return reject(
                Rejection.NOT_AUTHORISED,
                "ce_type",
                BY_EVENT[type(event)].ce_type,
                "only an operator activates policy and rules, by the command line",
            )
        case fleet.NodeHeartbeat() | serving.RequestServed():
            rule = "raw events are for intake, which folds them; publish them on a broker's topic"
            return reject(Rejection.NOT_SERVED, "ce_type", BY_EVENT[type(event)].ce_type, rule)
        case (
            serving.DeploymentDeclared()
            | serving.DeploymentChanged()
            | serving.DeploymentRemoved()
            | serving.RequestProfileObserved()
        ):
            rule = "serving is contract only in this build"
            return reject(Rejection.NOT_SERVED, "ce_type", BY_EVENT[type(event)].ce_type, rule)
        case _:
            rule = "decisions come from the engine alone"
            ce_type = BY_EVENT[type(event)].ce_type
            return reject(Rejection.NOT_AUTHORISED, "ce_type", ce_type, rule)


def arrivals(event: Event) -> tuple[str, ...]:  # noqa: PLR0911  # a table
    """Return what a fact makes known, as kind:name, for which parked events may wait."""
    match event:
        case jobs.JobSubmitted():
            return (f"job:{event.job.id}",)
        case fleet.NodeDeclared():
            return (f"node:{event.node.name}",)
        case fleet.DomainDeclared():
            return (f"domain:{event.domain.name}",)
        case fleet.ClusterDeclared():
            return (f"cluster:{event.cluster.name}",)
        case fleet.RegionDeclared():
            return (f"region:{event.region.name}",)
        case fleet.SkuDeclared():
            return (f"sku:{event.sku.name}",)
        case tenants.TenantDeclared():
            return (f"tenant:{event.tenant.name}",)
        case tenants.TeamDeclared():
            return (f"team:{event.team.id}",)
        case tenants.ReservationGranted():
            return (f"reservation:{event.reservation.id}",)
        case _:
            return ()
