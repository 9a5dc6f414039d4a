# SPDX-License-Identifier: Apache-2.0
"""A hole in the offsets is told from records that were passed over."""

import time
from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.catalogue import Event, Family
from schemas.codec import publish
from schemas.records import Origin
from streams.intake.gaps import holds_records
from streams.kafka.connection import Connection
from streams.kafka.headers import to_headers
from streams.kafka.topics import INTAKE, Topology
from tests.eventually import eventually
from tests.intake.crew import supervised
from tests.intake.host_process import (
    BUG_EXIT,
    HOSTS,
    PASSED_OVER,
    STALL_S,
    running,
    stop,
)
from tests.intake.partition import served
from tests.intake.test_batched import old_ms, requests
from tests.intake.test_hosts import attempts, headers, started
from tests.intake.upstream import DOMAIN, Upstream, read_all, rejected

COMPACT = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "1",
    "segment.ms": "100",
}


def holds(connection: Connection, topic: str, first: int, end: int) -> bool:
    return holds_records(connection, topic, (topic, 0), first, end)


def job_topic(topics: Topology) -> str:
    return topics.published(Family.JOB, DOMAIN).name


class Transactional:
    """An upstream that publishes in transactions, each of which ends with a marker."""

    def __init__(self, connection: Connection, topic: str) -> None:
        """Take the lock of a transactional id."""
        self._topic = topic
        self._producer = Producer(connection.settings() | {"transactional.id": topic})
        self._producer.init_transactions(30)

    def publish(self, first: int, last: int, *, abort: bool = False) -> None:
        """Publish reports of these numbers."""
        self.publish_all([started(number) for number in range(first, last + 1)], abort=abort)

    def publish_all(self, events: Sequence[Event], *, abort: bool = False) -> None:
        """Publish events to partition 0, and end the transaction."""
        self._producer.begin_transaction()
        for number, event in enumerate(events):
            published = publish(event, Origin(f"e-{number}", "upstream"))
            self._producer.produce(
                self._topic, published.payload, partition=0, headers=list(to_headers(published))
            )
        assert self._producer.flush(30) == 0
        if abort:
            self._producer.abort_transaction(30)
        else:
            self._producer.commit_transaction(30)


def test_a_marker_is_a_hole_and_a_record_is_not(broker: Connection, topics: Topology) -> None:
    """A transaction's end takes an offset that holds nothing; what lies around it does."""
    topic = job_topic(topics)
    upstream = Transactional(broker, topic)
    upstream.publish(1, 1)
    upstream.publish(2, 2)  # a record and its marker, twice: offsets 0 to 3
    assert [holds(broker, topic, n, n + 1) for n in range(4)] == [True, False, True, False]
    assert not holds_records(broker, topics.prefix, (topic, 1), 0, 9)


def test_an_aborted_record_counts_and_its_marker_does_not(
    broker: Connection, topics: Topology
) -> None:
    """Intake takes in what is in the topic, so to pass over an aborted record is to lose it."""
    topic = job_topic(topics)
    Transactional(broker, topic).publish(1, 2, abort=True)
    assert [holds(broker, topic, n, n + 1) for n in range(3)] == [True, True, False]


def test_what_the_broker_has_dropped_is_a_hole(broker: Connection, topics: Topology) -> None:
    """Records whose time was over are gone for everybody; the first one left is none of them."""
    topic = job_topic(topics)
    upstream = Upstream(broker, topics)
    for _ in range(10):
        upstream.put(topic, b"x", [], partition=0)
    upstream.flush()
    admin: Any = AdminClient(broker.settings())  # its futures say no type
    dropped = admin.delete_records([TopicPartition(topic, 0, 6)])
    assert [future.result(30).low_watermark for future in dropped.values()] == [6]
    assert not holds(broker, topic, 0, 6)
    assert holds(broker, topic, 0, 7)


def test_what_the_group_has_committed_is_no_loss(broker: Connection, topics: Topology) -> None:
    """Who comes to a partition may not know yet how far others have come, and has lost nothing."""
    topic, group = job_topic(topics), topics.group(INTAKE)
    Transactional(broker, topic).publish(1, 10)
    end = 4
    before = Consumer(broker.settings() | {"group.id": group})
    before.commit(offsets=[TopicPartition(topic, 0, end)], asynchronous=False)
    before.close()
    found = [holds_records(broker, group, (topic, 0), 0, n) for n in (end, end + 1)]
    assert found == [False, True]


@pytest.mark.long
def test_what_was_compacted_away_is_a_hole(broker: Connection, topology: Topology) -> None:
    """Of one key the broker keeps the last record only; what lay before it is passed over."""
    topic = f"{topology.prefix}compacted"
    admin: Any = AdminClient(broker.settings())  # its futures say no type
    made = admin.create_topics([NewTopic(topic, 1, 1, config=COMPACT)])
    for future in made.values():
        future.result(30)
    upstream = Upstream(broker, topology)

    def put() -> list[int]:
        upstream.put(topic, b"x", [], b"key", 0)  # a new record closes the segment of the old ones
        upstream.flush()
        return [message.offset() or 0 for message in read_all(broker, topic)]

    eventually(lambda: put()[0] > 2, "the cleaner drops the first ones")
    first = put()[0]
    assert not holds(broker, topic, 0, first)
    assert holds(broker, topic, 0, first + 1)


# --- what a worker makes of it --------------------------------------------------------------------


@pytest.mark.long
def test_a_worker_takes_no_hole_for_a_loss(broker: Connection, topics: Topology) -> None:
    """Markers between, behind and at the end of all, and aborted records: it works on, for long.

    It looks for a standstill after 3 s, and more than three times in this test.
    """
    topic = job_topic(topics)
    upstream = Transactional(broker, topic)
    with running("faust", broker, topics, "passing over") as process:
        for first in range(1, 31, 10):
            upstream.publish(first, first + 4)
            upstream.publish(first + 5, first + 9, abort=True)
            took_in_all(broker, topics, first + 9)
            time.sleep(2 * STALL_S)
        assert process.poll() is None
        assert stop(process) == 0


@pytest.mark.parametrize("host", HOSTS)
def test_what_was_aborted_is_taken_in_too(host: str, broker: Connection, topics: Topology) -> None:
    """A record counts when it is in the topic: nobody's open transaction hides anybody's."""
    Transactional(broker, job_topic(topics)).publish(1, 5, abort=True)
    with supervised(host, broker, topics):
        took_in_all(broker, topics, 5)


@pytest.mark.long
@pytest.mark.parametrize("host", HOSTS)
def test_time_passes_behind_a_marker(host: str, broker: Connection, topics: Topology) -> None:
    """Where a transaction's end is the last of a partition, what falls due by time is told."""
    upstream = Transactional(broker, topics.published(Family.SERVING, DOMAIN).name)
    old = old_ms()
    with running(host, broker, topics, "passing over") as process:
        upstream.publish_all([served(n, old) for n in range(1, 21)])
        eventually(lambda: requests(broker, topics) == 20, "the whole window is told")
        assert stop(process) == 0


@pytest.mark.long
@pytest.mark.parametrize("behind", [0, 20], ids=["at the end", "in the middle"])
def test_a_worker_ends_where_a_record_was_passed_over(
    broker: Connection, topics: Topology, behind: int
) -> None:
    """At the end of all it is a standstill, before others a gap; the successor takes it in."""
    topic = job_topic(topics)
    upstream = Transactional(broker, topic)
    with running("faust", broker, topics, "passing over") as process:
        upstream.publish(1, 20)
        eventually(lambda: len(attempts(broker, topics)) == 20, "it works")
        passed = Upstream(broker, topics)
        passed.put(topic, PASSED_OVER, headers(), partition=0)
        passed.flush()
        if behind:
            upstream.publish(21, 20 + behind)
        assert process.wait(60) == BUG_EXIT
    upstream.publish(41, 60)
    with supervised("faust", broker, topics):
        wanted = [*range(1, 21 + behind), *range(41, 61)]
        eventually(lambda: attempts(broker, topics) == wanted, "all else is taken in")
        eventually(
            lambda: refusals(broker, topics) == [PASSED_OVER], "it is refused for what it is"
        )


def took_in_all(connection: Connection, topology: Topology, last: int) -> None:
    """Wait until all numbers up to the last are accepted."""
    eventually(lambda: attempts(connection, topology) == list(range(1, last + 1)), "all of it")


def refusals(connection: Connection, topology: Topology) -> list[bytes]:
    return [refused.published.payload for refused in rejected(connection, topology)]
