# SPDX-License-Identifier: Apache-2.0
"""What is to be done about topics, without a broker: a plan follows from two values alone."""

import pytest
from msgspec import structs

from streams.kafka.plan import Action, FoundTopic, configs, make_plan
from streams.kafka.topics import Topology, declare

IN_SYNC = "min.insync.replicas"


def found_at(topology: Topology) -> list[FoundTopic]:
    """All topics as a broker has them that was made by a declaration."""
    return [
        FoundTopic(topic.name, topic.partitions, topology.replication, configs(topic, topology))
        for topic in topology.topics
    ]


@pytest.mark.parametrize(("declared", "there"), [(1, 3), (3, 1)])
def test_how_many_replicas_hold_a_record_follows_from_those_that_are_there(
    declared: int, there: int
) -> None:
    """Told of other replication than it has, a topic keeps its durability: a human changes both.

    By the declared one, acknowledged could come to mean one replica of three, and one replica
    alone could be asked to be two.
    """
    found = found_at(declare(replication=there))
    plan = make_plan(declare(replication=declared), found)
    assert {(step.action, step.setting) for step in plan.steps} == {(Action.BY_HAND, "replication")}
    assert {step.topic for step in plan.steps} == {topic.name for topic in found}


def test_fewer_replicas_in_sync_than_are_meant_are_set_right() -> None:
    """A topic whose durability was lowered gets it back, whatever replication is declared."""
    found = found_at(declare(replication=3))
    found[0] = structs.replace(found[0], configs={**found[0].configs, IN_SYNC: "1"})
    for declared in (1, 3):
        steps = make_plan(declare(replication=declared), found).steps
        assert [
            (s.topic, s.setting, s.found, s.wanted) for s in steps if s.action is Action.SET
        ] == [(found[0].name, IN_SYNC, "1", "2")]
