# SPDX-License-Identifier: Apache-2.0
"""Refused events on a topic: kept whole, numbered in its order, marked when published again.

A refused event is the record that was published, its CloudEvents headers and its bytes, with what
was wrong in further headers. A mark is a record of its own that lists numbers: nothing is changed.
Numbers count refused events from the topic's beginning, so the topic keeps its records for ever.
"""

import time
from array import array
from collections.abc import Iterator, Mapping, Sequence

from confluent_kafka import KafkaError, Message, Producer
from msgspec import DecodeError, msgpack

from schemas.ledger import (
    CorruptLedgerError,
    LedgerStorageError,
    NoSuchRejectedError,
    RejectedEvent,
)
from streams.intake import Refused
from streams.kafka.connection import Connection
from streams.kafka.headers import Headers, from_record, to_headers
from streams.kafka.partition import PATIENCE_S, Partition
from streams.kafka.topics import READER, Topology

_REJECTION, _FIELD, _VALUE, _RULE = "rejection", "field", "value", "rule"
_RECORDED, _TOPIC, _MARK = "recorded_ms", "topic", "replayed"
_LOOK_S = 0.5

_encode = msgpack.Encoder().encode
_decode_numbers = msgpack.Decoder(tuple[int, ...]).decode


def refused_headers(event: RejectedEvent) -> list[tuple[str, str | bytes | None]]:
    """Return the headers of a refused event's record; its value is the payload."""
    said = (
        (_REJECTION, event.rejection),
        (_FIELD, event.field),
        (_VALUE, event.value),
        (_RULE, event.rule),
        (_RECORDED, str(event.recorded_ms)),
        *([(_TOPIC, event.topic)] if event.topic else []),
    )
    return [*to_headers(event.published), *((name, text.encode()) for name, text in said)]


def read_refused(headers: Headers, value: bytes | None) -> RejectedEvent:
    """Return the refused event of a record, as far as it can be read: it was refused already."""
    found = from_record(headers, value)
    said = {name: _text(data) for name, data in headers}
    recorded = said.get(_RECORDED, "")
    return RejectedEvent(
        found.published if isinstance(found, Refused) else found,
        said.get(_REJECTION, ""),
        said.get(_FIELD, ""),
        said.get(_VALUE, ""),
        said.get(_RULE, ""),
        int(recorded) if recorded.isdecimal() else 0,
        said.get(_TOPIC, ""),
    )


def _text(data: str | bytes | None) -> str:
    return data.decode(errors="backslashreplace") if isinstance(data, bytes) else data or ""


class RejectedLog:
    """The refused events of a topology, whoever refused them: intake or engine."""

    def __init__(self, connection: Connection, topology: Topology, principal: str = READER) -> None:
        """Read as a principal; marking needs one that may write there."""
        self._topic, self._connection = topology.rejected.name, connection
        self._partition = Partition(connection, self._topic, topology.group(principal), looks=True)
        self._next: int | None = None
        self._offsets = array("q")
        self._replayed: set[int] = set()

    def close(self) -> None:
        """Leave the broker."""
        self._partition.close()

    def rejected(self, start: int, limit: int) -> Sequence[tuple[int, RejectedEvent]]:
        """Return up to `limit` refused events, numbered from 1, from number `start` on."""
        self._catch_up()
        first = max(start, 1)
        return self._read(range(first, min(first + limit, len(self._offsets) + 1)))

    def outstanding(self, start: int, limit: int) -> Sequence[tuple[int, RejectedEvent]]:
        """Return the same without those that were published again."""
        self._catch_up()
        numbers = range(max(start, 1), len(self._offsets) + 1)
        return self._read([n for n in numbers if n not in self._replayed][:limit])

    def mark_replayed(self, numbers: Sequence[int]) -> None:
        """Remember that these refused events were published again; they stay in the store.

        Raises `NoSuchRejectedError`, and then marks none.
        """
        self._catch_up()
        for number in numbers:
            if not 1 <= number <= len(self._offsets):
                msg = f"there is no refused event {number}; list them first"
                raise NoSuchRejectedError(msg)
        self._publish(_encode(tuple(numbers)))

    def _publish(self, mark: bytes) -> None:
        answers: list[KafkaError | None] = []
        producer = Producer(self._connection.settings() | {"enable.idempotence": True})
        producer.produce(
            self._topic,
            mark,
            partition=0,
            headers=[(_MARK, b"")],
            on_delivery=lambda error, _: answers.append(error),
        )
        producer.flush(PATIENCE_S)
        if answers != [None]:
            msg = f"{self._topic}: the mark was not acknowledged ({answers}); mark again"
            raise LedgerStorageError(msg)

    # --- reading --------------------------------------------------------------------------------

    def _catch_up(self) -> None:
        """Know where each refused event lies, and which were published again."""
        low, end = self._partition.bounds()
        for message in self._between(low if self._next is None else self._next, end):
            if _MARK in _headers(message):
                self._replayed.update(self._numbers(message))
            else:
                self._offsets.append(message.offset() or 0)
            self._next = (message.offset() or 0) + 1  # what is counted is not counted again
        self._next = end

    def _read(self, numbers: Sequence[int]) -> Sequence[tuple[int, RejectedEvent]]:
        """Return the refused events of rising numbers."""
        if not numbers:
            return []
        wanted = {self._offsets[number - 1]: number for number in numbers}
        found: list[tuple[int, RejectedEvent]] = []
        for message in self._between(min(wanted), max(wanted) + 1):
            number = wanted.get(message.offset() or 0)
            if number is not None:
                headers = list(_headers(message).items())
                found.append((number, read_refused(headers, message.value())))
        return found

    def _between(self, begin: int, end: int) -> Iterator[Message]:
        """Yield what lies between two offsets; patience is with each look, however many it takes.

        Raises `LedgerStorageError` where nothing comes for too long.
        """
        if begin >= end:
            return
        self._partition.seek(begin)
        deadline = time.monotonic() + PATIENCE_S
        while not self._partition.seen(end):
            before = self._partition.next
            for message in self._partition.take(_LOOK_S):
                if (message.offset() or 0) < end:
                    yield message
            if self._partition.next != before:
                deadline = time.monotonic() + PATIENCE_S
            elif time.monotonic() > deadline and not self._partition.seen(end):
                msg = f"{self._topic} at {self._connection.bootstrap} gave nothing for too long"
                raise LedgerStorageError(msg)
        self._partition.rest()

    def _numbers(self, message: Message) -> Sequence[int]:
        try:
            return _decode_numbers(message.value() or b"")
        except DecodeError as error:
            msg = f"{self._topic}, offset {message.offset()}: a mark that cannot be read ({error})"
            raise CorruptLedgerError(msg) from error


def _headers(message: Message) -> Mapping[str, str | bytes | None]:
    return dict(message.headers() or ())
