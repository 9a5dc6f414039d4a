# SPDX-License-Identifier: Apache-2.0
"""The ledger's port: what every carrier (embedded, Kafka, memory) gives its writer and its readers.

A ledger is a totally ordered log of opaque records; the position of a record is the number of
records before it. One writer at a time: taking the lease raises the epoch, and an append under an
older epoch is refused. A batch is appended whole or not at all, together with the input offsets
that it includes and the events that it refused.

The protocols are small, and each belongs to who needs it: an archiver reads, a standby also waits,
the engine writes. `docs/ledger.md` says how each carrier keeps what is promised here; the contract
in `tests/streams/ledger_contract.py` holds every carrier to it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Protocol

from msgspec import Struct

from schemas.errors import CallerError, InternalError, WorldError
from schemas.records import Published

CHUNK = 512
"""Records to read at once: they stay in a processor's cache, which makes a scan 1.3 times as fast
as with thousands, and the price of a query is spread over enough of them."""

_STOP_MS = 100
"""How long a tail may take to see that it is to stop: too short to notice, and no load."""


class FencedError(WorldError):
    """Another writer took the lease; this one must stop.

    Nothing of the refused batch was appended.
    """


class PositionError(InternalError):
    """A position or offset that does not follow what the ledger holds.

    Whoever named it has lost track and must stop: a batch made for another head, an input that
    would go backwards, a read from before the first record. Nothing was appended.
    """


class CorruptLedgerError(WorldError):
    """A stored record is not what was appended; the message names file and position."""


class LedgerBusyError(WorldError):
    """Somebody else held the ledger for too long; nothing was appended, trying again may help."""


class LedgerStorageError(WorldError):
    """What carries the ledger failed: a full disk, a missing permission, a broken device.

    Whether a batch that was being appended is there is not known: open the ledger again and ask
    for its head.
    """


class NoSuchRejectedError(CallerError):
    """There is no refused event of that number."""


class NotALedgerError(CallerError):
    """The file is no ledger, or of a version this build does not know.

    The message says what to do.
    """


class Lease(Struct, frozen=True):
    """The right to append, until somebody takes a newer one."""

    owner: str
    epoch: int


class RejectedEvent(Struct, frozen=True):
    """An event that was refused, kept with all it carried, to be replayed after a fix.

    `topic` is that of upstream which it came by, where there are topics and it is known.
    """

    published: Published
    rejection: str
    field: str
    value: str
    rule: str
    recorded_ms: int
    topic: str = ""


class Batch(Struct, frozen=True):
    """What one append carries, atomically.

    `consumed` maps an input's name to the offset after the last event of it that this batch
    accounts for.
    """

    records: Sequence[bytes]
    consumed: Mapping[str, int] = MappingProxyType({})
    rejected: Sequence[RejectedEvent] = ()


class LedgerReader(Protocol):
    """Reads committed records. Many readers, in any process, may read while one writer appends."""

    def head(self) -> int:
        """Return how many records are committed."""
        ...

    def read(self, start: int, limit: int) -> Sequence[bytes]:
        """Return up to `limit` records from position `start` on, fewer at the head.

        The record at index i has position `start + i`. Raises `PositionError` for a negative
        `start` or a `limit` below 1, and `CorruptLedgerError` at the first record that is not what
        was appended.
        """
        ...


class LedgerTail(LedgerReader, Protocol):
    """Reads, and waits for what is not there yet."""

    def wait(self, position: int, timeout_ms: int) -> int:
        """Return the head once it is past `position`, or as it is after `timeout_ms`."""
        ...


class LedgerWriter(LedgerReader, Protocol):
    """Appends batches under a lease."""

    def acquire(self, owner: str) -> Lease:
        """Take the lease; whoever held it before is fenced.

        When this returns, nothing can be appended under an older lease any more, so the head that
        is read after it is the one to go on from.
        """
        ...

    def append(self, lease: Lease, position: int, batch: Batch) -> int:
        """Append a batch whose first record has `position`, durably, and return the new head.

        Raises `FencedError` under an older lease, and `PositionError` where `position` is not the
        head or an input's offset is below what is accounted for.
        """
        ...

    def consumed(self) -> Mapping[str, int]:
        """Return, per input, the offset up to which its events are accounted for."""
        ...


class InboxEvent(Struct, frozen=True):
    """A published event as it lies in an inbox.

    `offset` is where to go on after it: what `Batch.consumed` says once it is accounted for.
    """

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
        """Return up to `limit` refused events, numbered from 1, from number `start` on."""
        ...

    def outstanding(self, start: int, limit: int) -> Sequence[tuple[int, RejectedEvent]]:
        """Return the same without those that were published again."""
        ...

    def mark_replayed(self, numbers: Sequence[int]) -> None:
        """Remember that these refused events were published again; they stay in the store.

        Raises `NoSuchRejectedError`, and then marks none.
        """
        ...


class Snapshot(Struct, frozen=True):
    """A state as bytes, and the position it is of: the number of records folded into it.

    `last_sum` is the sum of the last of these records: it tells a snapshot of another ledger.
    """

    position: int
    data: bytes
    last_sum: bytes


def sum_of(record: bytes) -> bytes:
    """Return the SHA-256 of a record; of no bytes where there is no last record yet."""
    return sha256(record).digest()


class SnapshotStore(Protocol):
    """Keeps states so that a fold need not begin at zero.

    A snapshot can always be made again from the ledger. So one that is damaged is as good as none.
    """

    def put(self, snapshot: Snapshot) -> None:
        """Keep a snapshot durably, in place of one at the same position."""
        ...

    def latest(self, position: int | None = None) -> Snapshot | None:
        """Return the newest sound snapshot, of at most `position` where one is given."""
        ...

    def positions(self) -> Sequence[int]:
        """Return the positions of all snapshots, rising; reading one may show it to be damaged."""
        ...

    def drop(self, position: int) -> None:
        """Forget the snapshot at a position, if there is one."""
        ...


def scan(reader: LedgerReader, start: int = 0, chunk: int = CHUNK) -> Iterator[bytes]:
    """Yield the records from `start` to the head as it was when asked."""
    end = reader.head()
    while start < end:
        records = reader.read(start, min(chunk, end - start))
        if not records:
            return
        yield from records
        start += len(records)


def tail(
    reader: LedgerTail, start: int, stop: Callable[[], bool], *, chunk: int = CHUNK
) -> Iterator[Sequence[bytes]]:
    """Yield records from `start` on as they are committed, in batches, until `stop()` is true.

    A batch here is what there was to read: it begins and ends anywhere. `stop` is asked before each
    read, and at least every `_STOP_MS` while nothing comes.
    """
    while not stop():
        if reader.wait(start, _STOP_MS) <= start:
            continue
        records = reader.read(start, chunk)
        start += len(records)
        yield records
