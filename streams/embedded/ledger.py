# SPDX-License-Identifier: Apache-2.0
"""Writing a ledger's file: the lease, the records, and what is kept beside them."""

import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import msgpack

from schemas.ledger import (
    Batch,
    FencedError,
    InboxEvent,
    Lease,
    NoSuchRejectedError,
    PositionError,
)
from schemas.records import Published
from streams.embedded.file import open_to_write, telling
from streams.embedded.reader import FileReader

_LEASE = "SELECT epoch, owner, (SELECT max(position) FROM record) FROM lease"
_CONSUME = """
INSERT INTO consumed VALUES (?, ?)
ON CONFLICT DO UPDATE SET position = excluded.position WHERE excluded.position >= position
"""

_encode = msgpack.Encoder().encode
_decode_published = msgpack.Decoder(Published).decode


class EmbeddedLedger(FileReader):
    """A ledger's file, open to write and read. Use as a context manager, or call `close`.

    It belongs to the thread that opened it; another thread or process opens its own.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        """Open the ledger at `path`, or make one there.

        Raises `NotALedgerError` where the file is something else, of a newer version, or not there
        and not to be made.
        """
        super().__init__(path, open_to_write(path, create=create))

    @contextmanager
    def _transaction(self, doing: str) -> Generator[None]:
        """Do all of it durably, or nothing."""
        db = self._db
        with telling(self.path, doing):
            db.execute("BEGIN IMMEDIATE")
            try:
                yield
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # SQLite has ended it by itself where the disk was full
                    db.execute("ROLLBACK")
                raise

    # --- records --------------------------------------------------------------------------------

    def acquire(self, owner: str) -> Lease:
        """Take the lease; whoever held it before is fenced."""
        with telling(self.path, "taking its lease"):
            (epoch,) = self._db.execute(
                "UPDATE lease SET epoch = epoch + 1, owner = ? RETURNING epoch", (owner,)
            ).fetchone()
        return Lease(owner, int(epoch))

    def append(self, lease: Lease, position: int, batch: Batch) -> int:
        """Append a batch durably, whole or not at all, and return the new head."""
        records = batch.records
        head = position + len(records)
        with self._transaction("appending"):
            self._may_append(lease, position)
            places = range(position, head)
            rows = zip(places, map(zlib.crc32, records, places), records, strict=True)
            self._db.executemany("INSERT INTO record VALUES (?, ?, ?)", rows)
            self._account(batch)
        return head

    def _may_append(self, lease: Lease, position: int) -> None:
        epoch, owner, last = self._db.execute(_LEASE).fetchone()
        if epoch != lease.epoch:
            msg = (
                f"{self.path}: {owner} took the ledger, epoch {epoch}; {lease.owner} had "
                f"{lease.epoch} and must stop"
            )
            raise FencedError(msg)
        head = 0 if last is None else last + 1
        if position != head:
            msg = f"{self.path}: a batch for position {position} came where the head is {head}"
            raise PositionError(msg)

    def _account(self, batch: Batch) -> None:
        if batch.consumed:
            done = self._db.executemany(_CONSUME, batch.consumed.items())
            if done.rowcount != len(batch.consumed):
                msg = f"{self.path}: {dict(batch.consumed)} goes back behind {self.consumed()}"
                raise PositionError(msg)
        if batch.rejected:
            rows = [(_encode(event),) for event in batch.rejected]
            self._db.executemany("INSERT INTO rejected (data) VALUES (?)", rows)

    # --- beside the records ---------------------------------------------------------------------

    def mark_replayed(self, numbers: Sequence[int]) -> None:
        """Remember that these refused events were published again; they stay in the store."""
        with self._transaction("marking refused events"):
            for number in numbers:
                found = self._db.execute("SELECT 1 FROM rejected WHERE number = ?", (number,))
                if found.fetchone() is None:
                    msg = f"{self.path}: there is no refused event {number}; list them first"
                    raise NoSuchRejectedError(msg)
                self._db.execute("INSERT OR IGNORE INTO replayed VALUES (?)", (number,))

    def publish(self, events: Sequence[Published]) -> int:
        """Keep published events durably for the engine, and return the offset after the last."""
        with self._transaction("publishing"):
            rows = [(_encode(event),) for event in events]
            self._db.executemany("INSERT INTO inbox (data) VALUES (?)", rows)
            (last,) = self._db.execute("SELECT coalesce(max(position), 0) FROM inbox").fetchone()
        return int(last)

    def poll(self, start: int, limit: int) -> Sequence[InboxEvent]:
        """Return up to `limit` published events from offset `start` on."""
        with telling(self.path, "polling"):
            rows = self._db.execute(
                "SELECT position, data FROM inbox WHERE position > ? ORDER BY position LIMIT ?",
                (start, limit),
            ).fetchall()
        return [InboxEvent(offset, _decode_published(data)) for offset, data in rows]
