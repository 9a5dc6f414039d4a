# SPDX-License-Identifier: Apache-2.0
"""Opening an archive as a DuckDB database.

Segments come in through Arrow, column by column; the envelopes stay in the files. Once
the views stand, the connection is closed to the outside: no file, no network, no setting can be
reached from SQL that a user writes.
"""

from pathlib import Path

import duckdb

from analytics.catalogue import statements
from analytics.errors import ArchiveDamagedError
from analytics.parquet import COLUMNS, stream
from analytics.segments import list_folder

History = duckdb.DuckDBPyConnection
"""An open history: a DuckDB connection with every documented view."""

_NOT_LOADED = {"envelope"}


def open_history(folder: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection that holds the archive's history, with every documented view.

    Does not check the chain: see `analytics.audit.verify`. Raises `ArchiveDamagedError` where a
    segment cannot be read.
    """
    connection = duckdb.connect()
    _load_records(connection, folder)
    for statement in statements():
        connection.execute(statement)
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _load_records(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    files = [folder / span.data_name for span in list_folder(folder).data]
    names = [name for name in COLUMNS if name not in _NOT_LOADED]
    try:
        connection.register("segments", stream(files, names))
        connection.execute("CREATE TABLE records AS FROM segments")
    except (duckdb.Error, ArchiveDamagedError) as error:
        msg = f"a segment of {folder.name} cannot be read ({error}); run archive verify"
        raise ArchiveDamagedError(msg) from error
    connection.unregister("segments")
