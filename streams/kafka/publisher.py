# SPDX-License-Identifier: Apache-2.0
"""Publishing to upstream's topics: each event under its key, by the topic of its family."""

from collections.abc import Sequence

from confluent_kafka import KafkaError, Message, Producer

from schemas.catalogue import BY_CE_TYPE, Family
from schemas.codec import decode_event
from schemas.errors import CallerError, DecodeError, WorldError
from schemas.ledger import RejectedEvent
from schemas.records import Published
from streams.kafka.connection import Connection
from streams.kafka.headers import to_headers
from streams.kafka.keys import key_of
from streams.kafka.topics import KEPT_BYTES, Topology

_PATIENCE_S = 60.0
_QUEUE_POLL_S = 0.1


class NotPublishedError(WorldError):
    """The broker did not acknowledge all that was to be published; publish it again."""


class NoTopicError(CallerError):
    """An event is of no type that a topic is declared for."""


class Publisher:
    """Publishes as one trust domain, in order per key, until `close`."""

    def __init__(self, connection: Connection, topology: Topology, domain: str) -> None:
        """Connect."""
        self._topology, self._domain = topology, domain
        self._producer = Producer(
            connection.settings()
            | {
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.max.bytes": KEPT_BYTES,
                "message.timeout.ms": int(_PATIENCE_S * 1_000),
                "partitioner": "murmur2_random",  # as all publishers are told to, and Java's do
            }
        )

    def close(self) -> None:
        """Leave the broker; what is not acknowledged may not be there."""
        self._producer.close()

    def publish(self, events: Sequence[Published]) -> None:
        """Publish events as they are, byte by byte; they are on the broker when this returns.

        Raises `NotPublishedError`: some may be there then, and a second time has no second effect.
        Raises `NoTopicError` or `TopologyError`, and then publishes none.
        """
        self.put([(self.topic_of(event), event) for event in events])

    def put(self, placed: Sequence[tuple[str, Published]]) -> None:
        """Do the same with events whose topics are known. Raises `NotPublishedError`."""
        reports = _Reports()
        for topic, event in placed:
            self._produce(topic, event, reports)
        self._producer.flush(_PATIENCE_S)
        left = len(placed) - reports.delivered
        if left:
            why = reports.failed or "no answer"
            msg = f"{left} of {len(placed)} events were not acknowledged: {why}"
            raise NotPublishedError(msg)

    def topic_again(self, refused: RejectedEvent) -> str:
        """Return where a refused event is published again: on the topic that it came by.

        On another one it would speak with another domain's rights. What the engine refused says no
        topic: intake had let it through, so it goes as this domain's. Raises `NoTopicError`, and
        `TopologyError` as `topic_of` does.
        """
        declared = {topic.name for topic in self._topology.upstream}
        if _family(refused.published) is None or not refused.topic:
            return self.topic_of(refused.published)
        if refused.topic not in declared:
            msg = (
                f"{refused.published.ce_type!r} came by {refused.topic}, which belongs to no "
                "trust domain that is declared here; name their file with --domains"
            )
            raise NoTopicError(msg)
        return refused.topic

    def topic_of(self, event: Published) -> str:
        """Return the topic of an event's family.

        Raises `NoTopicError` where no topic has its type, `TopologyError` where the domain has
        none for its family.
        """
        family = _family(event)
        if family is None:
            msg = f"{event.ce_type!r} belongs on no topic of upstream; docs/topics.md lists them"
            raise NoTopicError(msg)
        return self._topology.published(family, self._domain).name

    def _produce(self, topic: str, event: Published, reports: "_Reports") -> None:
        while True:
            try:
                self._producer.produce(
                    topic,
                    event.payload,
                    _key(event),
                    on_delivery=reports.take,
                    headers=to_headers(event),
                )
            except BufferError:  # the queue is full: let some of it go
                self._producer.poll(_QUEUE_POLL_S)
            else:
                return


class _Reports:
    """What the broker said of the records of one call: an empty queue proves no delivery."""

    def __init__(self) -> None:
        self.delivered = 0
        self.failed: KafkaError | None = None

    def take(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.delivered += 1
        self.failed = self.failed or error


def _family(event: Published) -> Family | None:
    """Return the family of an event that upstream may say; None for any other."""
    known = BY_CE_TYPE.get(event.ce_type)
    return None if known is None or known.family is Family.DECISION else known.family


def _key(event: Published) -> bytes:
    """Return the key of an event; one that cannot be read is refused on any partition alike."""
    try:
        return key_of(decode_event(event.ce_type, event.payload))
    except DecodeError:
        return event.origin.ce_subject.encode()
