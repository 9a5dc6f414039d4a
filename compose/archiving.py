# SPDX-License-Identifier: Apache-2.0
"""The archiver as a process: it follows a ledger until it is told to stop, and outlasts the world.

A broker that is away and a disk that is full are waited for. A ledger that has lost a record, or is
another one than the archive is of, ends it: going on would hide that.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from analytics.archive import Archiver
from schemas.ledger import LedgerReader, LedgerStorageError
from streams.live.ports import Clock
from streams.live.vitals import Vitals

_LOOK_MS, _AGAIN_MS = 200, 1_000


@dataclass(frozen=True, slots=True)
class Archiving:
    """What an archiver is told: where it writes, how large segments are, what it does at its end.

    With `seal_at_end`, what does not fill a segment by then makes a short one.
    """

    folder: Path
    segment_records: int
    seal_at_end: bool = False


class ArchiveService:
    """Follows one ledger into one archive."""

    def __init__(
        self,
        told: Archiving,
        open_ledger: Callable[[], AbstractContextManager[LedgerReader]],
        vitals: Vitals,
        log: FilteringBoundLogger,
    ) -> None:
        """Follow the ledger that `open_ledger` opens, anew after each failure."""
        self._told, self._open = told, open_ledger
        self._vitals, self._log = vitals, log

    def run(self, stop: Callable[[], bool], clock: Clock) -> None:
        """Archive until `stop()`, which is asked before each segment.

        Raises `CorruptLedgerError` and `LedgerGapError` where the ledger lacks what it must have,
        `ArchiveDamagedError` where the archive does, `ArchiveHeldError` where another archiver has
        the folder.
        """
        while True:
            try:
                self._follow(stop, clock)
            except (LedgerStorageError, OSError) as error:
                # No broker answers, or the disk is full: what has no name yet is made again.
                self._log.warning("cannot go on", error=str(error))
                self._vitals.touch(ready=False)
                if stop():
                    raise
                clock.rest(_AGAIN_MS)
            else:
                return

    def _follow(self, stop: Callable[[], bool], clock: Clock) -> None:
        told = self._told
        with (
            closing(Archiver(told.folder, told.segment_records)) as archiver,
            self._open() as ledger,
        ):
            places = archiver.meet(ledger)
            self._log.info("archiving", position=archiver.next_position, places=dict(places))
            while not stop():
                if not self._archive(archiver.step, archiver, ledger):
                    clock.rest(_LOOK_MS)
            if told.seal_at_end:
                while self._archive(archiver.step, archiver, ledger):
                    pass
                self._archive(archiver.seal, archiver, ledger)
        self._log.info("left", position=archiver.next_position)

    def _archive(
        self, archive: Callable[[LedgerReader], int], archiver: Archiver, ledger: LedgerReader
    ) -> int:
        """Archive a part, say so, and return how many records that were."""
        written = archive(ledger)
        position, head = archiver.next_position, ledger.head()
        self._vitals.touch(ready=True, position=position, head=head, lag=head - position)
        if written:
            self._log.info("archived", records=written, position=position, lag=head - position)
        return written
