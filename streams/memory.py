# SPDX-License-Identifier: Apache-2.0
"""A ledger and a snapshot store in memory: for tests, what-if and replay.

They keep the port's contract but for durability, and are the plainest statement of what it asks.
One object serves any number of writers and readers, in any thread.
"""

from collections.abc import Mapping, Sequence
from threading import Condition
from types import MappingProxyType

from schemas.ledger import (
    Batch,
    FencedError,
    InboxEvent,
    Lease,
    NoSuchRejectedError,
    PositionError,
    RejectedEvent,
    Snapshot,
)
from schemas.records import Published


class MemoryLedger:
    """A ledger that lasts as long as the object."""

    def __init__(self, records: Sequence[bytes] = ()) -> None:
        """Begin with records that are taken as committed."""
        self._records = list(records)
        self._lease = Lease("", 0)
        self._consumed: Mapping[str, int] = MappingProxyType({})
        self._rejected: list[RejectedEvent] = []
        self._replayed: set[int] = set()
        self._inbox: list[Published] = []
        self._grown = Condition()

    def head(self) -> int:
        """Return how many records are committed."""
        return len(self._records)

    def read(self, start: int, limit: int) -> Sequence[bytes]:
        """Return up to `limit` records from position `start` on, fewer at the head."""
        if start < 0 or limit < 1:
            msg = f"{limit} records from {start} on cannot be read"
            raise PositionError(msg)
        return tuple(self._records[start : start + limit])

    def wait(self, position: int, timeout_ms: int) -> int:
        """Return the head once it is past `position`, or as it is after `timeout_ms`."""
        with self._grown:
            self._grown.wait_for(lambda: self.head() > position, timeout_ms / 1_000)
            return self.head()

    def acquire(self, owner: str) -> Lease:
        """Take the lease; whoever held it before is fenced."""
        with self._grown:
            self._lease = Lease(owner, self._lease.epoch + 1)
            return self._lease

    def append(self, lease: Lease, position: int, batch: Batch) -> int:
        """Append a batch, whole or not at all, and return the new head."""
        with self._grown:
            self._may_append(lease, position, batch)
            records, rejected = tuple(batch.records), tuple(batch.rejected)  # may raise; so first
            self._consumed = MappingProxyType({**self._consumed, **batch.consumed})
            self._rejected.extend(rejected)
            self._records.extend(records)
            self._grown.notify_all()
            return len(self._records)

    def _may_append(self, lease: Lease, position: int, batch: Batch) -> None:
        if lease.epoch != self._lease.epoch:
            msg = (
                f"{self._lease.owner} took the ledger, epoch {self._lease.epoch}; {lease.owner} "
                f"had {lease.epoch} and must stop"
            )
            raise FencedError(msg)
        if position != self.head():
            msg = f"a batch for position {position} came where the head is {self.head()}"
            raise PositionError(msg)
        if any(offset < self._consumed.get(name, 0) for name, offset in batch.consumed.items()):
            msg = f"{dict(batch.consumed)} goes back behind {dict(self._consumed)}"
            raise PositionError(msg)

    def consumed(self) -> Mapping[str, int]:
        """Return, per input, the offset up to which its events are accounted for."""
        return self._consumed

    def rejected(self, start: int, limit: int) -> Sequence[tuple[int, RejectedEvent]]:
        """Return up to `limit` refused events, numbered from 1, from number `start` on."""
        numbered = enumerate(self._rejected, 1)
        return [entry for entry in numbered if entry[0] >= start][:limit]

    def outstanding(self, start: int, limit: int) -> Sequence[tuple[int, RejectedEvent]]:
        """Return the same without those that were published again."""
        entries = self.rejected(start, len(self._rejected))
        return [entry for entry in entries if entry[0] not in self._replayed][:limit]

    def mark_replayed(self, numbers: Sequence[int]) -> None:
        """Remember that these refused events were published again; they stay in the store."""
        for number in numbers:
            if not 1 <= number <= len(self._rejected):
                msg = f"there is no refused event {number}; list them first"
                raise NoSuchRejectedError(msg)
        self._replayed.update(numbers)

    def publish(self, events: Sequence[Published]) -> int:
        """Keep published events for the engine, and return the offset after the last."""
        with self._grown:
            self._inbox.extend(tuple(events))
            return len(self._inbox)

    def poll(self, start: int, limit: int) -> Sequence[InboxEvent]:
        """Return up to `limit` published events from offset `start` on."""
        found = self._inbox[start : start + limit]
        return [InboxEvent(offset, event) for offset, event in enumerate(found, start + 1)]


class MemorySnapshots:
    """A snapshot store that lasts as long as the object."""

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: dict[int, Snapshot] = {}

    def put(self, snapshot: Snapshot) -> None:
        """Keep a snapshot, in place of one at the same position."""
        self._kept[snapshot.position] = snapshot

    def latest(self, position: int | None = None) -> Snapshot | None:
        """Return the newest snapshot, of at most `position` where one is given."""
        fitting = [p for p in self._kept if position is None or p <= position]
        return self._kept[max(fitting)] if fitting else None

    def positions(self) -> Sequence[int]:
        """Return the positions of all snapshots, rising."""
        return sorted(self._kept)

    def drop(self, position: int) -> None:
        """Forget the snapshot at a position, if there is one."""
        self._kept.pop(position, None)
