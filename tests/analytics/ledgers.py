# SPDX-License-Identifier: Apache-2.0
"""Small ledgers written by hand, for tests of the archive and its views."""

from collections.abc import Sequence
from pathlib import Path

from analytics.archive import Archiver
from schemas.catalogue import Event
from schemas.codec import encode_record, publish
from schemas.records import NO_ORIGIN, Origin


class LedgerBuilder:
    """A ledger in memory: a reader of what was put on it, in order."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.now_ms = 0

    def at(self, now_ms: int) -> "LedgerBuilder":
        """Put what follows at this recorded time."""
        assert now_ms >= self.now_ms
        self.now_ms = now_ms
        return self

    def put(self, event: Event, cause: int | None = None, origin: Origin = NO_ORIGIN) -> int:
        """Append an event; return its position."""
        position = len(self.records)
        published = publish(event, origin)
        self.records.append(encode_record(position, self.now_ms, published, cause))
        return position

    def put_all(self, *events: Event) -> None:
        """Append events in order."""
        for event in events:
            self.put(event)

    def head(self) -> int:
        """How many records there are."""
        return len(self.records)

    def read(self, start: int, limit: int) -> Sequence[bytes]:
        """Return at most `limit` records from position `start` on."""
        return self.records[start : start + limit]

    def archive(self, folder: Path, segment_records: int = 65_536) -> Path:
        """Archive all of it; return the folder."""
        Archiver(folder, segment_records).seal(self)
        return folder
