# SPDX-License-Identifier: Apache-2.0
"""The archiver writes each position exactly once, and what has a name is whole."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec
import pytest

from analytics import parquet
from analytics.archive import Archiver
from analytics.audit import read_envelopes, verify
from analytics.errors import ArchiveDamagedError, ArchiveHeldError, LedgerGapError
from schemas import jobs
from schemas.codec import encode_record
from schemas.errors import UnknownEventError
from schemas.ids import JobId
from schemas.records import Origin, Published
from tests.analytics.ledgers import LedgerBuilder, long_ledger, sealed

_P = ParamSpec("_P")
_R = TypeVar("_R")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_full_segments_are_cut_by_count_and_the_rest_on_demand(tmp_path: Path) -> None:
    """`catch_up` leaves what does not fill a segment to the ledger; `seal` takes it too."""
    ledger = long_ledger(25)
    with closing(Archiver(tmp_path, segment_records=10)) as archiver:
        assert archiver.catch_up(ledger) == 20
        assert archiver.seal(ledger) == 5
        assert archiver.seal(ledger) == 0
    assert names(tmp_path)[1::2] == [
        "000000000000-000000000010.parquet",
        "000000000010-000000000020.parquet",
        "000000000020-000000000025.parquet",
    ]


def test_the_names_alone_say_where_to_go_on(tmp_path: Path) -> None:
    """A new archiver continues where the folder ends, and the ledger comes back as it was."""
    ledger = long_ledger(10)
    sealed(ledger, tmp_path, 4)
    ledger.put(jobs.JobFinished(JobId("acme/long@1"), 1))
    with closing(Archiver(tmp_path, segment_records=4)) as archiver:
        assert archiver.next_position == 10
        assert archiver.seal(ledger) == 1
    assert list(read_envelopes(tmp_path)) == ledger.records
    assert list(read_envelopes(tmp_path, 9)) == ledger.records[9:]
    assert verify(tmp_path).sound


def test_the_same_ledger_makes_the_same_bytes(tmp_path: Path) -> None:
    """Segments depend on the ledger only, not on when or in how many runs they were written."""
    ledger, grown = long_ledger(20), LedgerBuilder()
    sealed(ledger, tmp_path / "at once", 5)
    for record in ledger.records:
        grown.records.append(record)
        with closing(Archiver(tmp_path / "by and by", segment_records=5)) as archiver:
            archiver.catch_up(grown)
    first, second = tmp_path / "at once", tmp_path / "by and by"
    assert names(first) == names(second)
    assert all((first / n).read_bytes() == (second / n).read_bytes() for n in names(first))


def test_a_ledger_with_a_hole_is_refused(tmp_path: Path) -> None:
    """A record at another position than asked for is a loss, not something to archive."""
    ledger = long_ledger(10)
    del ledger.records[7]
    with pytest.raises(LedgerGapError, match="position 8 where 7"):
        sealed(ledger, tmp_path)
    assert verify(tmp_path).segments == 0


def test_an_unknown_event_is_kept_only_where_it_may_be_passed_over(tmp_path: Path) -> None:
    """Unknown and skippable: bytes are kept, data is empty. Otherwise the archiver stops."""
    ledger = long_ledger(8)
    published = Published("singlepool.future.thing.v9", b"\x08\x01", Origin(ce_id="x"))
    ledger.records.append(encode_record(8, 9, published, skippable=True))
    sealed(ledger, tmp_path)
    content = (tmp_path / "000000000000-000000000009.parquet").read_bytes()
    kept = parquet.read(content, ["data", "ce_id", "envelope"]).columns
    assert [kept[name][8] for name in kept] == [None, "x", ledger.records[8]]
    ledger.records.append(encode_record(9, 9, published))
    with pytest.raises(UnknownEventError):
        sealed(ledger, tmp_path)


def test_a_folder_with_a_gap_is_not_continued(tmp_path: Path) -> None:
    """Writing on behind a hole would hide it."""
    ledger = long_ledger(12)
    sealed(ledger, tmp_path, 4)
    (tmp_path / "000000000004-000000000008.parquet").unlink()
    with pytest.raises(ArchiveDamagedError, match="000000000008-000000000012 follows position 4"):
        Archiver(tmp_path)


def test_a_full_disk_leaves_the_archive_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be written has no name; with room again the archiver goes on."""
    ledger = long_ledger(20)
    real = os.fsync
    calls = 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 5:  # within the second segment
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        sealed(ledger, tmp_path, 10)
    monkeypatch.undo()
    report = verify(tmp_path)
    assert (report.sound, report.records) == (True, 10)
    sealed(ledger, tmp_path, 10)
    assert list(read_envelopes(tmp_path)) == ledger.records
    assert not [name for name in names(tmp_path) if name.endswith(".aside")]


_CHILD = """
import sys
from pathlib import Path
import msgspec
from analytics.archive import Archiver

class Ledger:
    records = msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes())
    def head(self):
        return len(self.records)
    def read(self, start, limit):
        return self.records[start : start + limit]

print("ready", flush=True)
Archiver(Path(sys.argv[2]), segment_records=20).seal(Ledger())
"""


def test_killed_at_any_moment_the_archive_is_valid_and_goes_on(tmp_path: Path) -> None:
    """After SIGKILL at random moments what is there is sound, and in the end it is all there."""
    ledger, folder = long_ledger(3000), tmp_path / "archive"
    (tmp_path / "ledger").write_bytes(msgspec.msgpack.encode(ledger.records))
    arguments = [sys.executable, "-c", _CHILD, str(tmp_path / "ledger"), str(folder)]
    moments = random.Random(7)  # noqa: S311  # reproducible moments, not secrets
    reached = [0]
    for _ in range(6):
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as child:  # our own text
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(moments.uniform(0.0, 0.1))
            child.send_signal(signal.SIGKILL)
        report = verify(folder)
        assert report.findings == ()
        reached.append(report.records)
    assert sorted(reached) == reached
    sealed(ledger, folder, 20)
    assert list(read_envelopes(folder)) == ledger.records
    assert verify(folder).sound


def test_a_folder_that_another_archiver_holds_is_left_alone(tmp_path: Path) -> None:
    """What the one that is there has not finished yet is its own, until it lets go."""
    sealed(long_ledger(20), tmp_path, 10)
    with closing(Archiver(tmp_path, segment_records=10)):
        # As they are when a segment is about to get its name.
        (tmp_path / "000000000020-000000000030.json").write_bytes(b"{}")
        (tmp_path / "000000000020-000000000030.parquet.aside").write_bytes(b"whole")
        before = names(tmp_path)
        with pytest.raises(ArchiveHeldError, match=f"another process archives into {tmp_path}"):
            Archiver(tmp_path, segment_records=10)
        assert names(tmp_path) == before
    assert sealed(long_ledger(30), tmp_path, 10) == 10
    assert verify(tmp_path).sound


def test_a_folder_whose_names_are_wrong_is_not_held(tmp_path: Path) -> None:
    """Who could not open an archive is not in the way of whoever mends it."""
    sealed(long_ledger(12), tmp_path, 4)
    (tmp_path / "000000000004-000000000008.parquet").unlink()
    for _ in range(2):
        with pytest.raises(ArchiveDamagedError):
            Archiver(tmp_path)


_HOLDER = """
import sys, time
from pathlib import Path
from analytics.archive import Archiver

archiver = Archiver(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def test_a_process_that_is_killed_lets_go_of_its_folder(tmp_path: Path) -> None:
    """While it lives no other has the folder; it leaves nothing behind to be removed."""
    arguments = [sys.executable, "-c", _HOLDER, str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(ArchiveHeldError):
                Archiver(tmp_path)
        finally:
            holder.kill()
    assert names(tmp_path) == []
    assert sealed(long_ledger(20), tmp_path) == 20


@pytest.mark.parametrize("stop_after", range(1, 7))
def test_every_step_of_writing_a_segment_may_be_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    """A death after any single write, sync or rename is no damage, and nothing is lost by it."""
    ledger = long_ledger(20)
    sealed(as_it_was(ledger, 10), tmp_path, 10)
    steps = 0

    def dying(function: Callable[_P, _R]) -> Callable[_P, _R]:
        def step(*arguments: _P.args, **keywords: _P.kwargs) -> _R:
            nonlocal steps
            steps += 1
            if steps >= stop_after:
                raise KeyboardInterrupt
            return function(*arguments, **keywords)

        return step

    monkeypatch.setattr(os, "fsync", dying(os.fsync))
    monkeypatch.setattr(Path, "rename", dying(Path.rename))
    with pytest.raises(KeyboardInterrupt):
        sealed(ledger, tmp_path, 10)
    monkeypatch.undo()
    assert verify(tmp_path).findings == ()
    sealed(ledger, tmp_path, 10)
    assert list(read_envelopes(tmp_path)) == ledger.records


def as_it_was(ledger: LedgerBuilder, head: int) -> LedgerBuilder:
    """The ledger as a reader saw it earlier."""
    earlier = LedgerBuilder()
    earlier.records = ledger.records[:head]
    return earlier
