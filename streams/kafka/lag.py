# SPDX-License-Identifier: Apache-2.0
"""Who is how far: what each consumer has done of what there is, partition by partition.

Intake's group says what it committed. The engine's own word is the ledger's: its group's offsets
only repeat it for tools that watch groups.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing

from confluent_kafka import Consumer, KafkaException, TopicPartition
from msgspec import Struct

from schemas.ledger import LedgerStorageError
from streams.kafka.connection import Connection
from streams.kafka.ledger import input_name
from streams.kafka.membership import committed
from streams.kafka.partition import PATIENCE_S, bounds_of, partitions_of
from streams.kafka.reader import KafkaReader
from streams.kafka.topics import ENGINE, INTAKE, Topic, Topology


class Lag(Struct, frozen=True):
    """How far a consumer is in one partition; `position` counts as its consumer counts."""

    consumer: str
    what: str
    partition: int
    position: int
    end: int

    @property
    def lag(self) -> int:
        """How much it has not done yet."""
        return self.end - self.position


class Lags(Struct, frozen=True):
    """All consumers' lags, and the ledger's head."""

    rows: tuple[Lag, ...]
    head: int

    def total(self, consumer: str) -> int:
        """Return how much a consumer has not done yet."""
        return sum(row.lag for row in self.rows if row.consumer == consumer)


def lags(connection: Connection, topology: Topology) -> Lags:
    """Return who is how far. Raises `LedgerStorageError`."""
    with KafkaReader(connection, topology) as ledger:
        head, consumed = ledger.head(), ledger.consumed()
    settings = connection.settings() | {"group.id": topology.group(INTAKE)}  # it joins none
    try:
        with closing(Consumer(settings)) as consumer:
            rows = (
                *_of_intake(consumer, topology),
                *_of_engine(consumer, topology.accepted, consumed),
            )
    except KafkaException as error:
        msg = f"the broker at {connection.bootstrap} does not say who is how far: {error}"
        raise LedgerStorageError(msg) from error
    return Lags(rows, head)


def _of_intake(consumer: Consumer, topology: Topology) -> Iterator[Lag]:
    """Yield how far intake's group is, by what it has committed."""
    bounds = {
        (topic.name, partition): (low, end)
        for topic in topology.upstream
        for partition, low, end in _bounds(consumer, topic)
    }
    found = committed(consumer, tuple(bounds), PATIENCE_S)
    for (topic, partition), (low, end) in bounds.items():
        yield Lag(INTAKE, topic, partition, max(found[topic, partition], low), end)


def _of_engine(consumer: Consumer, topic: Topic, consumed: Mapping[str, int]) -> Iterator[Lag]:
    for partition, low, end in _bounds(consumer, topic):
        position = consumed.get(input_name(topic.name, partition), low)
        yield Lag(ENGINE, topic.name, partition, position, end)


def _bounds(consumer: Consumer, topic: Topic) -> Iterator[tuple[int, int, int]]:
    """Yield each partition of a topic with its first offset and its end."""
    for partition in partitions_of(consumer, topic.name):
        yield partition, *bounds_of(consumer, TopicPartition(topic.name, partition))
