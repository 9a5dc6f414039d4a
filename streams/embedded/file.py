# SPDX-License-Identifier: Apache-2.0
"""The ledger's file: its tables, how it is made and opened, and what its failures mean."""

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import InternalError, SinglepoolError
from schemas.ledger import (
    CorruptLedgerError,
    LedgerBusyError,
    LedgerStorageError,
    NotALedgerError,
)

APPLICATION_ID = 0x53504C31
"""The bytes SPL1, in the file's header: how a ledger is told from any other SQLite database."""

VERSION = 1
"""Version of the tables below; a file of a newer one is refused."""

BUSY_MS = 10_000
"""How long to wait for another process: an append takes under a millisecond, a checkpoint of the
largest log that stays between appends (4 MB) well under a second, even on a slow disk."""

_RETRY_S = 0.01

_SCHEMA = """
CREATE TABLE record (position INTEGER PRIMARY KEY, crc INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE lease (
    one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, owner TEXT NOT NULL
) STRICT;
CREATE TABLE consumed (source TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE rejected (number INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE replayed (number INTEGER PRIMARY KEY REFERENCES rejected) STRICT;
CREATE TABLE inbox (position INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
INSERT INTO lease VALUES (1, 0, '');
"""


def open_to_write(path: Path, *, create: bool) -> sqlite3.Connection:
    """Open the ledger at `path` for reading and writing; make it there where `create` is set."""
    _look(path, create=create)
    with telling(path, "opening it"):
        db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1_000)
        with _closing_on_error(db):
            if create:
                _make(db)
            _check(db, path)
            _use_wal(db)
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA fullfsync = ON")  # macOS: a plain fsync stops at the drive's cache
            db.execute("PRAGMA foreign_keys = ON")
    return db


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open the ledger at `path` for reading alone; nothing done with it can change a record."""
    _look(path, create=False)
    with telling(path, "opening it"):
        uri = f"{path.absolute().as_uri()}?mode=ro"
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_MS / 1_000)
        with _closing_on_error(db):
            _check(db, path)
    return db


@contextmanager
def _closing_on_error(db: sqlite3.Connection) -> Generator[None]:
    try:
        yield
    except BaseException:
        db.close()
        raise


def _look(path: Path, *, create: bool) -> None:
    if path.is_dir():
        msg = f"{path} is a folder; name the ledger's file in it"
        raise NotALedgerError(msg)
    if not create and not path.exists():
        msg = f"there is no ledger at {path}; make one with `singlepool run` or `singlepool demo`"
        raise NotALedgerError(msg)
    if not path.parent.is_dir():
        msg = f"there is no folder {path.parent} for a ledger; make it, or name another"
        raise NotALedgerError(msg)


def _make(db: sqlite3.Connection) -> None:
    """Make the tables where the file is empty: all in one transaction, before there is a WAL.

    So the first power cut leaves nothing or a whole ledger, and whatever happens to the log later,
    the file itself is one.
    """
    if _tables(db):
        return
    db.execute("BEGIN EXCLUSIVE")
    if not _tables(db):  # nobody else was quicker
        for statement in _SCHEMA.strip().split(";\n"):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


def _check(db: sqlite3.Connection, path: Path) -> None:
    if not _tables(db):
        msg = f"{path} is empty; remove it, or let `singlepool run` make a ledger of it"
        raise NotALedgerError(msg)
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        msg = f"{path} is another application's database; name another file"
        raise NotALedgerError(msg)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        msg = (
            f"{path} is a ledger of version {version} and this build knows up to {VERSION}; "
            "use the build that made it, or a newer one"
        )
        raise NotALedgerError(msg)


def _tables(db: sqlite3.Connection) -> int:
    (count,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return int(count)


def _use_wal(db: sqlite3.Connection) -> None:
    """Turn the write-ahead log on, once in a ledger's life.

    Where two open a new ledger at once, SQLite refuses this without waiting; so the wait is here.
    """
    deadline = time.monotonic() + BUSY_MS / 1_000
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
        else:
            return


# --- failures -------------------------------------------------------------------------------------


@contextmanager
def telling(path: Path, doing: str) -> Generator[None]:
    """Turn what SQLite raises into an error that says what, where, and what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise _told(path, doing, error) from error


def _told(path: Path, doing: str, error: sqlite3.Error) -> SinglepoolError:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE)
    match code & 0xFF:  # the rest says more, and nothing that changes who must act
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return LedgerBusyError(
                f"{path}: another process held the ledger for {BUSY_MS} ms while {doing}; "
                "try again, or end that process"
            )
        case sqlite3.SQLITE_FULL:
            return LedgerStorageError(f"{path}: no room left while {doing}; free space, reopen it")
        case (
            sqlite3.SQLITE_IOERR
            | sqlite3.SQLITE_CANTOPEN
            | sqlite3.SQLITE_READONLY
            | sqlite3.SQLITE_PERM
        ):
            return LedgerStorageError(
                f"{path}: {error} while {doing}; look at its permissions and its disk, reopen it"
            )
        case sqlite3.SQLITE_CORRUPT:
            return CorruptLedgerError(f"{path}: {error}; restore it from the archive")
        case sqlite3.SQLITE_NOTADB:
            return NotALedgerError(f"{path} is no ledger ({error}); name another file")
        case _:
            return InternalError(f"{path}: {error} while {doing}")
