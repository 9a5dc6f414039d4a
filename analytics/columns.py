# SPDX-License-Identifier: Apache-2.0
# pyright: basic
# pyarrow ships no types, so strict mode knows nothing here.
"""How envelopes become a segment's columns: all of them at once, no value made per record.

`data` is the domain event as JSON, so old versions arrive upcast; `envelope` keeps the very bytes
of the ledger, from which the ledger can be rebuilt.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from analytics import wire
from analytics.errors import LedgerGapError
from analytics.parquet import COLUMNS
from analytics.payloads import told
from schemas.codec import RECORD_DESCRIPTOR, open_envelope
from schemas.records import Origin

AT_ONCE_BYTES = 256 * 1_024 * 1_024
"""Envelopes turned into columns at once: far less than what one Arrow column of bytes can hold."""

_OWN = ("position", "recorded_ms", "cause", "skippable")


def columns(envelopes: Sequence[bytes], first: int) -> Mapping[str, object]:
    """Return consecutive records as the columns of a segment; the first is at position `first`.

    Raises `LedgerGapError` where a record's position is not the next one, and the codec's errors
    for records that this build cannot read.
    """
    parts = [_columns(envelopes[p], first + p.start) for p in _parts(envelopes)]
    table = pa.concat_tables(parts)
    return {name: table[name] for name in COLUMNS}


def _parts(envelopes: Sequence[bytes]) -> Iterator[slice]:
    start = size = 0
    for at, envelope in enumerate(envelopes):
        if size + len(envelope) > AT_ONCE_BYTES and at > start:
            yield slice(start, at)
            start, size = at, 0
        size += len(envelope)
    yield slice(start, len(envelopes))


def _columns(envelopes: Sequence[bytes], first: int) -> pa.Table:
    data = pa.array(envelopes, pa.binary())
    opened = open_all(data)
    _check_positions(opened["position"].to_numpy(), first)
    said = told(opened["ce_type"], opened["payload"], opened["skippable"])
    known = {
        **{name: opened[name] for name in opened.schema.names},
        **{name: said[name] for name in said.schema.names},
        "envelope": data,
    }
    return pa.table([known[name] for name in COLUMNS], list(COLUMNS))


def open_all(envelopes: pa.Array) -> pa.RecordBatch:
    """Return what `open_envelope` gives of each, by columns; payloads are left as bytes.

    Raises `DecodeError` where one is damaged.
    """
    read = wire.read(RECORD_DESCRIPTOR, envelopes)
    if read is not None and read.again.equals(envelopes):
        return read.fields
    opened = [open_envelope(data) for data in envelopes.to_pylist()]  # a newer build's, or damaged
    published = [envelope.published for envelope in opened]
    named = {
        **{name: [getattr(e, name) for e in opened] for name in _OWN},
        **{name: [getattr(p, name) for p in published] for name in ("ce_type", "payload")},
        **{n: [getattr(p.origin, n) for p in published] for n in Origin.__struct_fields__},
    }
    return pa.RecordBatch.from_pydict(named, wire.schema_of(RECORD_DESCRIPTOR))


def _check_positions(positions: np.ndarray, first: int) -> None:
    expected = np.arange(first, first + len(positions))
    (wrong,) = np.nonzero(positions != expected)
    if len(wrong):
        at = wrong[0]
        msg = f"the ledger gave position {positions[at]} where {expected[at]} was asked for"
        raise LedgerGapError(msg)
