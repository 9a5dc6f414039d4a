# SPDX-License-Identifier: Apache-2.0
"""What the declaration of topics does not say of them: what a record is, and what it promises.

`docs/topics.md` and `docs/asyncapi.json` are made from this, the declaration and the contract.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct

from schemas.catalogue import BY_EVENT, CATALOGUE, EventType, Family
from schemas.decisions import VerdictReached
from schemas.directives import DIRECTIVE_NAMES
from schemas.reasons import Drop, Reason, Rejection, Rule
from streams.kafka.topics import AGENT, ANYBODY, DAY_MS, READER, Topic, declare

DOMAIN = "{domain}"
"""What stands in a topic's name for the trust domain, which each installation names itself."""

TOPOLOGY = declare(replication=3)
"""The topics of an installation with three brokers and one trust domain."""

STATELESS = (
    Rejection.MALFORMED,
    Rejection.TOO_LARGE,
    Rejection.UNKNOWN_TYPE,
    Rejection.NOT_AUTHORISED,
    Rejection.INVALID_VALUE,
)
"""What intake refuses by, which knows no state."""


class Fact(Struct, frozen=True):
    """What one topic is for, what its records hold, and what a reader or writer can rely on.

    `messages` are the contract's, by name; `reasons` the codes that its records carry, or by which
    they are refused.
    """

    says: str
    value: str
    order: str
    duplicates: str
    messages: tuple[str, ...] = ()
    reasons: tuple[type[Rejection | Reason | Drop | Rule], ...] = ()


_EVENT = "one CloudEvents record in binary mode around the protobuf message of its `ce_type`"
_BY_KEY = "per key, as published; none between keys or between topics"
_AT_LEAST_ONCE = (
    "publish as often as you like: a step of the natural key that is not above the known one is a "
    "duplicate and has no effect"
)

_PUBLISHED: Mapping[Family, str] = MappingProxyType(
    {
        Family.FLEET: "What there is: SKUs, regions, clusters, domains, nodes, devices, and how "
        "they are.",
        Family.TENANT: "Who pays: tenants, their teams, their reservations.",
        Family.JOB: "What is asked of jobs, and what node agents report of them.",
        Family.SERVING: "What is served, and who asks for it.",
    }
)

_OWN: Mapping[str, Fact] = MappingProxyType(
    {
        TOPOLOGY.accepted.name: Fact(
            "What intake let through, for the engine alone. Internal: its form may change with "
            "any version.",
            "internal",
            "per key, as published",
            "possible; the engine's fold recognises them",
        ),
        TOPOLOGY.rejected.name: Fact(
            "Every event that was refused, whole, with the field, its value, the rule and the "
            "topic that it came by. `singlepool rejected list|show|replay` reads it, and publishes "
            "to that topic again.",
            "internal; the published bytes and attributes are kept in it byte by byte",
            "none",
            "possible: the same refusal may come twice",
            reasons=(Rejection,),
        ),
        TOPOLOGY.cells.name: Fact(
            "Intake's own state, by which another worker goes on where one stopped. Internal.",
            "internal",
            "per cell; the last one counts",
            "harmless",
        ),
        TOPOLOGY.ledger.name: Fact(
            "The totally ordered log of accepted facts and decisions.",
            "the message `Record`; read it with `isolation.level=read_committed`",
            "total; `position` counts records without a hole, broker offsets have holes",
            "none",
            ("Record",),
            (Reason, Drop),
        ),
        TOPOLOGY.directives.name: Fact(
            "What node agents are told: launch, suspend, resize, stop; one record for each node of "
            "the gang.",
            "the directive that header `ce_type` names; header `position` is the ledger's",
            "per node; one job's directives rise in `position`",
            "possible: an agent ignores a position that is not above the last one of the job",
            ("LaunchDirective", "SuspendDirective", "ResizeDirective", "StopDirective"),
        ),
        TOPOLOGY.routes.name: Fact(
            "Where each region's requests go. Contract only: nothing is written yet.",
            "none yet",
            "per deployment; the last one counts",
            "possible: each record replaces the one before",
        ),
        TOPOLOGY.verdicts.name: Fact(
            "What became of each job: placed, or the one reason why not and what would unblock it.",
            "the message `VerdictReached`; a record without a value says that the job is over; "
            "header `position` is the ledger's",
            "per job; the last one counts",
            "possible: each record replaces the one before",
            ("VerdictReached",),
            (Reason, Rule),
        ),
        TOPOLOGY.beats.name: Fact(
            "That the leader lives, for its standbys. Internal.",
            "internal",
            "per process",
            "harmless",
        ),
        TOPOLOGY.snapshots.name: Fact(
            "Which snapshot of the state is the newest, for whoever starts. Internal.",
            "internal",
            "the last one counts",
            "harmless",
        ),
    }
)


def title(topic: Topic) -> str:
    """Return a topic's name as documents give it."""
    if topic.domain is None:
        return topic.name
    return topic.name.removesuffix(topic.domain.name) + DOMAIN


def principals(names: Sequence[str]) -> str:
    """Return who writes or reads, as documents name them."""
    stated = {ANYBODY.principal: ANYBODY.principal.removesuffix(ANYBODY.name) + DOMAIN}
    return ", ".join(f"`{stated.get(name, name)}`" for name in names)


def fact_of(topic: Topic) -> Fact:
    """Return what a topic is for."""
    if topic.family is None:
        return _OWN[topic.name]
    messages = tuple(entry.message for entry in published(topic.family))
    return Fact(_PUBLISHED[topic.family], _EVENT, _BY_KEY, _AT_LEAST_ONCE, messages, (Rejection,))


def published(family: Family) -> tuple[EventType, ...]:
    """Return the event types of a family."""
    return tuple(entry for entry in CATALOGUE if entry.family is family)


def type_names(topic: Topic) -> Mapping[str, str]:
    """Return the `ce_type` of a topic's messages, for those whose records carry one."""
    if topic.family is not None:
        return {entry.message: entry.ce_type for entry in published(topic.family)}
    told = {directive.__name__: name for directive, name in DIRECTIVE_NAMES.items()}
    named = {**told, "VerdictReached": BY_EVENT[VerdictReached].ce_type}
    return {message: named[message] for message in fact_of(topic).messages if message in named}


def is_public(topic: Topic) -> bool:
    """Whether somebody outside writes or reads a topic, by messages of the contract."""
    outside = AGENT in topic.readers or READER in topic.readers
    return topic.family is not None or (outside and bool(fact_of(topic).messages))


def retention(topic: Topic) -> str:
    """Return for how long a topic keeps its records."""
    if topic.compacted:
        return "the last record of each key, for ever"
    if topic.retention_ms is None:
        return "for ever"
    days = topic.retention_ms / DAY_MS
    return f"{days:.0f} days" if days >= 1 else f"{days * 24:.0f} h"
