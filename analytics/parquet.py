# SPDX-License-Identifier: Apache-2.0
# pyright: basic
# pyarrow ships no types, so strict mode knows nothing here; only this module touches it.
"""What a segment's file is: its columns, how it is written and how it is read back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from analytics.errors import ArchiveDamagedError

_SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("recorded_ms", pa.int64()),
        ("ce_type", pa.string()),
        ("cause", pa.int64()),
        ("job", pa.string()),
        ("attempt", pa.int64()),
        ("node", pa.string()),
        ("data", pa.string()),
        ("ce_id", pa.string()),
        ("ce_source", pa.string()),
        ("ce_subject", pa.string()),
        ("ce_time", pa.string()),
        ("correlation_id", pa.string()),
        ("causation_id", pa.string()),
        ("envelope", pa.binary()),
    ]
)
"""What a segment's file holds, a row per record."""

COLUMNS: tuple[str, ...] = tuple(_SCHEMA.names)
"""Columns of a segment.

`cause`, `job`, `attempt`, `node` are null where the event names none; `data` is the domain event as
JSON, null where the build that archived it did not know the type and might pass over it.
"""

_REPETITIVE = ["ce_type", "job", "node", "ce_source", "ce_subject", "ce_time", "correlation_id"]
_METADATA_PREFIX = "singlepool."


class Contents(Struct, frozen=True):
    """What was read from a segment: the columns asked for, and what it states of itself."""

    columns: Mapping[str, list[Any]]
    metadata: Mapping[str, str]


def encode(columns: Mapping[str, object], metadata: Mapping[str, str]) -> bytes:
    """Return the file of a segment that holds these records and states `metadata` of itself.

    `columns` has a list, or an array of Arrow, for each of `COLUMNS`.
    """
    table = pa.table(dict(columns), _SCHEMA)
    table = table.replace_schema_metadata({_METADATA_PREFIX + k: v for k, v in metadata.items()})
    sink = pa.BufferOutputStream()
    options: dict[str, Any] = {
        "use_dictionary": _REPETITIVE
    }  # a list, too, whatever pyright infers
    pq.write_table(table, sink, compression="zstd", compression_level=1, **options)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def read(content: bytes, columns: Sequence[str]) -> Contents:
    """Return some columns of a segment's file.

    Raises `ArchiveDamagedError` where the bytes are no such file.
    """
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read(columns=list(columns))
        values = {name: table.column(name).to_pylist() for name in columns}
    except (pa.ArrowException, OSError, KeyError) as error:
        msg = f"its bytes are no segment: {error}"
        raise ArchiveDamagedError(msg) from error
    stated = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    return Contents(values, {k.removeprefix(_METADATA_PREFIX): v for k, v in stated.items()})


def stream(files: Sequence[Path], columns: Sequence[str]) -> object:
    """Return a stream of some columns of these segments, which DuckDB reads once, as Arrow.

    What cannot be read raises `ArchiveDamagedError` here, or an error of DuckDB while it reads.
    """
    wanted = [_SCHEMA.field(name) for name in columns]
    try:
        opened = [pq.ParquetFile(file) for file in files]
    except (pa.ArrowException, OSError) as error:
        msg = f"a segment is none: {error}"
        raise ArchiveDamagedError(msg) from error
    batches = (batch for file in opened for batch in file.iter_batches(columns=list(columns)))
    return pa.RecordBatchReader.from_batches(pa.schema(wanted), batches)
