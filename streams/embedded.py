# SPDX-License-Identifier: Apache-2.0
"""The ledger in one file.

SQLite in WAL mode with synchronous FULL, so an append that returned survives a power cut.

One row a record, keyed by position, with a CRC-32 that tells a changed or torn row at read. A batch
is one transaction: SQLite recovers the log to whole transactions, so a ledger never opens with half
a batch.
"""

import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import msgpack

from schemas.ledger import (
    Batch,
    CorruptLedgerError,
    FencedError,
    InboxEvent,
    Lease,
    NotALedgerError,
    PositionError,
    RejectedEvent,
)
from schemas.records import Published

_APPLICATION_ID = 0x53504C31  # "SPL1"
_VERSION = 1
_BUSY_MS = 10_000

_SCHEMA = """
CREATE TABLE record (position INTEGER PRIMARY KEY, crc INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE lease (
    one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, owner TEXT NOT NULL
) STRICT;
CREATE TABLE consumed (source TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE rejected (number INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE inbox (position INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
INSERT INTO lease VALUES (1, 0, '');
"""

_encode = msgpack.Encoder().encode
_decode_rejected = msgpack.Decoder(RejectedEvent).decode
_decode_published = msgpack.Decoder(Published).decode


class EmbeddedLedger:
    """A ledger file, open in this process. Use as a context manager, or call `close`."""

    def __init__(self, path: Path, *, create: bool = True) -> None:
        """Open the ledger at `path`, or make one there.

        Raises `NotALedgerError` where the file is something else, of a newer version, or not there
        and not to be made.
        """
        if not create and not path.exists():
            msg = (
                f"there is no ledger at {path}; make one with `singlepool run` or `singlepool demo`"
            )
            raise NotALedgerError(msg)
        self.path = path
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_MS / 1000)
            self._open()
        except sqlite3.DatabaseError as error:
            msg = f"{path} is no ledger ({error}); name another file"
            raise NotALedgerError(msg) from error

    def _open(self) -> None:
        db = self._db
        (found,) = db.execute("PRAGMA application_id").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if found == 0 and tables == 0:
            self._create()
        elif found != _APPLICATION_ID:
            msg = f"{self.path} is another application's database; name another file"
            raise NotALedgerError(msg)
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            msg = f"{self.path} is of version {version}; this build knows {_VERSION}: upgrade it"
            raise NotALedgerError(msg)
        db.execute("PRAGMA synchronous = FULL")

    def _create(self) -> None:
        db = self._db
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN IMMEDIATE")
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not tables:
            for statement in _SCHEMA.strip().split(";\n"):
                db.execute(statement.rstrip(";"))
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {_VERSION}")
        db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        """Return the ledger itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    # --- reading --------------------------------------------------------------------------------

    def head(self) -> int:
        """Return how many records are committed."""
        (last,) = self._db.execute("SELECT max(position) FROM record").fetchone()
        return 0 if last is None else int(last) + 1

    def read(self, start: int, limit: int) -> Sequence[bytes]:
        """Return up to `limit` records from `start` on.

        Raises `CorruptLedgerError` naming the first position that is wrong.
        """
        rows = self._db.execute(
            "SELECT position, crc, data FROM record WHERE position >= ? ORDER BY position LIMIT ?",
            (start, limit),
        ).fetchall()
        for expected, (position, crc, data) in enumerate(rows, start):
            if position != expected or zlib.crc32(data) != crc:
                what = "is missing" if position != expected else "was changed"
                msg = f"{self.path}: record {expected} {what}; restore it from the archive"
                raise CorruptLedgerError(msg)
        return [row[2] for row in rows]

    # --- writing --------------------------------------------------------------------------------

    def acquire(self, owner: str) -> Lease:
        """Take the lease; whoever held it before is fenced."""
        (epoch,) = self._db.execute(
            "UPDATE lease SET epoch = epoch + 1, owner = ? RETURNING epoch", (owner,)
        ).fetchone()
        return Lease(owner, int(epoch))

    def append(self, lease: Lease, position: int, batch: Batch) -> int:
        """Append a batch durably, whole or not at all, and return the new head."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            self._check(lease, position)
            records = batch.records
            db.executemany(
                "INSERT INTO record VALUES (?, ?, ?)",
                zip(
                    range(position, position + len(records)),
                    map(zlib.crc32, records),
                    records,
                    strict=True,
                ),
            )
            if batch.consumed:
                db.executemany(
                    "INSERT OR REPLACE INTO consumed VALUES (?, ?)", batch.consumed.items()
                )
            if batch.rejected:
                db.executemany(
                    "INSERT INTO rejected (data) VALUES (?)",
                    [(_encode(event),) for event in batch.rejected],
                )
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
        return position + len(batch.records)

    def _check(self, lease: Lease, position: int) -> None:
        (epoch, owner) = self._db.execute("SELECT epoch, owner FROM lease").fetchone()
        if epoch != lease.epoch:
            msg = f"{owner} took the ledger, epoch {epoch}; {lease.owner} had {lease.epoch}: stop"
            raise FencedError(msg)
        head = self.head()
        if position != head:
            msg = f"a batch for position {position} came where the head is {head}"
            raise PositionError(msg)

    def consumed(self) -> Mapping[str, int]:
        """Return, per input, the offset up to which its events are accounted for."""
        return dict(self._db.execute("SELECT source, position FROM consumed").fetchall())

    # --- beside the records ---------------------------------------------------------------------

    def rejected(self, start: int, limit: int) -> Sequence[tuple[int, RejectedEvent]]:
        """Return up to `limit` refused events, numbered from 1, from number `start` on."""
        rows = self._db.execute(
            "SELECT number, data FROM rejected WHERE number >= ? ORDER BY number LIMIT ?",
            (start, limit),
        )
        return [(number, _decode_rejected(data)) for number, data in rows]

    def publish(self, events: Sequence[Published]) -> int:
        """Keep published events durably for the engine, and return the offset after the last."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO inbox (data) VALUES (?)", [(_encode(e),) for e in events])
        (last,) = db.execute("SELECT coalesce(max(position), 0) FROM inbox").fetchone()
        db.execute("COMMIT")
        return int(last)

    def poll(self, start: int, limit: int) -> Sequence[InboxEvent]:
        """Return up to `limit` published events after offset `start`."""
        rows = self._db.execute(
            "SELECT position, data FROM inbox WHERE position > ? ORDER BY position LIMIT ?",
            (start, limit),
        )
        with closing(rows):
            return [InboxEvent(offset, _decode_published(data)) for offset, data in rows]
