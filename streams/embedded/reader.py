# SPDX-License-Identifier: Apache-2.0
"""Reading a ledger's file: records, and what is kept beside them."""

import sqlite3
import time
import zlib
from collections.abc import Mapping, Sequence
from operator import ne
from pathlib import Path

from msgspec import msgpack

from schemas.ledger import CorruptLedgerError, PositionError, RejectedEvent
from streams.closing import Closing
from streams.embedded.file import open_to_read, telling

_LOOK_MS = 5
"""How often a waiting reader looks: a look costs some 10 microseconds, a cycle takes longer."""

_RECORDS = "SELECT position, crc, data FROM record WHERE position >= ? ORDER BY position LIMIT ?"
_REJECTED = "SELECT number, data FROM rejected WHERE number >= ? ORDER BY number LIMIT ?"
_OUTSTANDING = """
SELECT number, data FROM rejected
WHERE number >= ? AND number NOT IN (SELECT number FROM replayed) ORDER BY number LIMIT ?
"""

_decode_rejected = msgpack.Decoder(RejectedEvent).decode


class FileReader(Closing):
    """What reads a ledger through an open connection, whatever else that may do."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        """Read the file at `path` through `db`, which is closed with this."""
        self.path = path
        self._db = db

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def head(self) -> int:
        """Return how many records are committed."""
        with telling(self.path, "asking for its head"):
            (last,) = self._db.execute("SELECT max(position) FROM record").fetchone()
        return 0 if last is None else int(last) + 1

    def read(self, start: int, limit: int) -> Sequence[bytes]:
        """Return up to `limit` records from `start` on.

        Raises `CorruptLedgerError` naming the first position that is wrong.
        """
        if start < 0 or limit < 1:
            msg = f"{self.path}: {limit} records from {start} on cannot be read"
            raise PositionError(msg)
        with telling(self.path, "reading"):
            rows = self._db.execute(_RECORDS, (start, limit)).fetchall()
        if not rows:
            return ()
        positions, crcs, records = zip(*rows, strict=True)
        whole = positions[-1] == start + len(rows) - 1
        if not whole or any(map(ne, map(zlib.crc32, records, positions), crcs)):
            raise self._damage(start, rows)
        return records

    def _damage(self, start: int, rows: Sequence[tuple[int, int, bytes]]) -> CorruptLedgerError:
        for expected, (position, crc, data) in enumerate(rows, start):
            if position != expected:
                return self._corrupt(expected, "is missing")
            if zlib.crc32(data, position) != crc:
                return self._corrupt(expected, "was changed")
        return self._corrupt(start, "cannot be told from its neighbours")

    def _corrupt(self, position: int, what: str) -> CorruptLedgerError:
        return CorruptLedgerError(
            f"{self.path}: record {position} {what}; restore the ledger from the archive"
        )

    def wait(self, position: int, timeout_ms: int) -> int:
        """Return the head once it is past `position`, or as it is after `timeout_ms`."""
        deadline = time.monotonic() + timeout_ms / 1_000
        while (head := self.head()) <= position and time.monotonic() < deadline:
            time.sleep(_LOOK_MS / 1_000)
        return head

    def consumed(self) -> Mapping[str, int]:
        """Return, per input, the offset up to which its events are accounted for."""
        with telling(self.path, "asking what is accounted for"):
            return dict(self._db.execute("SELECT source, position FROM consumed").fetchall())

    def rejected(self, start: int, limit: int) -> Sequence[tuple[int, RejectedEvent]]:
        """Return up to `limit` refused events, numbered from 1, from number `start` on."""
        return self._refused(_REJECTED, start, limit)

    def outstanding(self, start: int, limit: int) -> Sequence[tuple[int, RejectedEvent]]:
        """Return the same without those that were published again."""
        return self._refused(_OUTSTANDING, start, limit)

    def _refused(self, query: str, start: int, limit: int) -> Sequence[tuple[int, RejectedEvent]]:
        with telling(self.path, "reading refused events"):
            rows = self._db.execute(query, (start, limit)).fetchall()
        return [(number, _decode_rejected(data)) for number, data in rows]


class EmbeddedReader(FileReader):
    """A ledger's file, open to read alone. Use as a context manager, or call `close`.

    It belongs to the thread that opened it; another thread or process opens its own.
    """

    def __init__(self, path: Path) -> None:
        """Open the ledger at `path`.

        Raises `NotALedgerError` where there is none or the file is something else.
        """
        super().__init__(path, open_to_read(path))
