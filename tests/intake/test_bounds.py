# SPDX-License-Identifier: Apache-2.0
"""What a worker makes of a partition that is not what its group has left."""

from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from structlog.testing import capture_logs

from schemas.catalogue import Family
from streams.intake.batched import BatchedIntake
from streams.intake.cells import Cell, cell_of, encode_cell
from streams.intake.lost import IntakeLostError
from streams.intake.worker import cell_key
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.topics import INTAKE, Topology
from tests.eventually import eventually
from tests.intake.host_process import LOST_EXIT, running
from tests.intake.partition import served
from tests.intake.test_batched import attempts, old_ms, requests, started
from tests.intake.test_hosts import each_host, working
from tests.intake.upstream import DOMAIN, Upstream, committed, publish_all

PARTITIONS = range(2)


def keep_cells(connection: Connection, topology: Topology, included: int) -> None:
    """Leave cells of gw-1 that include so many records of each partition."""
    topic = topology.published(Family.SERVING, DOMAIN).name
    predecessor = Producer(connection.settings())
    for partition in PARTITIONS:
        key = cell_key((topic, partition), cell_of("gw-1"))
        predecessor.produce(topology.cells.name, encode_cell(Cell(included)), key, partition)
    assert predecessor.flush(30) == 0


def five_requests(connection: Connection, topology: Topology) -> None:
    old = old_ms()
    publish_all(Upstream(connection, topology), [served(n, old) for n in range(1, 6)])


def test_cells_of_a_topic_that_was_made_anew_drop_nothing(
    broker: Connection, topics: Topology
) -> None:
    """They include what has not come yet: the worker says so and ends, and commits nothing."""
    keep_cells(broker, topics, 100)
    five_requests(broker, topics)
    intake = BatchedIntake(broker, topics)
    with pytest.raises(IntakeLostError, match=r"up to offset 100, and it ends at [05]: "):
        intake.run(lambda: intake.taken >= 5)
    assert committed(broker, topics, Family.SERVING) == 0


@pytest.mark.long
@each_host
def test_once_the_cells_are_forgotten_all_is_counted(
    host: str, broker: Connection, topics: Topology
) -> None:
    """The worker ends with the code of what somebody has to mend, in the way that is documented."""
    keep_cells(broker, topics, 100)
    five_requests(broker, topics)
    with running(host, broker, topics) as process:
        assert process.wait(60) == LOST_EXIT
    admin: Any = AdminClient(broker.settings())  # its futures say no type
    for future in admin.delete_topics([topics.cells.name]).values():
        future.result(30)
    eventually(lambda: Admin(broker).apply(topics).done, "the topic of the cells is there again")
    with working(host, broker, topics):
        eventually(lambda: requests(broker, topics) == 5, "all is counted")


def expire(connection: Connection, topology: Topology) -> str:
    """Publish ten reports, of which three are committed and six are gone; return their topic."""
    topic = topology.published(Family.JOB, DOMAIN).name
    upstream = Upstream(connection, topology)
    upstream.publish_to(topic, started(1, 10))
    before = Consumer(connection.settings() | {"group.id": topology.group(INTAKE)})
    before.commit(offsets=[TopicPartition(topic, 0, 3)], asynchronous=False)
    before.close()
    admin: Any = AdminClient(connection.settings())  # its futures say no type
    for future in admin.delete_records([TopicPartition(topic, 0, 6)]).values():
        assert future.result(30).low_watermark == 6
    return topic


def test_what_expired_unread_is_said(broker: Connection, topics: Topology) -> None:
    """By one line and a figure; the worker goes on with the oldest record that is left."""
    topic = expire(broker, topics)
    with capture_logs() as lines:
        intake = BatchedIntake(broker, topics)
        intake.run(lambda: intake.taken >= 4)
    said = {"topic": topic, "partition": 0, "from_offset": 3, "to_offset": 6}
    assert lines == [{"event": "expired unread", "log_level": "error", **said}]
    assert intake.expired == 3
    assert attempts(broker, topics) == [7, 8, 9, 10]


@pytest.mark.long
def test_what_expired_unread_ends_no_worker(broker: Connection, topics: Topology) -> None:
    """Nor does Faust's take it for a loss of its own."""
    expire(broker, topics)
    with working("faust", broker, topics):
        eventually(lambda: attempts(broker, topics) == [7, 8, 9, 10], "it goes on")
