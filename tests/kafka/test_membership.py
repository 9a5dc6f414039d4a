# SPDX-License-Identifier: Apache-2.0
"""A member of a group ends its business in bounded time, also where its broker is lost in it."""

import os
import signal
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from compose.broker.layout import Layout, connection
from compose.broker.nodes import kill, pid_of
from streams.kafka.connection import Connection
from streams.kafka.membership import NotCommittedError, commit, committed, leave
from streams.kafka.partition import Partition
from tests.eventually import eventually
from tests.kafka.conftest import own_broker

PATIENCE_S = 3.0
UNDER_WAY_S = 1.0
MACHINE_S = 5.0
STOPPED = "T"
OFFSET = 7
GROUPS = 20
SESSION_S = 45.0
"""For how long the client lets a group wait for whom it hears nothing of."""


def make(broker: Connection, topic: str) -> None:
    """Make a topic of one partition."""
    admin: Any = AdminClient(broker.settings())  # its futures say no type
    admin.create_topics([NewTopic(topic, 1)])[topic].result(30)


def member(broker: Connection, topic: str) -> Consumer:
    """Join the group that has a topic's name, and own its one partition once nobody else does."""
    consumer = Consumer(broker.settings() | {"group.id": topic, "enable.auto.commit": False})
    consumer.subscribe([topic])

    def owns() -> bool:
        consumer.consume(1, 0.1)
        return bool(consumer.assignment())

    eventually(owns, "it owns the partition", SESSION_S / 2)
    return consumer


def pause(pid: int) -> None:
    """Stop a process, and return once it stands: its threads go on for as long as they get to."""
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: states(pid) == {STOPPED}, "it stands", MACHINE_S)


def states(pid: int) -> set[str]:
    """The states of a process's threads; nothing is known while one of them ends."""
    try:
        stats = [(task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except FileNotFoundError:
        return set()
    return {stat.rpartition(")")[2].split()[0] for stat in stats}


@contextmanager
def broker_lost_soon(home: Path, layout: Layout) -> Generator[None]:
    """A broker that takes requests and answers none, and dies while they are under way."""
    (node,) = layout.nodes
    pid = pid_of(home, node)
    assert pid is not None
    pause(pid)
    dies = Timer(UNDER_WAY_S, kill, [home, node])
    dies.start()
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 2 * PATIENCE_S + MACHINE_S
    dies.join()


def test_what_is_committed_is_told(broker: Connection) -> None:
    """The broker has the offsets then, and says so."""
    make(broker, "told")
    consumer = member(broker, "told")
    done = commit(consumer, [TopicPartition("told", 0, OFFSET)], PATIENCE_S)
    assert [(each.topic, each.partition, each.offset) for each in done] == [("told", 0, OFFSET)]
    assert committed(consumer, [("told", 0), ("told", 1)], PATIENCE_S) == {
        ("told", 0): OFFSET,
        ("told", 1): OFFSET_INVALID,
    }
    leave(consumer, PATIENCE_S)


def test_an_outsider_may_ask_what_is_committed(broker: Connection) -> None:
    """Nor need one ever have been a member."""
    make(broker, "asked")
    with closing(Consumer(broker.settings() | {"group.id": "asked"})) as outsider:
        assert committed(outsider, [("asked", 0)], PATIENCE_S) == {("asked", 0): OFFSET_INVALID}


@pytest.mark.long
def test_a_coordinator_that_was_never_asked_is_waited_for(tmp_path: Path) -> None:
    """A new broker makes its topic of offsets and loads it first, and says so until then."""
    with own_broker(tmp_path) as layout:
        there = connection(tmp_path, layout)
        make(there, "t")
        places = [("t", 0)]
        for group in range(GROUPS):
            with closing(Consumer(there.settings() | {"group.id": f"g-{group}"})) as consumer:
                assert committed(consumer, places, 30.0) == {("t", 0): OFFSET_INVALID}


def test_nobody_is_waited_for_who_is_not_there() -> None:
    """The client's own error comes when patience is out."""
    began = time.monotonic()
    nowhere = Connection("127.0.0.1:9")
    with (
        closing(Consumer(nowhere.settings() | {"group.id": "g"})) as consumer,
        pytest.raises(KafkaException),
    ):
        committed(consumer, [("t", 0)], PATIENCE_S)
    assert time.monotonic() - began < PATIENCE_S + MACHINE_S


def test_who_has_left_is_a_member_no_more(broker: Connection) -> None:
    """Its partition is free for the next one at once, and it can commit nothing."""
    make(broker, "left")
    consumer = member(broker, "left")
    leave(consumer, PATIENCE_S)
    leave(member(broker, "left"), PATIENCE_S)
    with pytest.raises(RuntimeError, match="closed"):
        commit(consumer, [TopicPartition("left", 0, OFFSET)], PATIENCE_S)


def test_a_group_that_went_on_is_no_failure(broker: Connection) -> None:
    """Nothing is committed by whom the group knows no more, and nothing raised."""
    make(broker, "went-on")
    consumer = member(broker, "went-on")
    consumer.unsubscribe()
    consumer.consume(1, 1.0)
    successor = member(broker, "went-on")
    assert commit(consumer, [TopicPartition("went-on", 0, OFFSET)], PATIENCE_S) == ()
    for each in (consumer, successor):
        leave(each, PATIENCE_S)


@pytest.mark.long
def test_a_commit_that_lost_its_broker_is_given_up_and_its_member_leaves(tmp_path: Path) -> None:
    """The client itself would wait for ever, for the commit and for the end of the member."""
    with own_broker(tmp_path) as layout:
        there = connection(tmp_path, layout)
        make(there, "t")
        consumer = member(there, "t")
        with broker_lost_soon(tmp_path, layout):
            with pytest.raises(
                NotCommittedError, match="of t were not committed: no broker answered within 3 s"
            ):
                commit(consumer, [TopicPartition("t", 0, OFFSET)], PATIENCE_S)
            leave(consumer, PATIENCE_S)


@pytest.mark.long
def test_a_partition_that_lost_its_broker_with_a_commit_under_way_is_closed(
    tmp_path: Path,
) -> None:
    """So an engine can be stopped, or stand back, whatever it had shown to its group last."""
    with own_broker(tmp_path) as layout:
        there = connection(tmp_path, layout)
        make(there, "t")
        partition = Partition(there, "t", "reader")
        partition.consumer.commit(offsets=[TopicPartition("t", 0, OFFSET)], asynchronous=False)
        with broker_lost_soon(tmp_path, layout):
            partition.consumer.commit(offsets=[TopicPartition("t", 0, OFFSET)], asynchronous=True)
            with pytest.raises(KafkaException):
                partition.consumer.get_watermark_offsets(TopicPartition("t", 0), PATIENCE_S)
            partition.close()
