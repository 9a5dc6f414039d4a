# SPDX-License-Identifier: Apache-2.0
# pyright: basic
# pyarrow ships no types, so strict mode knows nothing here; only this module touches it.
"""Reads the tables shipped in `streams/traces/data`: the one place here that knows file formats."""

import csv
from collections.abc import Sequence
from importlib import resources
from typing import Any

import pyarrow.parquet as pq

_DATA = resources.files("streams.traces") / "data"


def parquet_rows(name: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the rows of a shipped Parquet table, as tuples in the order of `columns`.

    A column that the table does not have is None in every row.
    """
    with resources.as_file(_DATA / name) as path:
        table = pq.read_table(path)
    missing = [None] * table.num_rows
    values = (table[c].to_pylist() if c in table.column_names else missing for c in columns)
    return list(zip(*values, strict=True))


def csv_rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a shipped CSV table, by column name."""
    text = (_DATA / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
