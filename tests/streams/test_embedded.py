# SPDX-License-Identifier: Apache-2.0
"""The embedded ledger: whole batches or nothing, one writer, and damage that is named."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ledger import (
    Batch,
    CorruptLedgerError,
    FencedError,
    NotALedgerError,
    PositionError,
    RejectedEvent,
    scan,
)
from schemas.records import Origin, Published
from streams.embedded import EmbeddedLedger

SIZE = 5


def batch(number: int) -> Batch:
    """A batch whose records say which it is."""
    return Batch([f"{number}-{i}".encode() * 9 for i in range(SIZE)], consumed={"in": number + 1})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a ledger goes."""
    return tmp_path / "ledger.db"


def test_what_was_appended_is_read_in_order_by_another_reader(path: Path) -> None:
    """Positions count from zero and a reader of its own sees every committed batch."""
    with EmbeddedLedger(path) as ledger, EmbeddedLedger(path) as reader:
        lease = ledger.acquire("a")
        for number in range(3):
            assert ledger.append(lease, number * SIZE, batch(number)) == (number + 1) * SIZE
            assert reader.head() == (number + 1) * SIZE
        expected = [record for number in range(3) for record in batch(number).records]
        assert list(scan(reader)) == expected
        assert list(reader.read(4, 2)) == expected[4:6]
        assert reader.consumed() == {"in": 3}


def test_an_older_epoch_appends_nothing(path: Path) -> None:
    """Who lost the lease is fenced, and nothing of its batch is there."""
    with EmbeddedLedger(path) as first, EmbeddedLedger(path) as second:
        old = first.acquire("first")
        first.append(old, 0, batch(0))
        new = second.acquire("second")
        with pytest.raises(FencedError, match="second took the ledger"):
            first.append(old, SIZE, batch(1))
        assert first.head() == SIZE
        assert second.append(new, SIZE, batch(1)) == 2 * SIZE


def test_a_batch_for_another_head_is_refused(path: Path) -> None:
    """A writer that lost track cannot leave a hole or write twice."""
    with EmbeddedLedger(path) as ledger:
        lease = ledger.acquire("a")
        ledger.append(lease, 0, batch(0))
        for position in (0, SIZE + 1):
            with pytest.raises(PositionError, match=f"head is {SIZE}"):
                ledger.append(lease, position, batch(1))


def test_a_changed_record_is_named(path: Path) -> None:
    """One byte changed behind the ledger's back is found, with its position."""
    with EmbeddedLedger(path) as ledger:
        ledger.append(ledger.acquire("a"), 0, batch(0))
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE record SET data = x'00' WHERE position = 3")
    with EmbeddedLedger(path) as ledger, pytest.raises(CorruptLedgerError, match="record 3"):
        list(scan(ledger))


def test_a_missing_record_is_named(path: Path) -> None:
    """A hole in positions is a loss, and is never passed over."""
    with EmbeddedLedger(path) as ledger:
        ledger.append(ledger.acquire("a"), 0, batch(0))
    with sqlite3.connect(path) as raw:
        raw.execute("DELETE FROM record WHERE position = 2")
    with EmbeddedLedger(path) as ledger, pytest.raises(CorruptLedgerError, match="record 2"):
        ledger.read(0, 100)


def test_a_file_of_somebody_else_is_refused(path: Path) -> None:
    """Neither another database nor a text is taken for a ledger, and neither is changed."""
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE theirs (x)")
    with pytest.raises(NotALedgerError, match="another application"):
        EmbeddedLedger(path)
    text = path.with_name("notes.txt")
    text.write_text("not a database, but long enough to be read as one" * 40)
    with pytest.raises(NotALedgerError, match="no ledger"):
        EmbeddedLedger(text)
    with pytest.raises(NotALedgerError, match="there is no ledger"):
        EmbeddedLedger(path.with_name("nowhere.db"), create=False)


@given(cut=st.floats(0, 1))
def test_a_torn_log_opens_with_whole_batches(
    tmp_path_factory: pytest.TempPathFactory, cut: float
) -> None:
    """Cut the write-ahead log anywhere: what opens is a prefix of whole batches."""
    folder = tmp_path_factory.mktemp("torn")
    with EmbeddedLedger(folder / "whole.db") as ledger:
        lease = ledger.acquire("a")
        for number in range(8):
            ledger.append(lease, number * SIZE, batch(number))
        for suffix in ("", "-wal"):
            shutil.copy(folder / f"whole.db{suffix}", folder / f"torn.db{suffix}")
    log = folder / "torn.db-wal"
    with log.open("r+b") as file:
        file.truncate(int(log.stat().st_size * cut))
    try:
        with EmbeddedLedger(folder / "torn.db") as torn:
            records = list(scan(torn))
    except (NotALedgerError, sqlite3.OperationalError):
        return  # cut before the ledger itself was made
    assert len(records) % SIZE == 0
    assert records == [r for n in range(len(records) // SIZE) for r in batch(n).records]


def test_refused_events_and_inbox_are_kept(path: Path) -> None:
    """What was refused can be read again whole, and what was published is polled in order."""
    published = Published("singlepool.job.submitted.v1", b"payload", Origin("1", "somebody"))
    refused = RejectedEvent(published, "conflict", "job", "x", "because", 7)
    with EmbeddedLedger(path) as ledger:
        lease = ledger.acquire("a")
        ledger.append(lease, 0, Batch((), rejected=[refused]))
        assert ledger.rejected(1, 10) == [(1, refused)]
        assert ledger.publish([published, published]) == 2
        assert [event.offset for event in ledger.poll(0, 10)] == [1, 2]
        assert ledger.poll(1, 10)[0].published == published
