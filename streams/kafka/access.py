# SPDX-License-Identifier: Apache-2.0
"""Who may do what on a secured broker: the topics' declaration as the broker's access rules.

Nothing is allowed that is not granted here. The operator's own principal is a super user of the
broker and needs no grant.
"""

from enum import StrEnum

from msgspec import Struct

from streams.kafka.topics import AGENT, ARCHIVER, ENGINE, INTAKE, READER, Topology


class Resource(StrEnum):
    """What a grant is about."""

    TOPIC = "topic"
    GROUP = "group"
    LOCK = "transactional_id"


class Right(StrEnum):
    """What a grant allows."""

    READ = "read"
    WRITE = "write"
    DESCRIBE = "describe"


class Grant(Struct, frozen=True, order=True):
    """A principal may do something; with `prefixed`, to all whose names begin like this."""

    principal: str
    resource: Resource
    name: str
    right: Right
    prefixed: bool = False


def grants(topology: Topology) -> frozenset[Grant]:
    """Return all that is allowed: topics as declared, own groups, and the lock to the engine."""
    found = {
        Grant(principal, Resource.TOPIC, topic.name, allowed)
        for topic in topology.topics
        for principals, right in ((topic.writers, Right.WRITE), (topic.readers, Right.READ))
        for principal in principals
        for allowed in (right, Right.DESCRIBE)
    }
    found |= {
        Grant(ENGINE, Resource.LOCK, topology.lock, right)
        for right in (Right.WRITE, Right.DESCRIBE)
    }
    publishers = (domain.principal for domain in topology.domains)
    for principal in (INTAKE, ENGINE, ARCHIVER, AGENT, READER, *publishers):
        found |= _own_groups(principal, topology.group(principal))
    return frozenset(found)


def _own_groups(principal: str, group: str) -> set[Grant]:
    """Return the right to a group, and to those whose names go on after a dot.

    No principal's name has a dot where another's ends, so none gets at another's groups.
    """
    return {
        Grant(principal, Resource.GROUP, group, Right.READ),
        Grant(principal, Resource.GROUP, f"{group}.", Right.READ, prefixed=True),
    }
