# SPDX-License-Identifier: Apache-2.0
"""A topic of several partitions as it goes on: what was committed since the feed was opened."""

from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from schemas.ledger import LedgerStorageError
from streams.kafka.connection import Connection
from streams.kafka.partition import bounds_of, goes_on, partitions_of

_AT_ONCE = 1_000
_FETCH_WAIT_MS = 50


class Feed:
    """Reads a topic from its end on, without a group: who opens it later reads less."""

    def __init__(self, connection: Connection, topic: str, group: str) -> None:
        """Begin at the end as it is now. Raises `LedgerStorageError`."""
        self._topic, self._where = topic, connection.bootstrap
        self._consumer = Consumer(
            connection.settings()
            | {
                "group.id": group,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",  # to begin elsewhere would be a silent gap
                "fetch.wait.max.ms": _FETCH_WAIT_MS,
            }
        )
        try:
            self._consumer.assign(self._ends())
        except KafkaException as error:
            self._consumer.close()
            raise self._failed(error) from error

    def _ends(self) -> list[TopicPartition]:
        numbers = partitions_of(self._consumer, self._topic)
        places = [TopicPartition(self._topic, number) for number in numbers]
        for place in places:
            _, place.offset = bounds_of(self._consumer, place)
        return places

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def take(self, timeout_s: float = 0.0) -> Sequence[Message]:
        """Return what came since, in order per partition; waits for the first so long."""
        found: list[Message] = []
        for message in self._consumer.consume(_AT_ONCE, timeout_s):
            error = message.error()
            if error is None:
                found.append(message)
            elif not goes_on(error):
                raise self._failed(KafkaException(error))
        return found

    def _failed(self, error: KafkaException) -> LedgerStorageError:
        msg = f"{self._topic} at {self._where} cannot be read: {error}"
        return LedgerStorageError(f"{msg}; `singlepool doctor` looks why")
