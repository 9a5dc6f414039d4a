# SPDX-License-Identifier: Apache-2.0
"""Every topic there is, as values: what plan and apply, access rules and documents are made from.

Upstream has a topic per family and trust domain, because a consumer cannot see who produced a
record: the broker holds a domain to its own topics, and the topic says for which tenants the domain
may speak. All other topics have one writer, or the few that are named.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct

from schemas.catalogue import Family
from schemas.errors import CallerError
from streams.intake import MAX_PAYLOAD_BYTES
from streams.sources import UPSTREAM, SourceRule, SourceRules

INTAKE, ENGINE, ARCHIVER, AGENT, READER = "intake", "engine", "archiver", "agent", "reader"
"""Principals, as certificates name them. `agent` is node agents and gateways, `reader` all that
only look."""

PARTITIONS = 6
"""Of a topic that is worked on in parallel: shared evenly by one, two, three or six workers."""

HEADER_BYTES = 65_536
"""Room beside a payload: six attributes of 1,024 characters take 24 KiB at the most in UTF-8."""

PUBLISHED_BYTES = MAX_PAYLOAD_BYTES + HEADER_BYTES
"""The largest record of an upstream topic; intake judges the payload's own limit."""

KEPT_BYTES = PUBLISHED_BYTES + HEADER_BYTES
"""The largest record of what keeps a published event whole and says more about it."""

CELLS_TABLE = "cells"
"""Intake's state as a Faust table, whose topic Faust names by group and table."""

DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_WEEK_MS = 7 * DAY_MS

Place = tuple[str, int]
"""A partition: its topic's name and its number."""

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PREFIX = re.compile(r"(?:[a-z0-9][a-z0-9.-]{0,61}\.)?")


class TopologyError(CallerError):
    """A name in the declaration is not there, or none that a broker and its metrics can carry."""


class Key(StrEnum):
    """What a topic's record key is; records of one key stay in order."""

    ENTITY = "the entity that the event is about"
    NODE = "the node"
    JOB = "the job's id"
    DEPLOYMENT = "the deployment, as tenant/name"
    TENANT = "the tenant"
    OWNER = "the process that beats"
    CELL = "the part of intake's state, as topic/partition/cell"
    LEDGER = "the ledger"
    NONE = "none"


class TrustDomain(Struct, frozen=True):
    """Upstream systems that trust each other: what they publish, and for which tenants (None: all).

    The broker knows them by the principal `upstream.<name>`.
    """

    name: str
    tenants: frozenset[str] | None = None
    families: frozenset[Family] = UPSTREAM

    @property
    def principal(self) -> str:
        """Who this domain is to the broker."""
        return f"upstream.{self.name}"

    @property
    def rules(self) -> SourceRules:
        """What intake may accept by this domain's topics together."""
        return SourceRules(others=SourceRule(self.families, self.tenants))


class Topic(Struct, frozen=True):
    """One topic.

    `retention_ms` None keeps its records for ever; a compacted one keeps the last of each key.
    """

    name: str
    key: Key
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    partitions: int = 1
    retention_ms: int | None = None
    compacted: bool = False
    max_message_bytes: int = PUBLISHED_BYTES
    family: Family | None = None
    domain: TrustDomain | None = None

    @property
    def rules(self) -> SourceRules:
        """What intake may accept by this topic, whatever a record's `ce_source` says."""
        if self.family is None or self.domain is None:
            return SourceRules()
        return SourceRules(others=SourceRule(frozenset((self.family,)), self.domain.tenants))


class Topology(Struct, frozen=True):
    """All topics of one installation; several can share a broker under different prefixes."""

    prefix: str
    replication: int
    domains: tuple[TrustDomain, ...]
    upstream: tuple[Topic, ...]
    accepted: Topic
    rejected: Topic
    cells: Topic
    ledger: Topic
    directives: Topic
    routes: Topic
    verdicts: Topic
    beats: Topic
    snapshots: Topic

    @property
    def topics(self) -> tuple[Topic, ...]:
        """All of them, in the order in which events flow."""
        return (
            *self.upstream,
            self.accepted,
            self.rejected,
            self.cells,
            self.ledger,
            self.directives,
            self.routes,
            self.verdicts,
            self.beats,
            self.snapshots,
        )

    def written_by(self, principal: str) -> tuple[str, ...]:
        """Return the names of the topics that a principal writes."""
        return tuple(topic.name for topic in self.topics if principal in topic.writers)

    @property
    def lock(self) -> str:
        """The transactional id that makes whoever holds it the ledger's one writer."""
        return f"{self.prefix}ledger"

    def group(self, principal: str) -> str:
        """Return a principal's consumer group; it may use those whose names go on from there."""
        return f"{self.prefix}{principal}"

    def published(self, family: Family, domain: str) -> Topic:
        """Return the topic of a family in a trust domain. Raises `TopologyError`."""
        for topic in self.upstream:
            if topic.domain is not None and (topic.family, topic.domain.name) == (family, domain):
                return topic
        msg = f"no topic is declared for {family} in the trust domain {domain!r}"
        raise TopologyError(msg)

    def domain(self, name: str) -> TrustDomain:
        """Return a trust domain. Raises `TopologyError`."""
        for domain in self.domains:
            if domain.name == name:
                return domain
        declared = ", ".join(domain.name for domain in self.domains)
        msg = f"no trust domain {name!r} is declared, only {declared}"
        raise TopologyError(msg)

    @property
    def rules(self) -> Mapping[str, SourceRules]:
        """What intake may accept, by the name of the upstream topic."""
        return MappingProxyType({topic.name: topic.rules for topic in self.upstream})

    @property
    def min_in_sync(self) -> int:
        """How many replicas hold a record before it is acknowledged."""
        return max(1, self.replication - 1)


ANYBODY = TrustDomain("main")
"""The one domain of an installation whose upstream systems all trust each other."""

_FAMILY_KEYS: Mapping[Family, Key] = MappingProxyType(
    {
        Family.FLEET: Key.ENTITY,
        Family.TENANT: Key.TENANT,
        Family.JOB: Key.JOB,
        Family.SERVING: Key.DEPLOYMENT,
    }
)


def declare(
    domains: Sequence[TrustDomain] = (ANYBODY,),
    *,
    prefix: str = "",
    replication: int = 1,
    partitions: int = PARTITIONS,
) -> Topology:
    """Return the topics of an installation. Raises `TopologyError` for an unusable name."""
    _check(domains, prefix)
    upstream = tuple(
        _published(prefix, family, domain, partitions)
        for domain in domains
        for family in Family
        if family in domain.families
    )
    publishers = tuple(domain.principal for domain in domains)
    everybody = (*publishers, AGENT, READER)
    return Topology(
        prefix=prefix,
        replication=replication,
        domains=tuple(domains),
        upstream=upstream,
        accepted=Topic(
            f"{prefix}accepted.events", Key.ENTITY, (INTAKE,), (ENGINE,), partitions, _WEEK_MS
        ),
        rejected=Topic(
            f"{prefix}rejected.events",
            Key.NONE,
            (INTAKE, ENGINE),
            (INTAKE, ENGINE, READER),
            max_message_bytes=KEPT_BYTES,
        ),
        cells=Topic(
            f"{prefix}{INTAKE}-{CELLS_TABLE}-changelog",
            Key.CELL,
            (INTAKE,),
            (INTAKE,),
            partitions,
            compacted=True,
        ),
        ledger=Topic(
            f"{prefix}ledger",
            Key.NONE,
            (ENGINE,),
            (ENGINE, ARCHIVER, READER),
            max_message_bytes=KEPT_BYTES,
        ),
        directives=Topic(
            f"{prefix}directives", Key.NODE, (ENGINE,), (AGENT, READER), partitions, _WEEK_MS
        ),
        routes=Topic(f"{prefix}routes", Key.DEPLOYMENT, (ENGINE,), everybody, 1, compacted=True),
        verdicts=Topic(
            f"{prefix}verdicts", Key.JOB, (ENGINE,), everybody, partitions, compacted=True
        ),
        beats=Topic(f"{prefix}beats", Key.OWNER, (ENGINE,), (ENGINE, READER), 1, _HOUR_MS),
        snapshots=Topic(
            f"{prefix}snapshots", Key.LEDGER, (ENGINE,), (ENGINE, READER), 1, compacted=True
        ),
    )


def _published(prefix: str, family: Family, domain: TrustDomain, partitions: int) -> Topic:
    return Topic(
        name=f"{prefix}{family}.{domain.name}",
        key=_FAMILY_KEYS[family],
        writers=(domain.principal,),
        readers=(INTAKE,),
        partitions=partitions,
        retention_ms=_WEEK_MS,
        family=family,
        domain=domain,
    )


def _check(domains: Sequence[TrustDomain], prefix: str) -> None:
    if _PREFIX.fullmatch(prefix) is None:
        msg = f"prefix {prefix!r} must be empty, or lower-case letters, digits, . and - up to a dot"
        raise TopologyError(msg)
    names = [domain.name for domain in domains]
    for name in names:
        if _LABEL.fullmatch(name) is None:
            msg = f"trust domain {name!r} must be 1 to 63 lower-case letters, digits and inner -"
            raise TopologyError(msg)
        if names.count(name) > 1:
            msg = f"trust domain {name!r} is declared twice"
            raise TopologyError(msg)
    for domain in domains:
        if not domain.families <= UPSTREAM:
            msg = f"trust domain {domain.name!r} may not publish decisions: they are the engine's"
            raise TopologyError(msg)
