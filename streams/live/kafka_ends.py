# SPDX-License-Identifier: Apache-2.0
"""The service's ends on Kafka: accepted events in, outputs in the ledger's transaction, beats."""

import time
from collections.abc import Iterable, Mapping, Sequence

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.cimpl import OFFSET_END
from msgspec import DecodeError, Struct, msgpack

from schemas.errors import WorldError
from schemas.ledger import Batch, CorruptLedgerError, Lease, LedgerStorageError
from schemas.records import Published
from streams.intake import Refused
from streams.kafka.connection import Connection
from streams.kafka.headers import from_record
from streams.kafka.ledger import KafkaLedger, input_name
from streams.kafka.lock import Outgoing
from streams.kafka.partition import goes_on, is_lost, partitions_of
from streams.kafka.topics import ENGINE, Topology
from streams.live.ports import NOTHING, Arrived, Beat, Channel, Output

_BEAT_LIFE_MS = 1_000
"""A beat that could not be delivered for so long is dropped: late, it would be a lie."""

_FETCH_WAIT_MS = 50
_ASK_S = 10.0
_COUNT_EACH_S, _COUNT_S = 30.0, 1.0
"""How often partitions are counted while events are read, and how long that may hold them up."""

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
        self._count, self._counted_s = 0, time.monotonic()

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def seek(self, consumed: Mapping[str, int]) -> None:
        """Go on after what the ledger accounts for; at 0 for a partition not named.

        A partition of which nothing was ever decided begins with its first record, so that `poll`
        tells where that is gone. Raises `LedgerStorageError` where the topic is not there.
        """
        name = self._topic.name
        try:
            numbers = partitions_of(self._consumer, name)
        except KafkaException as error:
            raise self._failed(error) from error
        places = [TopicPartition(name, n, consumed.get(input_name(name, n), 0)) for n in numbers]
        self._consumer.assign(places)
        self._count, self._counted_s = len(numbers), time.monotonic()

    def poll(self, limit: int, timeout_ms: int) -> Arrived:
        """Return up to `limit` events as soon as there are any.

        Raises `CorruptLedgerError` where the broker has lost what is next, which nobody decided
        yet, and `LedgerStorageError` where it cannot be read or partitions were added: `seek`.
        """
        self._recount()
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

    def _recount(self) -> None:
        """Look now and then whether partitions were added, which only `seek` begins to read."""
        if time.monotonic() < self._counted_s + _COUNT_EACH_S:
            return
        self._counted_s = time.monotonic()
        name = self._topic.name
        try:
            found = self._consumer.list_topics(name, timeout=_COUNT_S).topics[name]
        except KafkaException:  # who cannot say it now is asked again
            return
        if len(found.partitions) > self._count:
            msg = (
                f"{name} at {self._where} had {self._count} partitions and now has "
                f"{len(found.partitions)}; whoever takes over again reads all of them"
            )
            raise LedgerStorageError(msg)

    def _arrived(self, messages: Iterable[Message]) -> Arrived:
        events: list[Published] = []
        consumed: dict[str, int] = {}
        for message in messages:
            error = message.error()
            if error is not None:
                if goes_on(error):
                    continue
                raise self._refused(message, KafkaException(error))
            events.append(_published(message))
            name = input_name(message.topic() or "", message.partition() or 0)
            consumed[name] = (message.offset() or 0) + 1
        return Arrived(tuple(events), consumed)

    def _refused(self, message: Message, error: KafkaException) -> WorldError:
        """Return what an error means that came in place of a record."""
        if not is_lost(error):
            return self._failed(error)
        msg = (
            f"{message.topic()}/{message.partition()} at {self._where} does not have offset "
            f"{message.offset()}: accepted events were deleted before the engine decided them; "
            "restore the topic, or the ledger under another prefix (`singlepool archive restore`) "
            "and let upstream publish again"
        )
        return CorruptLedgerError(msg)

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
        # By its end, and not by the group's offsets: who starts first would wait for a coordinator.
        self._consumer.assign([TopicPartition(self._topic, 0, OFFSET_END)])

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
        self._producer = Producer(
            connection.settings()
            | {"enable.idempotence": True, "message.timeout.ms": int(_ASK_S * 1_000)}
        )

    def close(self) -> None:
        """Say what is still to be said, and leave the broker, also one that is away."""
        self._producer.flush(_ASK_S)
        self._producer.purge()  # the client's own close waits for what is left
        self._producer.close()

    def announce(self, position: int, digest: bytes) -> None:
        """Say that a snapshot of a position is kept, and the state's digest at it."""
        value = _ENCODED.encode(Announced(position, digest, self._owner))
        self._producer.produce(self._topic, value, self._key.encode(), 0)
        self._producer.flush(_ASK_S)
