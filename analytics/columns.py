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
from ptars import HandlerPool

from analytics.errors import LedgerGapError
from analytics.parquet import COLUMNS
from analytics.payloads import told
from schemas.codec import RECORD_DESCRIPTOR, open_columns

AT_ONCE_BYTES = 256 * 1_024 * 1_024
"""Envelopes turned into columns at once: far less than what one Arrow column of bytes can hold."""

_RECORDS = HandlerPool([RECORD_DESCRIPTOR.file]).get_for_message(RECORD_DESCRIPTOR)


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
    opened = _opened(envelopes, data)
    _check_positions(opened["position"].to_numpy(), first)
    said = told(opened["ce_type"], opened["payload"], opened["skippable"])
    known = {
        **{name: opened[name] for name in opened.schema.names},
        **{name: said[name] for name in said.schema.names},
        "envelope": data,
    }
    return pa.table([known[name] for name in COLUMNS], list(COLUMNS))


def _opened(envelopes: Sequence[bytes], data: pa.Array) -> pa.RecordBatch:
    """Return the fields of envelopes, as ptars reads them where it writes the same bytes again."""
    try:
        opened = _RECORDS.array_to_record_batch(data)
    except ValueError:  # one of them is damaged
        pass
    else:
        if _RECORDS.record_batch_to_array(opened).equals(data):
            return opened
    by_codec = open_columns(envelopes)
    return pa.RecordBatch.from_pydict(
        {name: getattr(by_codec, name) for name in by_codec.__struct_fields__}, _RECORDS.schema()
    )


def _check_positions(positions: np.ndarray, first: int) -> None:
    expected = np.arange(first, first + len(positions))
    (wrong,) = np.nonzero(positions != expected)
    if len(wrong):
        at = wrong[0]
        msg = f"the ledger gave position {positions[at]} where {expected[at]} was asked for"
        raise LedgerGapError(msg)
