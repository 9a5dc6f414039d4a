# SPDX-License-Identifier: Apache-2.0
"""One partition as its committed records: sought, read on, and asked for its end.

What a transaction wrote is seen when it is committed, and never when it was aborted.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.errors import WorldError
from schemas.ledger import CorruptLedgerError, LedgerStorageError
from streams.kafka.connection import Connection, is_one_of
from streams.kafka.membership import leave

PATIENCE_S = 30.0

_ONLY = 0
_WITHIN = 512
_LOST = frozenset((KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE))  # noqa: SLF001  # the client's own name
_PASSING = frozenset(
    (
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.OFFSET_NOT_AVAILABLE,  # of a new leader that does not know its end yet
        KafkaError._DESTROY_BROKER,  # noqa: SLF001  # as above
        KafkaError._TRANSPORT,  # noqa: SLF001  # as above
        KafkaError._TIMED_OUT,  # noqa: SLF001  # as above
    )
)
"""What a broker or its clients say while a leader is found: ask again."""

_UNKNOWN_S = 5.0
"""How long a node may take to hear of a topic that was just made."""

_ASK_S, _AGAIN_S, _LOOK_S = 5.0, 0.05, 0.001
_AWAIT_MS, _BACKOFF_MS = 100, 10
_LOOKING = {"fetch.wait.max.ms": 5, "fetch.message.max.bytes": 65_536, "queued.min.messages": 1_000}
"""For who looks here and there: little at a time, and the broker holds no request for records that
are not there yet, since the next look would wait behind it."""

_QUEUED_KIB = 16_384

_T = TypeVar("_T")


class Partition:
    """A reader of one partition. `next` is the offset after the last record that it took."""

    def __init__(
        self,
        connection: Connection,
        topic: str,
        group: str,
        *,
        looks: bool = False,
    ) -> None:
        """Read a topic's partition; of the group's name only commits of offsets make use.

        With `looks`, it is made for looking here and there.
        """
        self.topic, self._where = topic, connection.bootstrap
        self.consumer = Consumer(
            connection.settings()
            | {
                "group.id": group,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",  # to begin elsewhere would be a silent gap
                "check.crcs": True,
                "fetch.wait.max.ms": _AWAIT_MS,
                "queued.max.messages.kbytes": _QUEUED_KIB,
                "fetch.queue.backoff.ms": _BACKOFF_MS,  # of 1,000 by default, which a seek meets
                **(_LOOKING if looks else {}),
            }
        )
        self.next: int | None = None
        self._end_seen, self._met = -1, False

    def close(self) -> None:
        """Leave the broker."""
        leave(self.consumer, _ASK_S)

    def bounds(self) -> tuple[int, int]:
        """Return the first offset, and the one after the last that is committed.

        Raises `LedgerStorageError` where the broker does not say.
        """
        try:
            found = bounds_of(self.consumer, TopicPartition(self.topic, _ONLY))
        except KafkaException as error:
            raise self._failed(error) from error
        self._met = True
        return found

    def wait_for_end(self, offset: int) -> None:
        """Return once the end is behind an offset. Raises `LedgerStorageError`."""
        deadline = time.monotonic() + PATIENCE_S
        while self.bounds()[1] <= offset:
            if time.monotonic() > deadline:
                raise self._failed(KafkaException(f"offset {offset} did not appear"))
            time.sleep(_LOOK_S)

    def seek(self, offset: int) -> None:
        """Go on from an offset. Raises `LedgerStorageError` where the broker does not answer."""
        if not self._met:  # whom a client has not met is looked for once a second
            self.bounds()
        self.consumer.assign([TopicPartition(self.topic, _ONLY, offset)])
        self.next, self._end_seen = offset, -1

    def rest(self) -> None:
        """Ask the broker for nothing until the next `seek`."""
        self.consumer.unassign()
        self.next = None

    def seen(self, end: int) -> bool:
        """Whether all before an offset was taken."""
        return self.next is not None and max(self.next, self._end_seen) >= end

    def take(self, timeout_s: float) -> Sequence[Message]:
        """Return the records that come next, and wait for the first.

        None came where there are none, or where only an end or a marker was met. Raises
        `LedgerStorageError`, and `CorruptLedgerError` where the broker no longer has the offset.
        """
        try:
            first = self.consumer.poll(timeout_s)
            rest = [] if first is None else self.consumer.consume(_WITHIN, 0)
        except KafkaException as error:
            raise self._failed(error) from error
        return self._sound([] if first is None else [first, *rest])

    def _sound(self, messages: Iterable[Message]) -> Sequence[Message]:
        found: list[Message] = []
        for message in messages:
            error = message.error()
            offset = message.offset()
            if error is None and offset is not None:
                found.append(message)
                self.next = offset + 1
            elif error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # as above
                self._end_seen = offset or 0
            elif error is not None and not goes_on(error):
                raise self._failed(KafkaException(error))
        return found

    def _failed(self, error: KafkaException) -> WorldError:
        if is_lost(error):
            msg = (
                f"{self.topic} at {self._where} no longer has offset {self.next}: records were "
                "deleted; restore the ledger from the archive"
            )
            return CorruptLedgerError(msg)
        return LedgerStorageError(
            f"{self.topic} at {self._where} cannot be read: {error}; `singlepool doctor` looks why"
        )


def bounds_of(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """Return a partition's first offset, and the one after the last that is committed.

    Asks again while a leader is found. Raises `KafkaException`.
    """
    return _patiently(lambda: consumer.get_watermark_offsets(place, _ASK_S, cached=False))


def partitions_of(consumer: Consumer, topic: str) -> Sequence[int]:
    """Return the numbers of a topic's partitions as they are now; more may be added, never fewer.

    Asks again while a leader is found, and for a moment where the topic is not known. Raises
    `KafkaException`, also where there is none: the client itself would say that it is empty.
    """
    return _patiently(lambda: _known(consumer, topic))


def _known(consumer: Consumer, topic: str) -> Sequence[int]:
    found = consumer.list_topics(topic, timeout=_ASK_S).topics[topic]
    if found.error is not None:
        raise KafkaException(KafkaError(found.error.code(), f"{topic}: {found.error.str()}"))
    if not found.partitions:
        reason = f"{topic} has no partitions"
        raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, reason))
    return sorted(found.partitions)


def _patiently(ask: Callable[[], _T]) -> _T:
    """Ask until there is an answer, or what is said instead will not pass."""
    began = time.monotonic()
    while True:
        try:
            return ask()
        except KafkaException as error:
            unknown = is_one_of(error, (KafkaError.UNKNOWN_TOPIC_OR_PART,))
            patience_s = _UNKNOWN_S if unknown else PATIENCE_S
            if not (unknown or passes(error)) or time.monotonic() > began + patience_s:
                raise
            time.sleep(_AGAIN_S)


def passes(error: KafkaException) -> bool:
    """Whether this is what brokers say while a leader is found, so that asking again may help."""
    return is_one_of(error, _PASSING)


def goes_on(error: KafkaError) -> bool:
    """Whether a consumer that says this in place of a record goes on by itself.

    The client marks none of them as one to be retried. That a topic is not there is none of them:
    of a new one, the client says so only after half a minute.
    """
    return error.code() in _PASSING or error.code() == KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001  # as above


def is_lost(error: KafkaException) -> bool:
    """Whether the broker does not have the offset that was to be read: no retry brings it back."""
    return is_one_of(error, _LOST)
