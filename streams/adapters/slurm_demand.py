# SPDX-License-Identifier: Apache-2.0
"""What a job that Slurm schedules by itself asks for, in the terms of this pool."""

from collections.abc import Mapping

from msgspec import Struct

from schemas.codec_fields import FieldError
from schemas.ids import SkuName, TenantName
from schemas.jobs import Constraints, Job, JobSubmitted, WorkerShape
from schemas.kinds import Tier
from streams.adapters.tres import FIELD, Asked, parse

_MILLI = 1_000


class Team(Struct, frozen=True):
    """Who a Slurm account is here."""

    tenant: TenantName
    team: str


class Demand(Struct, frozen=True):
    """What an installation's names mean here: its accounts, its QoS, its GPU types.

    What is not named is refused: a guess would bill somebody, or promise a tier that nobody sold.
    """

    teams: Mapping[str, Team]
    tiers: Mapping[str, Tier]
    skus: Mapping[str, SkuName]


def submission(demand: Demand, name: str, account: str, qos: str, tres: str) -> JobSubmitted:
    """Return the submission of a job: one worker a node, all alike. Raises `FieldError`."""
    team, tier = demand.teams.get(account), demand.tiers.get(qos)
    if team is None:
        raise FieldError(
            field="account", value=account, rule="must be an account that has a team here"
        )
    if tier is None:
        raise FieldError(field="qos", value=qos, rule="must be a QoS that has a tier here")
    asked = parse(tres)
    job = Job(
        tenant=team.tenant,
        name=name,
        generation=1,
        team=team.team,
        tier=tier,
        priority=0,
        workers_min=asked.nodes,
        workers_max=asked.nodes,
        worker=_worker(asked, tres),
        constraints=Constraints(skus=_skus(demand, asked)),
    )
    return JobSubmitted(job)


def _worker(asked: Asked, tres: str) -> WorkerShape:
    """Return a node's share: GPUs are whole, cores and memory are rounded up."""
    if asked.gpus % asked.nodes:
        rule = f"must be as many GPUs on each of {asked.nodes} nodes: workers are alike"
        raise FieldError(field=FIELD, value=tres, rule=rule)
    return WorkerShape(
        devices=asked.gpus // asked.nodes,
        cpu_milli=-(-asked.cpus * _MILLI // asked.nodes),
        memory_mib=-(-asked.memory_mib // asked.nodes),
    )


def _skus(demand: Demand, asked: Asked) -> tuple[SkuName, ...]:
    if not asked.gpu_type:
        return ()
    sku = demand.skus.get(asked.gpu_type)
    if sku is None:
        rule = "must be a GPU type that has a SKU here"
        raise FieldError(field=FIELD, value=asked.gpu_type, rule=rule)
    return (sku,)
