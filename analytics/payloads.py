# SPDX-License-Identifier: Apache-2.0
# pyright: basic
# pyarrow ships no types, so strict mode knows nothing here.
"""Payloads as columns: each event as JSON, and what it is about.

ptars reads protobuf into Arrow and DuckDB writes the JSON, a type at a time, so that nothing is
made per record. What ptars read is believed only where it writes the same bytes again and the
domain has all that it read: no message unset, no enumeration that names nothing. All else (a
publisher's unusual encoding, an old version, damage) the codec decodes, one by one, and raises what
it raises.
"""

from collections.abc import Iterator
from enum import IntEnum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Struct

from analytics import wire
from analytics.subjects import SUBJECTS, subjects
from schemas.catalogue import BY_CE_TYPE, Event
from schemas.codec import decode_event, descriptor_of
from schemas.errors import UnknownEventError

_TOLD = pa.schema(
    [("data", pa.string()), ("job", pa.string()), ("attempt", pa.int64()), ("node", pa.string())]
)
_BEFORE, _AFTER = "wire before", "wire after"
_SAME = f'"{_BEFORE}" = "{_AFTER}"'
_Hint = Any
"""What stands behind a field's colon; Python has no type for that."""

_encode_json = msgspec.json.Encoder().encode


def told(ce_types: pa.Array, payloads: pa.Array, skippable: pa.Array) -> pa.Table:
    """Return what each payload says: `data`, `job`, `attempt` and `node`, null where it says none.

    Raises `UnknownEventError` for a type that this build does not know, unless it may be passed
    over (all is null then), and `DecodeError` for bytes that are not their type.
    """
    coded = ce_types.dictionary_encode()
    codes = coded.indices.to_numpy()
    parts: list[pa.Table] = []
    rows: list[np.ndarray] = []
    odd: list[np.ndarray] = []
    for code, ce_type in enumerate(coded.dictionary.to_pylist()):
        of_type = np.flatnonzero(codes == code)
        read = _read(ce_type, payloads.take(pa.array(of_type)))
        sound = np.zeros(len(of_type), bool) if read is None else read["sound"].to_numpy()
        odd.append(of_type[~sound])
        if read is not None:
            rows.append(of_type[sound])
            parts.append(read.filter(pa.array(sound)).select(_TOLD.names).cast(_TOLD))
    one_by_one = np.concatenate(odd) if odd else np.empty(0, np.int64)
    rows.append(one_by_one)
    parts.append(_decoded(ce_types, payloads, skippable, one_by_one))
    return pa.concat_tables(parts).take(pa.array(np.argsort(np.concatenate(rows))))


def _read(ce_type: str, payloads: pa.Array) -> pa.Table | None:
    """Return what payloads of one type say and whether that is `sound`; None: ask the codec."""
    entry = BY_CE_TYPE.get(ce_type)
    if entry is None:
        return None
    read = wire.read(descriptor_of(entry.event), payloads)
    if read is None:
        return None
    cursor = _database().cursor()
    fields = dict(zip(read.fields.schema.names, read.fields.columns, strict=True))
    cursor.register("messages", pa.table({_BEFORE: payloads, _AFTER: read.again, **fields}))
    return cursor.sql(_query(entry.event)).to_arrow_table()


@cache
def _database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def _decoded(
    ce_types: pa.Array, payloads: pa.Array, skippable: pa.Array, rows: np.ndarray
) -> pa.Table:
    """Return what the payloads of some rows say, by the codec."""
    said = list[tuple[object, ...]]()
    for row in rows.tolist():
        try:
            event = decode_event(ce_types[row].as_py(), payloads[row].as_py())
        except UnknownEventError:
            if not skippable[row].as_py():
                raise
            said.append((None, None, None, None))
        else:
            said.append((_encode_json(event).decode(), *subjects(event)))
    columns = list(zip(*said, strict=True)) or [()] * len(_TOLD)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, _TOLD, strict=True)], _TOLD)


# --- the query for a type -------------------------------------------------------------------------


@cache
def _query(event: type[Event]) -> str:
    """Return the SQL that makes `_TOLD` and `sound` of a type's messages."""
    hints = get_type_hints(event)
    fields = ", ".join(f"'{name}': {_json(hints[name], _quoted(name))}" for name in hints)
    at = SUBJECTS[event]
    made = {
        "data": f"to_json({{{fields}}})::VARCHAR",
        "job": _subject(at.job),
        "attempt": _subject(at.attempt),
        "node": _subject(at.node),
        "sound": f"coalesce({' AND '.join((_SAME, *_conditions(event, '')))}, false)",
    }
    return f"FROM messages SELECT {', '.join(f'{sql} AS {name}' for name, sql in made.items())}"


def _quoted(name: str) -> str:
    return f'"{name}"'


def _subject(path: str | None) -> str:
    if path is None:
        return "NULL"
    if path == "job.id":  # as `schemas.ids.job_id` writes it
        return "job.tenant || '/' || job.name || '@' || job.generation"
    return path


def _json(hint: _Hint, at: str) -> str:
    """Return a field as DuckDB is to write it: bytes as base64, all else as it is."""
    return f"to_base64({at})" if hint is bytes else at


def _conditions(hint: _Hint, at: str) -> Iterator[str]:
    """Yield what must hold for the domain to have a value that was read from the wire."""
    hint = getattr(hint, "__supertype__", hint)
    origin: object = get_origin(hint)
    if origin is tuple:
        each = f"x{at.count('.')}"
        inner = " AND ".join(_conditions(get_args(hint)[0], each))
        if inner:
            yield f"len(list_filter({at}, lambda {each}: NOT ({inner}))) = 0"
    elif issubclass(hint, Struct):
        if at:
            yield f"{at} IS NOT NULL"
        for name, field in get_type_hints(hint).items():
            yield from _conditions(field, f"{at}.{_quoted(name)}" if at else _quoted(name))
    elif issubclass(hint, IntEnum):
        yield f"{at} IN ({', '.join(str(int(member)) for member in hint)})"
