# SPDX-License-Identifier: Apache-2.0
"""Snapshots as files: they keep the contract, and neither a crash nor damage yields a wrong one."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.ledger import LedgerStorageError, Snapshot, SnapshotStore, sum_of
from streams.snapshots import SnapshotFolder
from tests.streams.ledger_contract import SnapshotContract

OLD = Snapshot(5, b"old state", sum_of(b"record 4"))
NEW = Snapshot(9, b"new state", sum_of(b"record 8"))


class TestSnapshotFolder(SnapshotContract):
    """Handles are objects of their own on one folder."""

    @pytest.fixture
    def another_store(self, tmp_path: Path) -> Callable[[], SnapshotStore]:
        """One more object."""
        return lambda: SnapshotFolder(tmp_path / "to" / "snapshots")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two snapshots."""
    store = SnapshotFolder(tmp_path)
    store.put(OLD)
    store.put(NEW)
    return tmp_path


def newest(folder: Path) -> Path:
    """The file of the newest snapshot."""
    return max(folder.iterdir())


def test_a_snapshot_damaged_in_any_byte_or_cut_anywhere_is_passed_over(folder: Path) -> None:
    """The older one is found instead: folding on from there is right, if slower."""
    path, whole = newest(folder), newest(folder).read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert SnapshotFolder(folder).latest() == OLD
        path.write_bytes(whole[:at])
        assert SnapshotFolder(folder).latest() == OLD
    path.write_bytes(whole)
    assert SnapshotFolder(folder).latest() == NEW


def test_what_a_crash_left_half_written_is_no_snapshot_and_goes(folder: Path) -> None:
    """Readers leave it alone, as somebody may be writing it; the next snapshot removes it."""
    left = newest(folder).with_suffix(".aside")
    left.write_bytes(b"half")
    store = SnapshotFolder(folder)
    assert store.latest() == NEW
    assert list(store.positions()) == [5, 9]
    assert left.exists()
    store.put(Snapshot(11, b"newer", sum_of(b"record 10")))
    assert not left.exists()


def test_foreign_files_are_left_alone(folder: Path) -> None:
    """A name that is no position is no snapshot."""
    (folder / "notes.snapshot").write_bytes(b"mine")
    (folder / "readme.txt").write_bytes(b"mine")
    assert list(SnapshotFolder(folder).positions()) == [5, 9]


def test_a_snapshot_counts_only_once_it_is_on_the_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the content cannot be synced, the name still stands for the old content.

    If the folder cannot be, `put` says so and does not return as if the snapshot were safe.
    """
    content_failing = _failing(stat.S_ISREG)
    monkeypatch.setattr(os, "fsync", content_failing)
    with pytest.raises(LedgerStorageError, match=r"\.snapshot: broken; look at"):
        SnapshotFolder(folder).put(Snapshot(9, b"other", sum_of(b"record 8")))
    assert SnapshotFolder(folder).latest() == NEW
    monkeypatch.setattr(os, "fsync", _failing(stat.S_ISDIR))
    with pytest.raises(LedgerStorageError):
        SnapshotFolder(folder).put(Snapshot(9, b"other", sum_of(b"record 8")))


def _failing(kind: Callable[[int], bool]) -> Callable[[int], None]:
    """A sync that fails for files of a kind."""

    def fsync(file: int) -> None:
        if kind(os.fstat(file).st_mode):
            raise OSError(5, "broken")

    return fsync


def test_where_no_snapshot_can_be_kept_the_message_says_so(tmp_path: Path) -> None:
    """A file in the folder's place is named, with what to do."""
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(LedgerStorageError, match=r"taken.*look at its permissions"):
        SnapshotFolder(tmp_path / "taken").put(OLD)
