# SPDX-License-Identifier: Apache-2.0
"""Reading the ledger on Kafka: a stream to read on by, and a probe to look elsewhere."""

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from confluent_kafka import Message

from schemas.ledger import CorruptLedgerError, LedgerStorageError, PositionError
from streams.closing import Closing
from streams.kafka.connection import Connection
from streams.kafka.entries import NOTHING, Note, Placed, placed_at, read_entry
from streams.kafka.offsets import NEAR, Landmark, Landmarks, locate
from streams.kafka.partition import PATIENCE_S, Partition
from streams.kafka.topics import READER, Topology

_FIRST_LOOK = 64
_LOOK_FURTHER = 8
_KEEP = 65_536
"""So many records that nobody asked for are kept; a reader that only looks must not fill up."""

_INDEX_EACH = 1_024
_LOOK_S = 0.5


class KafkaReader(Closing):
    """The ledger of a topology, to read and wait. Use as a context manager, or call `close`.

    Questions go by the probe: on the stream's connection they would stand behind its wait for
    records. A handle belongs to the thread that opened it; another thread or process opens its own.
    """

    def __init__(self, connection: Connection, topology: Topology, principal: str = READER) -> None:
        """Read as a principal, whose name the broker asks for where it is secured."""
        self.topology, self._connection = topology, connection
        group = topology.group(principal)
        self._stream = Partition(connection, topology.ledger.name, group)
        self._probe = Partition(connection, topology.ledger.name, group, looks=True)
        self._index = Landmarks()
        self._note, self._note_at, self._known_end = NOTHING, -1, -1
        self._base, self._records, self._expected = 0, list[bytes](), _UNKNOWN
        self._offsets = list[int]()
        self._read_to = Landmark(0, 0)

    def close(self) -> None:
        """Leave the broker."""
        self._stream.close()
        self._probe.close()

    # --- the port -------------------------------------------------------------------------------

    def head(self) -> int:
        """Return how many records are committed. Raises `LedgerStorageError`."""
        return self._latest().head

    def consumed(self) -> Mapping[str, int]:
        """Return, per input, the offset up to which its events are accounted for."""
        return MappingProxyType(self._latest().consumed)

    def read(self, start: int, limit: int) -> Sequence[bytes]:
        """Return up to `limit` records from position `start` on, fewer at the head.

        Raises `CorruptLedgerError` at a position that is missing or comes twice.
        """
        if start < 0 or limit < 1:
            msg = f"{limit} records from {start} on cannot be read"
            raise PositionError(msg)
        if not self._holds(start):
            self._go(start)
        if self._note.head >= start + limit:
            self._pump_to(_FAR, start + limit)  # they are there: no need to ask for the end
        elif self._base + len(self._records) < start + limit:
            _, end = self._probe.bounds()
            self._pump_to(end, start + limit)
        found = self._records[start - self._base : start - self._base + limit]
        if found:
            last = start - self._base + len(found) - 1
            self._read_to = Landmark(start + len(found), self._offsets[last] + 1)
        self._forget(start + len(found))
        return found

    def wait(self, position: int, timeout_ms: int) -> int:
        """Return the head once it is past `position`, or as it is after `timeout_ms`.

        A broker that is away meanwhile is waited for like a record.
        """
        deadline = time.monotonic() + timeout_ms / 1_000
        if self._note.head > position:
            return self._note.head
        if not self._holds(position):
            self._go(position)
        self._forget(position)
        while self._note.head <= position and (left := deadline - time.monotonic()) > 0:
            self._pump(left)
            self._trim()
        return self._note.head

    # --- the broker's own places ----------------------------------------------------------------

    def after(self, position: int) -> Mapping[str, int]:
        """Return, by partition, the offset after the record before a position.

        Known of where the last `read` ended; a position elsewhere has none here.
        """
        if self._read_to.position != position:
            return {}
        return {self._partition: self._read_to.offset}

    def begin_at(self, position: int, places: Mapping[str, int]) -> None:
        """Believe what `after` said of a position in another life, until records say otherwise."""
        offset = places.get(self._partition)
        if offset is not None and position:
            self._index.add(Landmark(position - 1, offset - 1))

    @property
    def _partition(self) -> str:
        return f"{self._stream.topic}/0"

    # --- the stream -----------------------------------------------------------------------------

    def _holds(self, position: int) -> bool:
        """Whether reading on from what is here comes to a position."""
        reading = self._stream.next is not None
        return reading and self._base <= position <= self._base + len(self._records)

    def _forget(self, position: int) -> None:
        del self._records[: position - self._base]
        del self._offsets[: position - self._base]
        self._base = position

    def _go(self, position: int) -> None:
        """Read on from a position, or from the end where it is not there yet."""
        low, end = self._probe.bounds()
        self._learn(end)
        offset = end
        if position < self._note.head:
            begin, behind = Landmark(0, low), Landmark(self._note.head, end)
            offset = locate(
                position, begin, behind, self._index, lambda at: self._first_at(at, end)
            )
        self._stream.seek(offset)
        self._base, self._expected = position, _UNKNOWN
        self._records.clear()
        self._offsets.clear()

    def _pump_to(self, end: int, position: int) -> None:
        """Take what lies before an offset, or up to a position if that comes first."""
        deadline = time.monotonic() + PATIENCE_S
        while not self._reached(self._stream, end) and self._base + len(self._records) < position:
            if self._pump(_LOOK_S):
                deadline = time.monotonic() + PATIENCE_S
            elif time.monotonic() > deadline:
                raise self._slow()

    def _pump(self, timeout_s: float) -> int:
        """Take in what comes next, and return how much that was."""
        messages = self._stream.take(timeout_s)
        for message in messages:
            self._take(message)
        return len(messages)

    def _trim(self) -> None:
        if len(self._records) > _KEEP:
            self._forget(self._base + len(self._records) - _KEEP)

    def _take(self, message: Message) -> None:
        offset = message.offset() or 0
        position = placed_at(message.headers())
        if position >= 0 and position == self._expected == self._base + len(self._records):
            self._append(position, offset, message.value() or b"")  # as nearly always
            return
        entry = self._entry(message)
        if isinstance(entry, Note):
            self._remember(entry, offset)
            if self._expected not in {_UNKNOWN, entry.head}:
                raise self._corrupt(self._expected, "is missing")
            return
        if self._expected not in {_UNKNOWN, entry.position}:
            missing = entry.position > self._expected
            raise self._corrupt(
                self._expected if missing else entry.position,
                "is missing" if missing else "comes twice",
            )
        if entry.position > self._base + len(self._records):
            raise self._corrupt(self._base, "is missing")
        if entry.position == self._base + len(self._records):
            self._append(entry.position, offset, entry.data)
        else:
            self._expected = entry.position + 1

    def _append(self, position: int, offset: int, data: bytes) -> None:
        """Keep a record that is the next; the index learns of it now and then."""
        self._expected = position + 1
        if position % _INDEX_EACH == 0:
            self._index.add(Landmark(position, offset))
        self._records.append(data)
        self._offsets.append(offset)

    # --- looking elsewhere ----------------------------------------------------------------------

    def _latest(self) -> Note:
        """Return what holds now."""
        _, end = self._probe.bounds()
        self._learn(end)
        return self._note

    def _learn(self, end: int) -> None:
        """Know the last note before an offset."""
        if end <= self._known_end:
            return
        reached = self._stream.next
        if reached is not None and end - reached <= NEAR:
            self._pump_to(end, _FAR)
            self._trim()
        else:
            self._look_back(end)
        self._known_end = end

    def _look_back(self, end: int) -> None:
        """Read from ever further before an offset until there was a note."""
        low, _ = self._probe.bounds()
        back = _FIRST_LOOK
        while self._note_at < self._look(max(low, end - back), end) and end - back > low:
            back *= _LOOK_FURTHER
        self._probe.rest()

    def _look(self, offset: int, end: int) -> int:
        """Take note of what lies between two offsets, and return the first of them."""
        self._probe.seek(offset)
        deadline = time.monotonic() + PATIENCE_S
        while not self._reached(self._probe, end):
            for message in self._probe.take(_LOOK_S):
                entry = self._entry(message)
                if isinstance(entry, Note):
                    self._remember(entry, message.offset() or 0)
            if time.monotonic() > deadline:
                raise self._slow()
        return offset

    def _first_at(self, offset: int, end: int) -> Landmark:
        """Return the landmark of what lies first at an offset or behind it."""
        self._probe.seek(offset)
        deadline = time.monotonic() + PATIENCE_S
        while not self._probe.seen(end):
            for message in self._probe.take(_LOOK_S):
                entry = self._entry(message)
                at = entry.head if isinstance(entry, Note) else entry.position
                return Landmark(at, message.offset() or 0)
            if time.monotonic() > deadline:
                raise self._slow()
        return Landmark(self._note.head, end)

    def _reached(self, partition: Partition, end: int) -> bool:
        """Whether all before an offset was taken: behind a note there is at least its marker."""
        behind = self._note_at + 1
        return partition.seen(end) or (partition.next == behind and behind + 1 >= end)

    def _remember(self, note: Note, offset: int) -> None:
        if offset > self._note_at:
            self._note, self._note_at = note, offset

    # --- failures -------------------------------------------------------------------------------

    def _entry(self, message: Message) -> Placed | Note:
        where = f"{self._stream.topic} at {self._connection.bootstrap}, offset {message.offset()}"
        headers = message.headers()
        listed = list(headers.items()) if isinstance(headers, dict) else headers
        return read_entry(listed, message.value(), where)

    def _corrupt(self, position: int, what: str) -> CorruptLedgerError:
        return CorruptLedgerError(
            f"{self._stream.topic} at {self._connection.bootstrap}: record {position} {what}; "
            "restore the ledger from the archive"
        )

    def _slow(self) -> LedgerStorageError:
        return LedgerStorageError(
            f"{self._stream.topic} at {self._connection.bootstrap} gave nothing for "
            f"{PATIENCE_S:.0f} s; `singlepool doctor` looks why"
        )


_UNKNOWN, _FAR = -1, 2**63
