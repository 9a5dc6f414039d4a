# SPDX-License-Identifier: Apache-2.0
"""What a segment's columns hold, and how envelopes become columns.

All work per record is a handful of C calls; nothing builds a row. `data` is the domain event as
JSON, so old versions arrive upcast; `envelope` keeps the very bytes of the ledger, from which the
ledger can be rebuilt.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Any, get_type_hints

import msgspec

from analytics.errors import LedgerGapError
from analytics.parquet import Chunk
from schemas import fleet, jobs
from schemas.catalogue import CATALOGUE, Event
from schemas.codec import decode_event, open_columns
from schemas.errors import UnknownEventError

CHUNK_RECORDS = 2_048
"""Records turned into columns at once: few enough that the garbage collector sees few of them."""

# What an event says about one subject: an id, an attempt, or None.
_Getter = Callable[[Any], Any]


def _nothing(_: object) -> None:
    return None


def _job_getter(event: type[Event]) -> _Getter:
    hint = get_type_hints(event).get("job")
    if hint is None:
        return _nothing
    return attrgetter("job.id" if hint is jobs.Job else "job")


def _node_getter(event: type[Event]) -> _Getter:
    if event is fleet.NodeRemoved:
        return attrgetter("name")
    hint = get_type_hints(event).get("node")
    if hint is None:
        return _nothing
    return attrgetter("node.name" if hint is fleet.Node else "node")


def _attempt_getter(event: type[Event]) -> _Getter:
    return attrgetter("attempt") if "attempt" in event.__struct_fields__ else _nothing


_SUBJECTS: Mapping[type, tuple[_Getter, _Getter, _Getter]] = MappingProxyType(
    {
        entry.event: (
            _job_getter(entry.event),
            _attempt_getter(entry.event),
            _node_getter(entry.event),
        )
        for entry in CATALOGUE
    }
)
_UNKNOWN = (_nothing, _nothing, _nothing)


def subjects(event: Event) -> tuple[str | None, int | None, str | None]:
    """Return what an event is about: job, attempt and node, None where it names none."""
    job, attempt, node = _SUBJECTS[type(event)]
    return job(event), attempt(event), node(event)


def chunks(envelopes: Sequence[bytes], leaves: Sequence[bytes], first: int) -> Iterator[Chunk]:
    """Yield the columns of consecutive records, of which the first is at position `first`.

    Raises `LedgerGapError` where a record's position is not the next one, and the codec's errors
    for records that this build cannot read.
    """
    for at in range(0, len(envelopes), CHUNK_RECORDS):
        part = slice(at, at + CHUNK_RECORDS)
        yield _chunk(envelopes[part], leaves[part], first + at)


def _chunk(envelopes: Sequence[bytes], leaves: Sequence[bytes], first: int) -> Chunk:
    opened = open_columns(envelopes)
    _check_positions(opened.position, first)
    events = list(map(_decode, opened.ce_type, opened.payload, opened.skippable))
    getters = [_SUBJECTS.get(type(event), _UNKNOWN) for event in events]
    return (  # in the order of `parquet.COLUMNS`
        opened.position,
        opened.recorded_ms,
        opened.ce_type,
        opened.cause,
        [job(event) for (job, _, _), event in zip(getters, events, strict=True)],
        [attempt(event) for (_, attempt, _), event in zip(getters, events, strict=True)],
        [node(event) for (_, _, node), event in zip(getters, events, strict=True)],
        _texts(events),
        opened.ce_id,
        opened.ce_source,
        opened.ce_subject,
        opened.ce_time,
        opened.correlation_id,
        opened.causation_id,
        envelopes,
        leaves,
    )


def _check_positions(positions: Sequence[int], first: int) -> None:
    for expected, position in enumerate(positions, first):
        if position != expected:
            msg = f"the ledger gave position {position} where {expected} was asked for"
            raise LedgerGapError(msg)


def _decode(ce_type: str, payload: bytes, skippable: bool) -> Event | None:  # noqa: FBT001  # a column
    try:
        return decode_event(ce_type, payload)
    except UnknownEventError:
        if skippable:
            return None
        raise


def _texts(events: Sequence[Event | None]) -> list[bytes | None]:
    encode = msgspec.json.Encoder().encode
    return [None if event is None else encode(event) for event in events]
