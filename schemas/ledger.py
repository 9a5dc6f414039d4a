# SPDX-License-Identifier: Apache-2.0
"""The ledger's port: what every carrier (embedded, Kafka, memory) gives its writer and its readers.

A ledger is a totally ordered log of opaque records; the position of a record is the number of
records before it. One writer at a time: taking the lease raises the epoch, and an append under an
older epoch is refused. A batch is appended whole or not at all, together with the input offsets
that it includes and the events that it refused.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from msgspec import Struct

from schemas.errors import CallerError, InternalError, WorldError
from schemas.records import Published


class FencedError(WorldError):
    """Another writer took the lease; this one must stop.

    Nothing of the refused batch was appended.
    """


class PositionError(InternalError):
    """The batch was made for another head than the ledger's.

    The writer has lost track and must stop.
    """


class CorruptLedgerError(WorldError):
    """A stored record is not what was appended; the message names file and position."""


class NotALedgerError(CallerError):
    """The file is no ledger, or of a version this build does not know.

    The message says what to do.
    """


class Lease(Struct, frozen=True):
    """The right to append, until somebody takes a newer one."""

    owner: str
    epoch: int


class RejectedEvent(Struct, frozen=True):
    """An event that was refused, kept with all it carried, to be replayed after a fix."""

    published: Published
    rejection: str
    field: str
    value: str
    rule: str
    recorded_ms: int


class Batch(Struct, frozen=True):
    """What one append carries, atomically.

    `consumed` maps an input's name to the offset after the last event of it that this batch
    accounts for.
    """

    records: Sequence[bytes]
    consumed: Mapping[str, int] = MappingProxyType({})
    rejected: Sequence[RejectedEvent] = ()


class LedgerReader(Protocol):
    """Reads committed records. Many readers may read while one writer appends."""

    def head(self) -> int:
        """Return how many records are committed."""
        ...

    def read(self, start: int, limit: int) -> Sequence[bytes]:
        """Return up to `limit` records from position `start` on, fewer at the head."""
        ...


class LedgerWriter(LedgerReader, Protocol):
    """Appends batches under a lease."""

    def acquire(self, owner: str) -> Lease:
        """Take the lease; whoever held it before is fenced."""
        ...

    def append(self, lease: Lease, position: int, batch: Batch) -> int:
        """Append a batch whose first record has `position`, durably, and return the new head.

        Raises `FencedError` under an older lease and `PositionError` where `position` is not the
        head.
        """
        ...

    def consumed(self) -> Mapping[str, int]:
        """Return, per input, the offset up to which its events are accounted for."""
        ...


class InboxEvent(Struct, frozen=True):
    """A published event as it lies in an inbox, with its offset there."""

    offset: int
    published: Published


class Inbox(Protocol):
    """Where upstream publishes to an embedded engine; on Kafka, these are topics."""

    def publish(self, events: Sequence[Published]) -> int:
        """Keep events durably and return the offset after the last."""
        ...

    def poll(self, start: int, limit: int) -> Sequence[InboxEvent]:
        """Return up to `limit` events from offset `start` on."""
        ...


class RejectedStore(Protocol):
    """Events that were refused."""

    def rejected(self, start: int, limit: int) -> Sequence[tuple[int, RejectedEvent]]:
        """Return up to `limit` refused events, numbered, from number `start` on."""
        ...


def scan(reader: LedgerReader, start: int = 0, chunk: int = 4_096) -> Iterator[bytes]:
    """Yield the records from `start` to the head as it was when asked."""
    end = reader.head()
    while start < end:
        records = reader.read(start, min(chunk, end - start))
        if not records:
            return
        yield from records
        start += len(records)
