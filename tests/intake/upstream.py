# SPDX-License-Identifier: Apache-2.0
"""The world around intake on a real broker: who publishes, and who reads what came of it."""

from collections.abc import Iterable, Sequence

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    Message,
    Producer,
    TopicPartition,
)

from schemas.catalogue import BY_EVENT, Event, Family
from schemas.codec import decode_event, publish
from schemas.ledger import RejectedEvent
from schemas.records import Origin, Published
from schemas.serving import RequestProfileObserved
from streams.intake import Refused
from streams.kafka.connection import Connection
from streams.kafka.headers import from_record, to_headers
from streams.kafka.keys import key_of
from streams.kafka.rejected import read_refused
from streams.kafka.topics import INTAKE, Topology
from tests.intake.partition import merged
from tests.kafka.groups import committed_in

DOMAIN = "main"
PATIENCE_S = 120.0


class Upstream:
    """Publishes to a topology's topics, and knows what was acknowledged."""

    def __init__(self, connection: Connection, topology: Topology, codec: str = "none") -> None:
        """Connect as an idempotent producer with a codec."""
        self._topology = topology
        self._failed: list[KafkaError] = []
        self.acknowledged = 0
        self._producer = Producer(
            connection.settings()
            | {
                "enable.idempotence": True,
                "compression.type": codec,
                "message.max.bytes": 4_194_304,
            }
        )

    def publish(self, event: Event, ce_id: str = "") -> None:
        """Publish an event under its key, by the topic of its family."""
        published = publish(event, Origin(ce_id or f"{id(event):x}", "upstream"))
        topic = self._topology.published(BY_EVENT[type(event)].family, DOMAIN).name
        self.put(topic, published.payload, list(to_headers(published)), key_of(event))

    def publish_to(self, topic: str, events: Iterable[Event]) -> None:
        """Publish events to partition 0 of a topic, in order, and wait until all are there."""
        for number, event in enumerate(events):
            published = publish(event, Origin(f"e-{number}", "upstream"))
            self.put(topic, published.payload, list(to_headers(published)), partition=0)
        self.flush()

    def put(
        self,
        topic: str,
        value: bytes | None,
        headers: list[tuple[str, str | bytes | None]],
        key: bytes = b"",
        partition: int = -1,
    ) -> None:
        """Put any record on a topic."""
        while True:
            try:
                self._producer.produce(
                    topic, value, key, partition, on_delivery=self._on_delivery, headers=headers
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def flush(self) -> None:
        """Wait until all is acknowledged."""
        assert self._producer.flush(PATIENCE_S) == 0
        assert self._failed == []

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self._failed.append(error)


def read_all(connection: Connection, topic: str) -> list[Message]:
    """Return the records of a topic as it is now, by partition and offset."""
    reader = Consumer(
        connection.settings() | {"group.id": f"{topic}.test", "enable.auto.commit": False}
    )
    partitions = sorted(reader.list_topics(topic, timeout=10.0).topics[topic].partitions)
    ends = {p: reader.get_watermark_offsets(TopicPartition(topic, p))[1] for p in partitions}
    reader.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
    found: list[Message] = []
    places = [TopicPartition(topic, p) for p in partitions]
    while any(max(p.offset, 0) < ends[p.partition] for p in reader.position(places)):
        found.extend(m for m in reader.consume(10_000, 0.2) if m.error() is None)
    reader.close()
    return sorted(found, key=lambda m: (m.partition() or 0, m.offset() or 0))


def accepted(connection: Connection, topology: Topology) -> list[Published]:
    """Return what was forwarded to the engine."""
    return [_published(message) for message in read_all(connection, topology.accepted.name)]


def _published(message: Message) -> Published:
    found = from_record(headers_of(message), message.value())
    assert not isinstance(found, Refused)
    return found


def accepted_events(connection: Connection, topology: Topology) -> list[Event]:
    """Return the same as events."""
    return [decode_event(p.ce_type, p.payload) for p in accepted(connection, topology)]


def told(connection: Connection, topology: Topology) -> int:
    """Return how many requests the engine was told of, each window once."""
    found = accepted_events(connection, topology)
    profiles = merged([e.profile for e in found if isinstance(e, RequestProfileObserved)])
    return sum(profile.requests for profile in profiles.values())


def committed(connection: Connection, topology: Topology, family: Family = Family.JOB) -> int:
    """Return how many records of a family's topic are committed."""
    name = topology.published(family, DOMAIN).name
    return sum(committed_in(connection, topology.group(INTAKE), name).values())


def rejected(connection: Connection, topology: Topology) -> list[RejectedEvent]:
    """Return what was refused."""
    records = read_all(connection, topology.rejected.name)
    return [read_refused(headers_of(m), m.value()) for m in records]


def headers_of(message: Message) -> Sequence[tuple[str, str | bytes | None]]:
    """Return the headers of a record, one of each name."""
    headers: dict[str, str | bytes | None] = dict(message.headers() or ())
    return list(headers.items())


def publish_all(upstream: Upstream, events: Iterable[Event]) -> None:
    """Publish events and wait until all are acknowledged."""
    for event in events:
        upstream.publish(event)
    upstream.flush()
