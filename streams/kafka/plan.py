# SPDX-License-Identifier: Apache-2.0
"""What stands between the declaration of topics and a broker, as values: pure, shown, then applied.

Nothing is ever deleted, and no topic gets other partitions: a key would move to another partition
and its events could overtake each other. Such a difference is told and left to a human, and so is
replication: how many replicas must hold a record follows from those that a topic has.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct, structs

from streams.kafka.access import Grant, grants
from streams.kafka.topics import Topic, Topology

_FOR_EVER = "-1"

_COMPACTION = MappingProxyType(
    {
        "segment.ms": "600000",
        "segment.bytes": "67108864",
        "max.compaction.lag.ms": "600000",
        "min.cleanable.dirty.ratio": "0.1",
    }
)
"""A broker compacts closed segments alone, by default of 1 GB or 7 days: whoever reads a compacted
topic whole, as intake does at a takeover, would read each value that a key had in that time."""


class Action(StrEnum):
    """What is to be done about a difference."""

    CREATE = "create"
    SET = "set"
    BY_HAND = "by hand"
    LEAVE = "leave"
    GRANT = "grant"


class FoundTopic(Struct, frozen=True):
    """A topic as the broker has it."""

    name: str
    partitions: int
    replication: int
    configs: Mapping[str, str] = MappingProxyType({})


class Step(Struct, frozen=True):
    """One difference: a topic's `setting` is `found` and is to be `wanted`."""

    action: Action
    topic: str
    setting: str = ""
    found: str = ""
    wanted: str = ""


class Plan(Struct, frozen=True):
    """All differences. `topics` are those to be created, `grants` those to be given."""

    steps: tuple[Step, ...]
    topics: tuple[Topic, ...]
    grants: tuple[Grant, ...] = ()

    @property
    def done(self) -> bool:
        """Whether nothing is left to do; what nobody declared is no work."""
        return all(step.action is Action.LEAVE for step in self.steps)

    @property
    def by_hand(self) -> bool:
        """Whether something is left that `apply` will not do."""
        return any(step.action is Action.BY_HAND for step in self.steps)


def configs(topic: Topic, topology: Topology) -> Mapping[str, str]:
    """Return a topic's settings by the broker's own names.

    What comes from outside gets the broker's time: intake measures silence by it.
    """
    kept = _FOR_EVER if topic.retention_ms is None else str(topic.retention_ms)
    return {
        "cleanup.policy": "compact" if topic.compacted else "delete",
        "retention.ms": kept,
        "retention.bytes": _FOR_EVER,
        "max.message.bytes": str(topic.max_message_bytes),
        "min.insync.replicas": str(topology.min_in_sync),
        "unclean.leader.election.enable": "false",
        "message.timestamp.type": "CreateTime" if topic.family is None else "LogAppendTime",
        **(_COMPACTION if topic.compacted else {}),
    }


def make_plan(
    topology: Topology, found: Sequence[FoundTopic], given: frozenset[Grant] | None = None
) -> Plan:
    """Return what is to be done so that a broker has what is declared.

    `given` are the grants of a secured broker; None for one that lets everybody do everything. A
    grant that nobody declared is more than was meant, so taking it back is told as work by hand.
    """
    there = {topic.name: topic for topic in found}
    missing = tuple(topic for topic in topology.topics if topic.name not in there)
    steps = [Step(Action.CREATE, topic.name, wanted=_summary(topic)) for topic in missing]
    for topic in topology.topics:
        if topic.name in there:
            steps.extend(_differences(topic, topology, there[topic.name]))
    declared = {topic.name for topic in topology.topics}
    steps.extend(
        Step(Action.LEAVE, topic.name, found="not declared")
        for topic in found
        if topic.name not in declared and topic.name.startswith(topology.prefix)
    )
    if given is None:
        return Plan(tuple(steps), missing)
    wanted = grants(topology)
    lacking = tuple(sorted(wanted - given))
    steps.extend(_access(Action.GRANT, grant) for grant in lacking)
    beyond = {grant for grant in given - wanted if grant.name.startswith(topology.prefix)}
    steps.extend(_access(Action.BY_HAND, grant) for grant in sorted(beyond))
    return Plan(tuple(steps), missing, lacking)


def _access(action: Action, grant: Grant) -> Step:
    what = f"{grant.right} for {grant.principal}"
    found, wanted = ("", what) if action is Action.GRANT else (what, "")
    return Step(action, grant.name, str(grant.resource), found, wanted)


def _summary(topic: Topic) -> str:
    kept = "for ever" if topic.retention_ms is None else f"for {topic.retention_ms} ms"
    how = "the last of each key" if topic.compacted else kept
    return f"{topic.partitions} partitions, kept {how}"


def _differences(topic: Topic, topology: Topology, found: FoundTopic) -> list[Step]:
    fixed = (
        ("partitions", found.partitions, topic.partitions),
        ("replication", found.replication, topology.replication),
    )
    steps = [
        Step(Action.BY_HAND, topic.name, name, str(has), str(wanted))
        for name, has, wanted in fixed
        if has != wanted
    ]
    # Of the replicas that are there: by the declared ones, three could be told that one is enough.
    as_found = structs.replace(topology, replication=found.replication)
    for name, wanted in configs(topic, as_found).items():
        has = found.configs.get(name, "")
        if has != wanted:
            steps.append(Step(Action.SET, topic.name, name, has, wanted))
    return steps
