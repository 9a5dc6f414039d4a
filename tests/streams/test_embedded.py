# SPDX-License-Identifier: Apache-2.0
"""The ledger in a file: it keeps the contract, and damage and foreign files are named."""

import os
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from msgspec import msgpack, structs

from schemas.ledger import (
    Batch,
    CorruptLedgerError,
    Inbox,
    LedgerBusyError,
    LedgerStorageError,
    NotALedgerError,
    scan,
)
from streams.embedded import EmbeddedLedger, EmbeddedReader
from streams.embedded import file as ledger_file
from tests.streams.ledger_contract import (
    SIZE,
    Carrier,
    InboxContract,
    LedgerContract,
    RejectedContract,
    RejectingWriter,
    batch,
    records,
    refused,
)

SWAP = """
CREATE TEMP TABLE old AS SELECT * FROM record;
UPDATE record SET (crc, data) = (SELECT crc, data FROM old WHERE position = 3 - record.position)
WHERE position IN (1, 2);
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a ledger goes."""
    return tmp_path / "ledger.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[[], EmbeddedLedger]]:
    """Open one more handle on the test's file, in the thread that asks."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(EmbeddedLedger(path))


class TestEmbeddedLedger(LedgerContract, RejectedContract, InboxContract):
    """Handles are connections of their own to one file."""

    @pytest.fixture
    def carrier(self, path: Path) -> Carrier:
        """One more connection."""
        return lambda: EmbeddedLedger(path)

    @pytest.fixture
    def rejecting(self, opened: Callable[[], EmbeddedLedger]) -> RejectingWriter:
        """A ledger."""
        return opened()

    @pytest.fixture
    def another_inbox(self, opened: Callable[[], EmbeddedLedger]) -> Callable[[], Inbox]:
        """One more connection."""
        return opened


def write(path: Path, batches: int = 1) -> None:
    """Make a ledger of some batches and close it."""
    with EmbeddedLedger(path) as ledger:
        lease = ledger.acquire("a")
        for number in range(batches):
            ledger.append(lease, number * SIZE, batch(number))


def change(path: Path, statements: str) -> None:
    """Do something to the file behind the ledger's back."""
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(statements)


def test_a_refused_event_that_an_older_build_stored_is_read(path: Path) -> None:
    """It has no field for the topic that it came by: then none is known."""
    with EmbeddedLedger(path) as ledger:
        ledger.append(ledger.acquire("a"), 0, Batch([], {}, [refused(1)]))
    older = {k: v for k, v in structs.asdict(refused(1)).items() if k != "topic"}
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE rejected SET data = ?", (msgpack.encode(older),))
    with EmbeddedReader(path) as ledger:
        assert ledger.rejected(1, 10) == [(1, refused(1))]


# --- durability is switched on --------------------------------------------------------------------


def test_a_commit_waits_for_the_disk(path: Path) -> None:
    """The log is a write-ahead log and every commit is synced: no setting of a library decides."""
    with closing(ledger_file.open_to_write(path, create=True)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert db.execute("PRAGMA fullfsync").fetchone() == (1,)


# --- readers --------------------------------------------------------------------------------------


def test_a_reader_reads_what_the_writer_commits_and_changes_nothing(path: Path) -> None:
    """Through the same port, at any time; SQLite itself refuses it any change."""
    with EmbeddedLedger(path) as ledger, EmbeddedReader(path) as reader:
        lease = ledger.acquire("a")
        ledger.append(lease, 0, batch(0))
        assert list(scan(reader)) == records(0)
        ledger.append(lease, SIZE, batch(1))
        assert reader.wait(SIZE, 1_000) == 2 * SIZE
        assert dict(reader.consumed()) == {"in": 2}
    with closing(ledger_file.open_to_read(path)) as db:
        for statement in ("DELETE FROM record", "UPDATE lease SET epoch = 9", "DROP TABLE record"):
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                db.execute(statement)


def test_a_path_may_hold_any_character(tmp_path: Path) -> None:
    """What means something in a URI means nothing in a ledger's name."""
    odd = tmp_path / "odd ?mode=rw&#%41 name.db"
    write(odd)
    with EmbeddedReader(odd) as reader:
        assert reader.head() == SIZE
    assert odd.exists()


def test_a_closed_ledger_is_one_file(path: Path) -> None:
    """Its writer leaves nothing beside it that would have to be copied with it."""
    write(path)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE record SET data = x'00' WHERE position = 3", "record 3 was changed"),
        ("UPDATE record SET crc = crc + 1 WHERE position = 4", "record 4 was changed"),
        ("DELETE FROM record WHERE position = 2", "record 2 is missing"),
        ("DELETE FROM record WHERE position = 0", "record 0 is missing"),
        (
            SWAP,
            "record 1 was changed",
        ),
    ],
    ids=["data", "sum", "hole", "first", "swapped"],
)
def test_damage_is_named_by_position(path: Path, damage: str, found: str) -> None:
    """A changed, missing or moved record stops the reader where it is, with what to do."""
    write(path)
    change(path, damage)
    for start in (0, 1):
        if "record 0" in found and start:
            continue
        with (
            EmbeddedReader(path) as reader,
            pytest.raises(CorruptLedgerError, match=f"ledger.db: {found}; restore"),
        ):
            reader.read(start, 100)


def test_damage_elsewhere_is_not_met(path: Path) -> None:
    """Records before a damaged one can still be read."""
    write(path, 2)
    change(path, "UPDATE record SET data = x'00' WHERE position = 7")
    with EmbeddedReader(path) as reader:
        assert list(reader.read(0, 7)) == (records(0) + records(1))[:7]


def test_a_file_with_pages_overwritten_is_corrupt_or_no_ledger(path: Path) -> None:
    """Garbage over the tables, or over the header, ends in an error that says what to do."""
    write(path, 20)
    whole = path.read_bytes()
    for begin, kind in ((0, NotALedgerError), (4_096, CorruptLedgerError)):
        path.write_bytes(whole[:begin] + b"\xa5" * (len(whole) - begin))
        with pytest.raises(kind, match=r"ledger\.db.*; (name another|restore)"):
            read_all(path)


def read_all(path: Path) -> list[bytes]:
    """Open and read."""
    with EmbeddedReader(path) as reader:
        return list(scan(reader))


# --- files that are no ledger ---------------------------------------------------------------------


def test_a_file_of_somebody_else_is_refused_and_left_alone(path: Path) -> None:
    """Neither another database nor a text is taken for a ledger, and no byte of it changes."""
    change(path, "CREATE TABLE theirs (x); PRAGMA application_id = 7")
    text = path.with_name("notes.txt")
    text.write_text("not a database, but long enough to be read as one" * 40)
    for foreign, why in ((path, "another application's"), (text, "is no ledger")):
        before = foreign.read_bytes()
        for way in (EmbeddedLedger, EmbeddedReader):
            with pytest.raises(NotALedgerError, match=f"{why}.*name another file"):
                way(foreign)
        assert foreign.read_bytes() == before


def test_a_ledger_of_a_newer_build_is_refused(path: Path) -> None:
    """It may mean what this build cannot know; the message names both versions."""
    write(path)
    newer = ledger_file.VERSION + 1
    change(path, f"PRAGMA user_version = {newer}")
    for way in (EmbeddedLedger, EmbeddedReader):
        with pytest.raises(NotALedgerError, match=f"version {newer} .* up to {newer - 1}; use"):
            way(path)


def test_where_no_ledger_can_be_the_message_says_so(path: Path) -> None:
    """No file, no folder, a folder, an empty file: each with what to do, and nothing is made."""
    missing = path.with_name("nowhere.db")
    for asked in (lambda: EmbeddedLedger(missing, create=False), lambda: EmbeddedReader(missing)):
        with pytest.raises(NotALedgerError, match=r"no ledger at .*; make one"):
            asked()
    assert not missing.exists()
    with pytest.raises(NotALedgerError, match=r"no folder .*; make it"):
        EmbeddedLedger(path.parent / "nowhere" / "ledger.db")
    with pytest.raises(NotALedgerError, match="is a folder"):
        EmbeddedLedger(path.parent)
    path.touch()
    with pytest.raises(NotALedgerError, match="is empty"):
        EmbeddedReader(path)
    write(path)
    assert read_all(path) == records(0)


# --- a world that fails ---------------------------------------------------------------------------


def test_a_ledger_held_by_somebody_else_is_busy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the wait, an error that may be tried again; and then it works."""
    write(path)
    monkeypatch.setattr(ledger_file, "BUSY_MS", 50)
    with EmbeddedLedger(path) as ledger, closing(sqlite3.connect(path)) as holder:
        lease = ledger.acquire("a")
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerBusyError, match="while appending; try again"):
            ledger.append(lease, SIZE, batch(1))
        with pytest.raises(LedgerBusyError, match="while taking its lease"):
            ledger.acquire("b")
        assert list(scan(ledger)) == records(0)
        holder.execute("ROLLBACK")
        assert ledger.append(lease, SIZE, batch(1)) == 2 * SIZE


def test_a_full_disk_leaves_whole_batches_and_a_ledger_that_goes_on(path: Path) -> None:
    """The batch that found no room is not there; with room again, the same handle appends it."""
    large = Batch([os.urandom(40_000) for _ in range(SIZE)], rejected=())
    with EmbeddedLedger(path) as ledger:
        lease = ledger.acquire("a")
        ledger.append(lease, 0, batch(0))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            with pytest.raises(
                LedgerStorageError, match=r"ledger\.db: .* while appending; .*reopen"
            ):
                ledger.append(lease, SIZE, large)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert list(scan(ledger)) == records(0)
        assert ledger.append(lease, SIZE, large) == 2 * SIZE
    assert read_all(path) == [*records(0), *large.records]
