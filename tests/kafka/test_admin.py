# SPDX-License-Identifier: Apache-2.0
"""Topics on a real broker: planned, applied, compared again; nothing is ever deleted."""

import gc
import weakref
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from msgspec import structs

from streams.kafka.admin import Admin
from streams.kafka.connection import BrokerUnavailableError, Connection, brokers
from streams.kafka.plan import Action, configs
from streams.kafka.topics import DAY_MS, Topology


def test_a_broker_becomes_what_is_declared(broker: Connection, topology: Topology) -> None:
    """All topics are planned, then made; after that there is nothing left to do."""
    admin = Admin(broker)
    before = admin.plan(topology)
    assert {step.topic for step in before.steps} == {topic.name for topic in topology.topics}
    assert {step.action for step in before.steps} == {Action.CREATE}
    assert not before.done
    assert admin.apply(topology).done
    assert admin.plan(topology).steps == ()
    found = {topic.name: topic for topic in admin.found()}
    for topic in topology.topics:
        assert found[topic.name].partitions == topic.partitions
        assert configs(topic, topology).items() <= found[topic.name].configs.items()
    assert found[topology.cells.name].configs["segment.ms"] == "600000"


def test_a_setting_that_drifted_is_set_again(broker: Connection, topics: Topology) -> None:
    """A changed declaration is a plan of one setting, which says what is found and wanted."""
    changed = structs.replace(
        topics, directives=structs.replace(topics.directives, retention_ms=DAY_MS)
    )
    admin = Admin(broker)
    (step,) = admin.plan(changed).steps
    assert (step.action, step.topic) == (Action.SET, topics.directives.name)
    assert (step.setting, step.found, step.wanted) == ("retention.ms", "604800000", "86400000")
    assert admin.apply(changed).done
    assert admin.plan(changed).steps == ()


def test_partitions_are_never_changed(broker: Connection, topics: Topology) -> None:
    """A key would move to another partition and its events overtake each other: left to a human."""
    wider = structs.replace(topics, accepted=structs.replace(topics.accepted, partitions=5))
    admin = Admin(broker)
    left = admin.apply(wider)
    assert left.by_hand
    assert not left.done
    (step,) = left.steps
    assert (step.action, step.setting) == (Action.BY_HAND, "partitions")
    assert admin.plan(topics).steps == ()


def test_what_nobody_declared_is_told_and_left_alone(broker: Connection, topics: Topology) -> None:
    """A topic under our prefix that is not ours is named; applying does not touch it."""
    name = f"{topics.prefix}somebody-elses"
    client: Any = AdminClient(broker.settings())
    client.create_topics([NewTopic(name, 1, 1)])[name].result(30)
    admin = Admin(broker)
    while name not in {topic.name for topic in admin.found()}:
        pass  # the broker tells of a topic a moment after it was made
    left = admin.apply(topics)
    assert left.done
    assert [(step.action, step.topic) for step in left.steps] == [(Action.LEAVE, name)]
    assert name in {topic.name for topic in admin.found()}


def test_a_refused_administrator_leaves_at_once(broker: Connection, topology: Topology) -> None:
    """Garbage collection may run in a client's own thread, and that one must not close itself."""
    admin = Admin(broker)
    gone = weakref.ref(admin)
    gc.disable()
    try:
        with pytest.raises(BrokerUnavailableError, match="replication"):
            admin.apply(structs.replace(topology, replication=9))
        del admin
        assert gone() is None
    finally:
        gc.enable()


def test_a_broker_that_is_not_there_is_told_with_its_address() -> None:
    """The error names where nobody answered, and comes in the time that was given."""
    nowhere = Connection("127.0.0.1:9")
    with pytest.raises(BrokerUnavailableError, match=r"127\.0\.0\.1:9"):
        brokers(nowhere, timeout_s=0.2)
