# SPDX-License-Identifier: Apache-2.0
"""A workload: the events that upstream publishes over time, and the work behind each job."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.catalogue import Event
from schemas.fleet import Cluster, Domain, Node, Sku
from schemas.ids import ClusterName, DomainName, JobId, NodeName, SkuName


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event and when upstream publishes it."""

    at_ms: int
    event: Event


@dataclass(frozen=True, slots=True)
class Workload:
    """What a trace says: events in the order of publishing, and each job's work in milli-device-ms at the reference speed.

    Figures are counted from `start_ms` to `end_ms`; the play goes on until the last job has ended.
    """

    name: str
    start_ms: int
    end_ms: int
    arrivals: tuple[Arrival, ...]
    work: Mapping[JobId, int]


@dataclass(frozen=True, slots=True)
class Hardware:
    """The fleet's parts by name, for whoever plays its node agents."""

    nodes: Mapping[NodeName, Node]
    domains: Mapping[DomainName, Domain]
    clusters: Mapping[ClusterName, Cluster]
    skus: Mapping[SkuName, Sku]
