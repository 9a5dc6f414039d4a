# SPDX-License-Identifier: Apache-2.0
"""The engine's ends on a real broker: what was lost there, what was added, and when it is gone."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from compose.broker.layout import connection
from compose.broker.nodes import kill
from schemas.ledger import CorruptLedgerError, LedgerStorageError
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.feed import Feed
from streams.kafka.lag import lags
from streams.kafka.ledger import KafkaLedger, input_name
from streams.kafka.topics import READER, Topology
from streams.live.kafka_ends import KafkaHerald, KafkaInput
from tests.kafka.conftest import own_broker

PATIENCE_S = 60


@pytest.fixture
def accepted(broker: Connection, topics: Topology) -> Generator[KafkaInput]:
    with closing(KafkaInput(broker, topics)) as ends:
        yield ends


def put(broker: Connection, topic: str, count: int, partition: int = 0) -> None:
    """Put so many records into a partition, whatever they are."""
    producer = Producer(broker.settings())
    for _ in range(count):
        producer.produce(topic, b"x", partition=partition)
    assert producer.flush(PATIENCE_S) == 0


def delete_before(broker: Connection, topic: str, offset: int) -> None:
    """Delete what lies before an offset, as retention does."""
    admin: Any = AdminClient(broker.settings())  # its futures say no type
    for future in admin.delete_records([TopicPartition(topic, 0, offset)]).values():
        future.result(PATIENCE_S)


def delete(broker: Connection, topic: str) -> None:
    """Delete a topic, and return once no client is told of it."""
    admin: Any = AdminClient(broker.settings())  # its futures say no type
    for future in admin.delete_topics([topic]).values():
        future.result(PATIENCE_S)
    wait_until(lambda: topic not in admin.list_topics(timeout=PATIENCE_S).topics)


def add_partitions(broker: Connection, topic: str, total: int) -> None:
    """Let a topic have so many partitions, and return once clients are told."""
    admin: Any = AdminClient(broker.settings())  # its futures say no type
    for future in admin.create_partitions([NewPartitions(topic, total)]).values():
        future.result(PATIENCE_S)
    wait_until(
        lambda: len(admin.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions) == total
    )


def wait_until(true: Callable[[], bool]) -> None:
    """Return once something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def consumed(accepted: KafkaInput, name: str) -> int:
    """How far a partition was read, once anything of it was."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        arrived = accepted.poll(500, 100)
        if name in arrived.consumed:
            return arrived.consumed[name]
    pytest.fail(f"nothing came of {name}")


# --- what was lost --------------------------------------------------------------------------------


def test_events_that_were_deleted_before_anybody_decided_are_not_passed_over(
    broker: Connection, topics: Topology, accepted: KafkaInput
) -> None:
    """A partition begins at 0 where nothing of it was decided: retention leaves no silent gap."""
    name = topics.accepted.name
    put(broker, name, 9)
    delete_before(broker, name, 5)
    accepted.seek({})
    with pytest.raises(CorruptLedgerError, match=rf"{name}/0 at .* does not have offset 0: "):
        consumed(accepted, input_name(name, 0))


def test_an_engine_that_was_away_for_too_long_says_what_is_gone(
    broker: Connection, topics: Topology, accepted: KafkaInput
) -> None:
    """The error names partition and offset; where nothing is gone, it goes on."""
    name = topics.accepted.name
    place = input_name(name, 0)
    put(broker, name, 9)
    delete_before(broker, name, 5)
    accepted.seek({place: 5})
    assert consumed(accepted, place) == 9
    accepted.seek({place: 4})
    with pytest.raises(CorruptLedgerError, match=rf"{name}/0 at .* does not have offset 4: "):
        consumed(accepted, place)


# --- topics and partitions ------------------------------------------------------------------------


def test_a_topic_that_is_not_there_is_not_taken_for_an_empty_one(
    broker: Connection, topics: Topology, accepted: KafkaInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by a leader, which would be idle and ready, nor by who asks for lag or listens."""
    monkeypatch.setattr("streams.kafka.partition._UNKNOWN_S", 0.1)
    name = topics.accepted.name
    with KafkaLedger(broker, topics) as ledger:
        ledger.acquire("one")
    delete(broker, name)
    with pytest.raises(LedgerStorageError, match=name):
        accepted.seek({})
    with pytest.raises(LedgerStorageError, match=name):
        lags(broker, topics)
    with pytest.raises(LedgerStorageError, match=name):
        Feed(broker, name, topics.group(READER))


def test_partitions_that_are_added_are_read_in_the_end(
    broker: Connection, topics: Topology, accepted: KafkaInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads is told that there are more, and reads all after it sought again."""
    monkeypatch.setattr("streams.live.kafka_ends._COUNT_EACH_S", 0.1)
    name, before = topics.accepted.name, topics.accepted.partitions
    accepted.seek({})
    add_partitions(broker, name, before + 1)
    put(broker, name, 3, partition=before)
    with pytest.raises(LedgerStorageError, match=f"had {before} partitions and now has"):
        consumed(accepted, input_name(name, before))
    accepted.seek({})
    assert consumed(accepted, input_name(name, before)) == 3


# --- a broker that is gone ------------------------------------------------------------------------


@pytest.mark.long
def test_a_leader_that_leaves_waits_for_no_broker_that_is_gone(
    topology: Topology, tmp_path: Path
) -> None:
    """Its last snapshot is announced to nobody then, and it is out long before minutes are over."""
    with own_broker(tmp_path) as layout:
        broker, (node,) = connection(tmp_path, layout), layout.nodes
        assert Admin(broker).apply(topology).done
        herald = KafkaHerald(broker, topology, "one")
        herald.announce(1, b"digest")
        kill(tmp_path, node)

        def leave() -> None:
            herald.announce(2, b"digest")
            herald.close()

        leaving = threading.Thread(target=leave, daemon=True)
        leaving.start()
        leaving.join(PATIENCE_S)
        assert not leaving.is_alive()
