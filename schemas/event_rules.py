# SPDX-License-Identifier: Apache-2.0
"""Which rules hold for the fields of each event type and of the values inside them.

Two tables say it all: `FIELDS` has the rules of each field, `TOGETHER` those that look at several
fields of one value. Booleans and enumerations need no rule: the codec refuses what is not one of
their values. A field of a nested value has its rules under that value's type.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from schemas import decisions, fleet, jobs, serving, tenants
from schemas import value_rules as must
from schemas.kinds import Tier
from schemas.reasons import Drop, Reason, Rejection, Rule
from schemas.value_rules import ValueRule

Rules = tuple[ValueRule, ...]


class Together(Struct, frozen=True):
    """A rule on a whole value; a refusal shows `field`."""

    field: str
    sentence: str
    holds: Callable[[Any], object]


def _fields(**rules: ValueRule | Rules) -> Mapping[str, Rules]:
    return {name: rule if isinstance(rule, tuple) else (rule,) for name, rule in rules.items()}


_NAMED = _fields(name=must.NAME, generation=must.COUNTED)
_OWNED = _fields(tenant=must.NAME, name=must.NAME, generation=must.COUNTED)
_SLOT = _fields(node=must.NAME, slot=must.DEVICES, sequence=must.COUNTED)
_ATTEMPT = _fields(job=must.JOB_ID, attempt=must.COUNTED)
_SAVED = {**_ATTEMPT, **_fields(checkpoint=must.COUNTED)}
_NAMES = (must.each(must.NAME), must.unique())
_ONE_LABEL_A_KEY = must.unique(attrgetter("key"), by="label key")
_ORDERED = {**_ATTEMPT, **_fields(gains=must.JOB_ID_OR_NONE)}
_PLACED = _fields(workers=must.WORKERS, slices=must.NOT_EMPTY)
_AWAITED = _fields(waits_for=(must.each(must.JOB_ID), must.unique()))

FIELDS: Mapping[type[Struct], Mapping[str, Rules]] = MappingProxyType(
    {
        # --- fleet
        fleet.WorkloadSpeed: _fields(workload_class=must.NAME, speed_milli=must.SPEED),
        fleet.Label: _fields(key=must.PATH, value=must.SHORT_TEXT),
        fleet.Sku: {
            **_NAMED,
            **_fields(
                vendor=must.SHORT_TEXT,
                memory_mib=must.AMOUNT,
                speeds=must.unique(attrgetter("workload_class"), by="workload class"),
            ),
        },
        fleet.Region: _NAMED,
        fleet.Cluster: {
            **_NAMED,
            **_fields(region=must.NAME, interconnect_mbps=must.POSITIVE_AMOUNT),
        },
        fleet.Domain: {**_NAMED, **_fields(cluster=must.NAME)},
        fleet.Node: {
            **_NAMED,
            **_fields(
                domain=must.NAME,
                sku=must.NAME_OR_NONE,
                devices=must.DEVICES,
                cpu_milli=must.AMOUNT,
                memory_mib=must.AMOUNT,
                storage_mbps=must.POSITIVE_AMOUNT,
                network_mbps=must.POSITIVE_AMOUNT,
                labels=_ONE_LABEL_A_KEY,
                attested_until_ms=must.INDEX,
            ),
        },
        fleet.SkuRemoved: _NAMED,
        fleet.RegionRemoved: _NAMED,
        fleet.ClusterRemoved: _NAMED,
        fleet.DomainRemoved: _NAMED,
        fleet.NodeRemoved: _NAMED,
        fleet.DeviceDeclared: _SLOT,
        fleet.DeviceChanged: _SLOT,
        fleet.DeviceRemoved: _SLOT,
        fleet.NodeHealthReported: _fields(node=must.NAME, sequence=must.COUNTED, detail=must.TEXT),
        fleet.NodeHeartbeat: _fields(
            node=must.NAME,
            boot=must.COUNTED,
            sequence=must.COUNTED,
            sent_ms=must.INDEX,
            device_errors=must.INDEX,
        ),
        # --- tenants
        tenants.Tenant: {**_NAMED, **_fields(share_weight=must.WEIGHT)},
        tenants.Team: {
            **_OWNED,
            **_fields(share_weight=must.WEIGHT, limit_devices=must.AMOUNT),
        },
        tenants.Reservation: {
            **_OWNED,
            **_fields(team=must.NAME, skus=_NAMES, regions=_NAMES, devices=must.SOME_DEVICES),
        },
        tenants.TenantRemoved: _NAMED,
        tenants.TeamRemoved: _OWNED,
        tenants.ReservationEnded: _OWNED,
        # --- jobs
        jobs.WorkerShape: _fields(
            devices=must.DEVICES,
            device_milli=must.MILLI,
            cpu_milli=must.AMOUNT,
            memory_mib=must.AMOUNT,
            storage_mbps=must.AMOUNT,
            network_mbps=must.AMOUNT,
        ),
        jobs.Constraints: _fields(skus=_NAMES, regions=_NAMES, labels=_ONE_LABEL_A_KEY),
        jobs.Job: {
            **_OWNED,
            **_fields(
                team=must.NAME,
                priority=must.PRIORITY,
                workers_min=must.WORKERS,
                workers_max=must.WORKERS,
                workload_class=must.NAME_OR_NONE,
                checkpoint_mib=must.AMOUNT,
            ),
        },
        jobs.JobCancelled: _fields(job=must.JOB_ID, reason=must.TEXT),
        jobs.JobTierChanged: _fields(job=must.JOB_ID, sequence=must.COUNTED),
        jobs.JobPriorityChanged: _fields(
            job=must.JOB_ID, sequence=must.COUNTED, priority=must.PRIORITY
        ),
        jobs.JobStarted: _ATTEMPT,
        jobs.JobResumed: _SAVED,
        jobs.JobCheckpointed: _SAVED,
        jobs.JobSuspended: _SAVED,
        jobs.JobResized: {**_ATTEMPT, **_fields(resize=must.COUNTED, workers=must.WORKERS)},
        jobs.JobProgressed: {**_ATTEMPT, **_fields(sequence=must.COUNTED, progress_ppm=must.PPM)},
        jobs.JobFailed: {**_ATTEMPT, **_fields(detail=must.TEXT)},
        jobs.JobFinished: _ATTEMPT,
        jobs.JobStopped: _ATTEMPT,
        # --- serving
        serving.Deployment: {
            **_OWNED,
            **_fields(team=must.NAME, model=must.PATH, provisioned_tokens_per_s=must.AMOUNT),
        },
        serving.DeploymentRemoved: _OWNED,
        serving.RequestProfile: _fields(
            deployment=must.DEPLOYMENT_ID,
            origin_region=must.NAME,
            window_start_ms=must.INDEX,
            window_ms=must.COUNTED,
            requests=must.INDEX,
            prompt_tokens=must.INDEX,
            output_tokens=must.INDEX,
            reused_prefix_tokens=must.INDEX,
            latency_p50_ms=must.INDEX,
            latency_p99_ms=must.INDEX,
            source=must.SOURCE,
        ),
        serving.RequestServed: _fields(
            deployment=must.DEPLOYMENT_ID,
            origin_region=must.NAME,
            gateway=must.NAME,
            boot=must.COUNTED,
            sequence=must.COUNTED,
            served_ms=must.INDEX,
            prompt_tokens=must.AMOUNT,
            output_tokens=must.AMOUNT,
            reused_prefix_tokens=must.AMOUNT,
            latency_ms=must.AMOUNT,
        ),
        # --- decisions
        decisions.Slice: _fields(
            node=must.NAME,
            slots=(must.each(must.DEVICES), must.unique()),
            milli=must.HELD_MILLI,
            workers=must.WORKERS,
        ),
        decisions.CycleOpened: _fields(cycle=must.COUNTED, cut=must.INDEX, cut_ms=must.INDEX),
        decisions.LaunchOrdered: {**_ATTEMPT, **_PLACED, **_AWAITED},
        decisions.SuspendOrdered: _ORDERED,
        decisions.MigrateOrdered: {**_ORDERED, **_PLACED, **_AWAITED},
        decisions.ResizeOrdered: {**_ORDERED, **_PLACED, **_fields(resize=must.COUNTED)},
        decisions.StopOrdered: _ATTEMPT,
        decisions.Exclusion: _fields(rule=must.one_of(Rule), nodes=must.INDEX),
        decisions.VerdictReached: _fields(
            job=must.JOB_ID,
            reason=must.one_of(Reason),
            needed_devices=must.INDEX,
            free_devices=must.INDEX,
            exclusions=must.unique(attrgetter("rule"), by="rule"),
        ),
        decisions.ActionDropped: _fields(
            job=must.JOB_ID, action=must.NAME, reason=must.one_of(Drop)
        ),
        decisions.PlanCommitted: _fields(
            cycle=must.COUNTED,
            proposed=must.INDEX,
            applied=must.INDEX,
            dropped=must.INDEX,
            actions_digest=must.DIGEST,
            policy=must.POLICY_ID,
            rules=must.INDEX,
            build=must.SHORT_TEXT,
            problem_digest=must.DIGEST,
            reason=must.SHORT_TEXT,
            objective=must.INT64,
            bound=must.INT64,
            gap_ppm=must.INDEX,
            prices=must.each(must.INT64),
            state_digest=must.DIGEST,
            price_keys=must.each(must.TEXT),
        ),
        decisions.TierPolicy: _fields(
            weight=must.WEIGHT, fresh_weight=must.WEIGHT, promise_ppm=must.PPM
        ),
        decisions.Policy: _fields(
            name=must.NAME,
            version=must.COUNTED,
            period_ms=must.POSITIVE_AMOUNT,
            fresh_device_ms=must.AMOUNT,
            tiers=must.unique(attrgetter("tier"), by="tier"),
            reclaim_ms=must.AMOUNT,
            park_ms=must.AMOUNT,
            failure_buffer_ppm=must.PPM,
            gap_target_ppm=must.PPM,
            solve_interval_ms=must.AMOUNT,
            min_run_ms=must.AMOUNT,
            move_penalty_ms=must.AMOUNT,
            queue_limit=must.SOME_DEVICES,
        ),
        decisions.RulesActivated: _fields(rules=must.COUNTED),
        decisions.EventParked: _fields(
            ce_type=must.PATH,
            payload=must.ANYTHING,
            waits_for=must.WAITED_FOR,
            deadline_ms=must.INDEX,
            ce_id=must.ATTRIBUTE,
            ce_source=must.ATTRIBUTE,
            ce_subject=must.ATTRIBUTE,
            ce_time=must.ATTRIBUTE,
            correlation_id=must.ATTRIBUTE,
            causation_id=must.ATTRIBUTE,
        ),
        decisions.ParkedReleased: _fields(parked=must.INDEX, reason=must.TEXT),
    }
)
"""The rules of each field, in the order in which they are checked."""


TOGETHER: Mapping[type[Struct], tuple[Together, ...]] = MappingProxyType(
    {
        fleet.Node: (
            Together(
                "sku", "must be named where the node has devices", lambda n: n.sku or not n.devices
            ),
        ),
        jobs.WorkerShape: (
            Together(
                "device_milli",
                "may be below 1000 only with devices = 1",
                lambda w: w.device_milli == must.WHOLE_MILLI or w.devices == 1,
            ),
            Together(
                "devices",
                "must be at least 1 where neither cpu_milli nor memory_mib asks for anything",
                lambda w: w.devices or w.cpu_milli or w.memory_mib,
            ),
        ),
        jobs.Job: (
            Together(
                "workers_max",
                "must be at least workers_min",
                lambda j: j.workers_max >= j.workers_min,
            ),
        ),
        serving.RequestProfile: (
            Together(
                "reused_prefix_tokens",
                "must be at most prompt_tokens",
                lambda p: p.reused_prefix_tokens <= p.prompt_tokens,
            ),
            Together(
                "latency_p99_ms",
                "must be at least latency_p50_ms",
                lambda p: p.latency_p99_ms >= p.latency_p50_ms,
            ),
        ),
        serving.RequestServed: (
            Together(
                "reused_prefix_tokens",
                "must be at most prompt_tokens",
                lambda r: r.reused_prefix_tokens <= r.prompt_tokens,
            ),
        ),
        decisions.Policy: (
            Together(
                "tiers",
                "must name each of premium, standard and basic",
                lambda p: {t.tier for t in p.tiers} == set(Tier),
            ),
        ),
        decisions.ParkedReleased: (
            Together(
                "reason",
                f"must be a reason where the event was refused: {', '.join(Rejection)}",
                lambda p: not p.reason if p.admitted else p.reason in tuple(Rejection),
            ),
        ),
        decisions.PlanCommitted: (
            Together(
                "applied",
                "must be proposed less dropped",
                lambda p: p.applied == p.proposed - p.dropped,
            ),
        ),
    }
)
"""Rules on several fields at once; they are checked after the fields of their type."""
