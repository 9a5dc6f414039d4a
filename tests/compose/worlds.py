# SPDX-License-Identifier: Apache-2.0
"""A small fleet and jobs as files that `singlepool publish` reads: one node of eight H100."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import structs

from schemas import fleet
from schemas.catalogue import Event
from schemas.codec import publish
from schemas.ids import NodeName, SkuName
from schemas.jobs import Constraints, Job, JobSubmitted, WorkerShape
from schemas.kinds import Span
from schemas.records import Origin
from schemas.tenants import TeamDeclared, TenantDeclared
from streams.publish import to_line
from tests.schemas import samples

GENESIS: tuple[Event, ...] = (
    TenantDeclared(samples.TENANT),
    TeamDeclared(samples.TEAM),
    fleet.SkuDeclared(samples.SKU),
    fleet.RegionDeclared(samples.REGION),
    fleet.ClusterDeclared(samples.CLUSTER),
    fleet.DomainDeclared(samples.DOMAIN),
    fleet.NodeDeclared(samples.NODE),
)


def job(name: str, workers: int = 4, sku: str = "h100", span: Span = Span.CLUSTER) -> Job:
    """Return a job of one-GPU workers, all of which start together."""
    return structs.replace(
        samples.JOB,
        name=name,
        workers_min=workers,
        workers_max=workers,
        worker=WorkerShape(devices=1, cpu_milli=1_000, memory_mib=1_000),
        constraints=Constraints(skus=(SkuName(sku),), span=span),
    )


def submitted(*jobs: Job) -> tuple[Event, ...]:
    """Return their submissions."""
    return tuple(JobSubmitted(each) for each in jobs)


def another_node(number: int) -> fleet.NodeDeclared:
    """Return one more node like the first."""
    return fleet.NodeDeclared(structs.replace(samples.NODE, name=NodeName(f"more-{number}")))


def events_file(folder: Path, events: Sequence[Event], name: str = "events.ndjson") -> Path:
    """Write events as the lines of a file."""
    path = folder / name
    lines = [
        to_line(publish(event, Origin(f"{name}-{at}", "test"))) for at, event in enumerate(events)
    ]
    path.write_bytes(b"\n".join(line.rstrip() for line in lines) + b"\n")
    return path
