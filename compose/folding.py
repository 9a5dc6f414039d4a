# SPDX-License-Identifier: Apache-2.0
"""Folding a run's archive up to a moment."""

from collections.abc import Iterator
from pathlib import Path

from analytics.audit import read_envelopes
from analytics.segments import list_folder
from compose.moments import Moment, Position, Time, check_within
from compose.progress import Watch, progress
from engine.evolve import advance
from engine.state import State
from schemas.codec import decode_record
from schemas.records import Record

_TOLD_EVERY = 512
"""Records between two updates of a bar: often enough for an eye, and no load."""


def archived(archive: Path) -> int:
    """Return how many records an archive holds, from its names alone."""
    spans = list_folder(archive).data
    return spans[-1].end if spans else 0


def records_until(
    archive: Path, until: Moment | None, watch: Watch | None = None
) -> Iterator[Record | None]:
    """Yield the records up to a moment; None stands for one that may be skipped.

    Raises `NotFoundError` where the archive does not reach that moment.
    """
    total = archived(archive)
    for position, data in enumerate(read_envelopes(archive)):
        record = decode_record(data)
        if position == 0 and until is not None:
            check_within(until, total, record.recorded_ms if record else 0)
        if _past(until, position, record):
            return
        if watch is not None and position % _TOLD_EVERY == 0:
            watch(position)
        yield record


def _past(until: Moment | None, position: int, record: Record | None) -> bool:
    match until:
        case Position(records):
            return position >= records
        case Time(recorded_ms):
            return record is not None and record.recorded_ms > recorded_ms
        case _:
            return False


def fold(archive: Path, until: Moment | None = None) -> State:
    """Return the state at a moment, showing how far the fold is."""
    with progress("folding", archived(archive), "records") as watch:
        return folded(records_until(archive, until, watch))


def folded(records: Iterator[Record | None]) -> State:
    """Return the fold of records."""
    state = State()
    for record in records:
        advance(state, record)
        state.directives.clear()
    return state
