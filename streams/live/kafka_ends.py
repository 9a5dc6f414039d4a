# SPDX-License-Identifier: Apache-2.0
"""The service's ends on Kafka: accepted events in, outputs in the ledger's transaction, beats."""

from collections.abc import Iterable, Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.cimpl import OFFSET_BEGINNING
from msgspec import DecodeError, Struct, msgpack

from schemas.ledger import Batch, Lease, LedgerStorageError
from schemas.records import Published
from streams.intake import Refused
from streams.kafka.connection import Connection
from streams.kafka.headers import from_record
from streams.kafka.ledger import KafkaLedger, input_name
from streams.kafka.lock import Outgoing
from streams.kafka.topics import ENGINE, Topology
from streams.live.ports import NOTHING, Arrived, Beat, Channel, Output

_BEAT_LIFE_MS = 1_000
"""A beat that could not be delivered for so long is dropped: late, it would be a lie."""

_FETCH_WAIT_MS = 50
_ASK_S = 10.0
_ENCODED = msgpack.Encoder()
_BEAT = msgpack.Decoder(Beat)


class LiveKafkaLedger(KafkaLedger):
    """The ledger on Kafka, with what follows from a batch in the batch's own transaction."""

    def append_and_tell(
        self, lease: Lease, position: int, batch: Batch, outputs: Sequence[Output]
    ) -> int:
        """Append a batch and tell what follows from it, all or nothing; return the new head."""
        topics = {
            Channel.DIRECTIVES: self.topology.directives.name,
            Channel.VERDICTS: self.topology.verdicts.name,
        }
        also = [
            Outgoing(topics[o.channel], o.headers, o.value, key=o.key.encode()) for o in outputs
        ]
        return self.append(lease, position, batch, also)


class KafkaInput:
    """The partitions of `accepted.events`, read without a group: the ledger knows how far."""

    def __init__(self, connection: Connection, topology: Topology) -> None:
        """Connect; nothing is read before `seek`."""
        self._topic, self._where = topology.accepted, connection.bootstrap
        self._consumer = Consumer(
            connection.settings()
            | {
                "group.id": topology.group(ENGINE),
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",  # to begin elsewhere would be a silent gap
                "check.crcs": True,
                "fetch.wait.max.ms": _FETCH_WAIT_MS,
                "reconnect.backoff.max.ms": _BEAT_LIFE_MS,
            }
        )

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def seek(self, consumed: Mapping[str, int]) -> None:
        """Go on after what the ledger accounts for; from the start for a partition not named.

        A partition of which nothing was ever decided begins with the first record that is there.
        """
        name = self._topic.name
        self._consumer.assign(
            [
                TopicPartition(name, n, consumed.get(input_name(name, n), OFFSET_BEGINNING))
                for n in range(self._partitions())
            ]
        )

    def poll(self, limit: int, timeout_ms: int) -> Arrived:
        """Return up to `limit` events as soon as there are any.

        Raises `LedgerStorageError` where the broker has lost what is next: nobody decided it yet.
        """
        first = self._consumer.poll(timeout_ms / 1_000)
        if first is None:
            return NOTHING
        return self._arrived([first, *self._consumer.consume(limit - 1, 0)])

    def lag(self) -> int:
        """Return how many offsets lie before the ends that the last fetches told of."""
        total = 0
        for place in self._consumer.position(self._consumer.assignment()):
            _, end = self._consumer.get_watermark_offsets(place, cached=True)
            if place.offset >= 0:  # negative while nothing was read yet
                total += max(0, end - place.offset)
        return total

    def _partitions(self) -> int:
        """Return how many partitions the topic has by now; more may be added, never fewer."""
        try:
            found = self._consumer.list_topics(self._topic.name, timeout=_ASK_S)
        except KafkaException as error:
            raise self._failed(error) from error
        return len(found.topics[self._topic.name].partitions)

    def _arrived(self, messages: Iterable[Message]) -> Arrived:
        events: list[Published] = []
        consumed: dict[str, int] = {}
        for message in messages:
            error = message.error()
            if error is not None:
                if error.retriable() or error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001  # the client's own name
                    continue
                raise self._failed(KafkaException(error))
            events.append(_published(message))
            name = input_name(message.topic() or "", message.partition() or 0)
            consumed[name] = (message.offset() or 0) + 1
        return Arrived(tuple(events), consumed)

    def _failed(self, error: KafkaException) -> LedgerStorageError:
        msg = f"{self._topic.name} at {self._where} cannot be read: {error}"
        return LedgerStorageError(f"{msg}; `singlepool doctor` looks why")


def _published(message: Message) -> Published:
    """Return the event of a record; one that is none keeps its bytes, to be refused with them."""
    headers = message.headers()
    listed = list(headers.items()) if isinstance(headers, dict) else headers
    found = from_record(listed, message.value(), topic=message.topic() or "")
    return found.published if isinstance(found, Refused) else found


class KafkaBeats:
    """The topic of beats, and a producer that rather drops a beat than sends it late."""

    def __init__(self, connection: Connection, topology: Topology) -> None:
        """Listen from now on."""
        self._topic = topology.beats.name
        self._producer = Producer(
            connection.settings()
            | {
                "acks": 1,
                "linger.ms": 0,
                "message.timeout.ms": _BEAT_LIFE_MS,
                "reconnect.backoff.max.ms": _BEAT_LIFE_MS,
            }
        )
        self._consumer = Consumer(
            connection.settings()
            | {
                "group.id": topology.group(ENGINE),
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",
                "fetch.wait.max.ms": _FETCH_WAIT_MS,
                "reconnect.backoff.max.ms": _BEAT_LIFE_MS,
            }
        )
        self._consumer.assign([TopicPartition(self._topic, 0)])

    def close(self) -> None:
        """Say what is still to be said, and leave the broker."""
        self._producer.flush(_BEAT_LIFE_MS / 1_000)
        self._producer.close()
        self._consumer.close()

    def send(self, beat: Beat) -> None:
        """Send a beat without waiting."""
        self._producer.produce(self._topic, _ENCODED.encode(beat), beat.owner.encode(), 0)
        self._producer.poll(0)

    def poll(self) -> Sequence[Beat]:
        """Return what was beaten since the last call."""
        found: list[Beat] = []
        for message in self._consumer.consume(500, 0):
            if message.error() is None:
                try:
                    found.append(_BEAT.decode(message.value() or b""))
                except DecodeError:  # of another build: whoever it is, the lock decides
                    continue
        return found


class Announced(Struct, frozen=True):
    """That a snapshot is kept, of which position, with which digest of the state, and by whom."""

    position: int
    digest: bytes
    owner: str


_ANNOUNCED = msgpack.Decoder(Announced)


def decode_announced(data: bytes) -> Announced:
    """Return what a record of the topic of snapshots says. Raises msgspec's `DecodeError`."""
    return _ANNOUNCED.decode(data)


class KafkaHerald:
    """The compacted topic of snapshots, keyed by the ledger that they are of."""

    def __init__(self, connection: Connection, topology: Topology, owner: str) -> None:
        """Connect."""
        self._topic, self._key, self._owner = topology.snapshots.name, topology.lock, owner
        self._producer = Producer(connection.settings() | {"enable.idempotence": True})

    def close(self) -> None:
        """Say what is still to be said, and leave the broker."""
        self._producer.flush(_ASK_S)
        self._producer.close()

    def announce(self, position: int, digest: bytes) -> None:
        """Say that a snapshot of a position is kept, and the state's digest at it."""
        value = _ENCODED.encode(Announced(position, digest, self._owner))
        self._producer.produce(self._topic, value, self._key.encode(), 0)
        self._producer.flush(_ASK_S)
