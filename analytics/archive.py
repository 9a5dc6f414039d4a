# SPDX-License-Identifier: Apache-2.0
"""The archiver: ledger in, Parquet segments out, exactly once.

The folder alone says where to go on: a segment's name is the range it holds, and it has its name
only once it is whole. A segment is cut by positions, never by the clock, so the same ledger makes
the same segments. What was unfinished when a process died is thrown away: the ledger still has it.

A carrier that keeps records at places of its own (a broker's offsets) says where a segment's
records end there. The segment states it, so a restart goes on from there without a search. The
ledger's state never knows of it.
"""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import msgspec

from analytics import parquet
from analytics.chain import (
    GENESIS,
    Seal,
    decode_seal,
    root_of,
    seal_file,
    segment_hash,
)
from analytics.columns import columns
from analytics.errors import ArchiveDamagedError, ArchiveHeldError, LedgerGapError
from analytics.segments import Listing, Span, list_folder, sync_folder, write_aside
from schemas.ledger import LedgerReader

SEGMENT_RECORDS = 65_536

_PLACES = "places"
_NOWHERE: Mapping[str, int] = MappingProxyType({})
_decode_places = msgspec.json.Decoder(dict[str, int]).decode
_encode_places = msgspec.json.Encoder(order="deterministic").encode


@runtime_checkable
class Placed(Protocol):
    """What a ledger whose carrier has places of its own can say, and be told."""

    def after(self, position: int) -> Mapping[str, int]:
        """Return, by part of the carrier, the place after the record before a position."""
        ...

    def begin_at(self, position: int, places: Mapping[str, int]) -> None:
        """Believe what `after` said of a position in another life, until records say otherwise."""
        ...


class Archiver:
    """Writes one archive, and holds its folder until `close`: no other archiver writes there."""

    def __init__(self, folder: Path, segment_records: int = SEGMENT_RECORDS) -> None:
        """Open an archive, or begin one; clear away what was left unfinished.

        Raises `ArchiveHeldError` where another archiver writes into the folder, and
        `ArchiveDamagedError` where the folder's names show a gap or an overlap.
        """
        if segment_records < 1:
            msg = f"segment_records is {segment_records}; a segment holds at least one record"
            raise ValueError(msg)
        self._folder = folder
        self._segment_records = segment_records
        folder.mkdir(parents=True, exist_ok=True)
        self._held: int | None = _hold(folder)
        try:
            listing = list_folder(folder)
            _clear_unfinished(folder, listing)
            self._next, self._previous = _resume(folder, listing)
        except BaseException:
            self.close()
            raise
        self._last = listing.data[-1] if listing.data else None

    def close(self) -> None:
        """Let go of the folder; a second time does nothing."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)

    @property
    def next_position(self) -> int:
        """How many records the archive holds: the position that comes next."""
        return self._next

    def meet(self, ledger: LedgerReader) -> Mapping[str, int]:
        """Hold a ledger against what is archived, once, before going on from it.

        Returns the carrier's places at which it goes on, as far as the archive states any. Raises
        `LedgerGapError` where this cannot be the ledger that the archive is of, or has lost its
        end: going on would hide it.
        """
        if self._last is None:
            return _NOWHERE
        content = (self._folder / self._last.data_name).read_bytes()
        kept = parquet.read(content, ["envelope"])
        places = _decode_places(kept.metadata.get(_PLACES, "{}"))
        if isinstance(ledger, Placed):
            ledger.begin_at(self._next, places)
        head = ledger.head()
        if head < self._next:
            msg = f"the ledger has {head} records, and {self._next} are archived; its end is lost"
            raise LedgerGapError(msg)
        (record,) = ledger.read(self._next - 1, 1)
        if record != kept.columns["envelope"][-1]:
            msg = f"record {self._next - 1} of the ledger is not the one that is archived"
            raise LedgerGapError(msg)
        return places

    def step(self, ledger: LedgerReader) -> int:
        """Archive the next segment if the ledger has all of it; return how many records."""
        if ledger.head() - self._next < self._segment_records:
            return 0
        self._write(ledger, self._next + self._segment_records)
        return self._segment_records

    def catch_up(self, ledger: LedgerReader) -> int:
        """Archive all full segments that the ledger has; return how many records were archived."""
        begin = self._next
        while self.step(ledger):
            pass
        return self._next - begin

    def seal(self, ledger: LedgerReader) -> int:
        """Archive all that the ledger has, a short last segment too; return how many records."""
        begin = self._next
        self.catch_up(ledger)
        head = ledger.head()
        if head > self._next:
            self._write(ledger, head)
        return self._next - begin

    def _write(self, ledger: LedgerReader, end: int) -> None:
        span = Span(self._next, end)
        envelopes = _read_span(ledger, span)
        places = ledger.after(end) if isinstance(ledger, Placed) else _NOWHERE
        content, root = _segment_content(envelopes, span, self._previous, places)
        seal = seal_file(span, self._previous, root, content)
        _publish(self._folder, seal, content)
        self._next, self._previous, self._last = end, seal.seal, span


def _hold(folder: Path) -> int:
    """Return a descriptor that holds a folder for as long as it is open, or its process lives.

    Another's unfinished files would be cleared away as those of the dead. The lock is on the folder
    itself, so that it leaves no file.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        msg = (
            f"another process archives into {folder}; stop that one first, or give this one a "
            "folder of its own"
        )
        raise ArchiveHeldError(msg) from error
    except OSError as error:
        os.close(descriptor)
        msg = f"{folder} cannot be locked: {error}; put the archive on a local file system"
        raise ArchiveHeldError(msg) from error
    return descriptor


def _read_span(ledger: LedgerReader, span: Span) -> list[bytes]:
    envelopes: list[bytes] = []
    while len(envelopes) < span.end - span.first:
        at = span.first + len(envelopes)
        part = ledger.read(at, span.end - at)
        if not part:
            msg = f"the ledger's head is past {span.end}, yet it has no record at {at}"
            raise LedgerGapError(msg)
        envelopes.extend(part)
    return envelopes


def _segment_content(
    envelopes: list[bytes], span: Span, previous: str, places: Mapping[str, int]
) -> tuple[bytes, str]:
    """Return a segment's file and its root."""
    root = root_of(envelopes)
    stated = {
        "first": str(span.first),
        "end": str(span.end),
        "previous": previous,
        "root": root,
        "segment": segment_hash(span, previous, root),
    }
    if places:
        stated[_PLACES] = _encode_places(places).decode()
    return parquet.encode(columns(envelopes, span.first), stated), root


def _publish(folder: Path, seal: Seal, content: bytes) -> None:
    """Give a segment its name; the seal goes first, so that no segment is ever without one."""
    data = write_aside(folder, seal.span.data_name, content)
    aside = write_aside(folder, seal.span.seal_name, seal.encode())
    aside.rename(folder / seal.span.seal_name)
    sync_folder(folder)
    data.rename(folder / seal.span.data_name)
    sync_folder(folder)


def _clear_unfinished(folder: Path, listing: Listing) -> None:
    """Remove unfinished files, and seals whose segment never got its name."""
    for name in listing.asides:
        (folder / name).unlink()
    for span in set(listing.seals) - set(listing.data):
        (folder / span.seal_name).unlink()


def _resume(folder: Path, listing: Listing) -> tuple[int, str]:
    """Return the next position and the last seal."""
    end = 0
    for span in listing.data:
        if span.first != end:
            msg = f"{folder.name}: segment {span.stem} follows position {end}; run archive verify"
            raise ArchiveDamagedError(msg)
        end = span.end
    if not listing.data:
        return 0, GENESIS
    return end, read_seal(folder, listing.data[-1]).seal


def read_seal(folder: Path, span: Span) -> Seal:
    """Return the seal beside a segment. Raises `ArchiveDamagedError` where none can be read."""
    try:
        return decode_seal((folder / span.seal_name).read_bytes())
    except (OSError, ValueError, msgspec.DecodeError) as error:
        msg = f"seal {span.seal_name} cannot be read: {error}"
        raise ArchiveDamagedError(msg) from error
