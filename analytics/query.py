# SPDX-License-Identifier: Apache-2.0
"""Answering a question in SQL that a user wrote."""

from collections.abc import Mapping

import duckdb

from analytics.catalogue import views
from analytics.errors import QueryError
from analytics.tables import Grid

_READS = {"SELECT", "EXPLAIN"}


def ask(
    connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, object] | None = None
) -> Grid:
    """Return the answer to one reading statement over a history opened by `analytics.database`.

    `values` are what `$name` stands for in the statement.

    Raises `QueryError`, whose message says what is wrong and which views there are.
    """
    _check_reads_only(connection, sql)
    try:
        cursor = connection.execute(sql, values)
        columns = tuple(str(column[0]) for column in cursor.description or ())
        rows = tuple(cursor.fetchall())
    except duckdb.Error as error:
        raise QueryError(_explain(str(error))) from error
    return Grid(columns, rows)


def _check_reads_only(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    try:
        found = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryError(_explain(str(error))) from error
    if len(found) != 1:
        msg = f"a query is one statement; this text holds {len(found)}"
        raise QueryError(msg)
    kind = found[0].type.name
    if kind not in _READS:
        msg = (
            f"a query reads (SELECT, FROM, WITH, DESCRIBE, SUMMARIZE, EXPLAIN); this one is {kind}"
        )
        raise QueryError(msg)


def _explain(error: str) -> str:
    if not error.startswith(("Catalog Error", "Binder Error")):
        return error.strip()
    names = ", ".join(v.signature for v in views() if "." not in v.name)
    return (
        f"{error.strip()}\n\nThere are: {names}, and one fact.<event> per event type. "
        "DESCRIBE <view> lists its columns."
    )
