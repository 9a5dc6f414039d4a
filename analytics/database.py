# SPDX-License-Identifier: Apache-2.0
"""Opening an archive as a DuckDB database.

Segments come in through Arrow, column by column; the envelopes and leaves stay in the files. Once the views stand, the connection
is closed to the outside: no file, no network, no setting can be reached from SQL that a user writes.
"""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from analytics.catalogue import statements
from analytics.columns import SCHEMA
from analytics.errors import ArchiveDamagedError
from analytics.segments import list_folder

_NOT_LOADED = {"envelope", "leaf"}
COLUMNS = tuple(name for name in SCHEMA.names if name not in _NOT_LOADED)
"""Columns of a segment that are loaded."""


def open_history(folder: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection that holds the archive's history, with every documented view.

    Does not check the chain: see `analytics.audit.verify`. Raises `ArchiveDamagedError` where a segment cannot be read.
    """
    connection = duckdb.connect()
    _load_records(connection, folder)
    for statement in statements():
        connection.execute(statement)
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _load_records(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    files = [str(folder / span.data_name) for span in list_folder(folder).data]
    segments = ds.dataset(files, schema=SCHEMA, format="parquet") if files else SCHEMA.empty_table()
    connection.register("segments", segments)
    names = ", ".join(COLUMNS)
    try:
        connection.execute(f"CREATE TABLE records AS SELECT {names} FROM segments")  # noqa: S608  # our own names
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        msg = f"a segment of {folder.name} cannot be read ({error}); run archive verify"
        raise ArchiveDamagedError(msg) from error
    connection.unregister("segments")
