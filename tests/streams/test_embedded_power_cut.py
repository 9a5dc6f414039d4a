# SPDX-License-Identifier: Apache-2.0
"""What a power cut can leave of a ledger's files, and that it opens with every acknowledged batch.

A sync is a promise about bytes: those of the write-ahead log up to the last acknowledged commit are
on the disk, and so is the file below it as the last checkpoint left it. Everything else may be old,
new, or torn by sectors. Each test makes such leftovers and opens them as they are.
"""

import random
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ledger import Batch, scan
from streams.embedded import EmbeddedLedger
from tests.streams.ledger_contract import SIZE, refused

BATCHES = 8
SECTOR = 512
STRIDE = 211  # a prime: cuts fall everywhere in sectors, pages and frames
PAGE_AND_HEADER = 4_096 + 24
LOG_HEADER = 32


class Moment(NamedTuple):
    """The files at the moment at which so many batches were acknowledged."""

    batches: int
    file: bytes
    log: bytes


def made(number: int, size: int = 9) -> Batch:
    """A batch that says which it is, in every part."""
    content = [f"{number}-{i}".encode() * size for i in range(SIZE)]
    return Batch(content, {"in": number + 1}, [refused(number % 256)])


def history(folder: Path, batches: int, size: int = 9) -> Iterator[Moment]:
    """Append batches, and yield the files after each."""
    path = folder / "ledger.db"
    with EmbeddedLedger(path) as ledger:
        lease = ledger.acquire("a")
        for number in range(batches):
            ledger.append(lease, number * SIZE, made(number, size))
            log = path.with_name("ledger.db-wal")
            yield Moment(number + 1, path.read_bytes(), log.read_bytes())


def left(folder: Path, file: bytes, log: bytes, size: int = 9) -> int:
    """Open what a cut left, hold it to whole batches, go on with one more; return how many."""
    path = folder / "left.db"
    path.with_name("left.db-shm").unlink(missing_ok=True)
    path.write_bytes(file)
    path.with_name("left.db-wal").write_bytes(log)
    with EmbeddedLedger(path, create=False) as ledger:
        batches, over = divmod(ledger.head(), SIZE)
        assert over == 0
        assert list(scan(ledger)) == [r for n in range(batches) for r in made(n, size).records]
        assert ledger.consumed().get("in", 0) == len(ledger.rejected(1, 10_000)) == batches
        lease = ledger.acquire("next")
        assert ledger.append(lease, batches * SIZE, made(batches, size)) == (batches + 1) * SIZE
    return batches


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> list[Moment]:
    """A short history whose log was never moved into the file."""
    found = list(history(tmp_path_factory.mktemp("history"), BATCHES))
    assert len({moment.file for moment in found}) == 1
    assert all(after.log.startswith(before.log) for before, after in pairwise(found))
    return found


def test_a_log_cut_anywhere_opens_with_all_that_was_synced(
    moments: list[Moment], tmp_path: Path
) -> None:
    """Whatever the length, what opens is every batch that was whole by then, and no part of one."""
    file, log = moments[-1].file, moments[-1].log
    frames = range(LOG_HEADER, len(log) + 1, PAGE_AND_HEADER)
    edges = {at + by for at in frames for by in (-1, 0, 1)}
    cuts = sorted({c for c in (*range(0, len(log), STRIDE), *edges) if c <= len(log)})
    for cut in cuts:
        whole = sum(len(moment.log) <= cut for moment in moments)
        assert left(tmp_path, file, log[:cut]) == whole


@given(data=st.data())
def test_torn_sectors_after_the_last_sync_lose_nothing_before_it(
    moments: list[Moment], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """While one batch was being written: each of its sectors may be there, missing, or garbage."""
    at = data.draw(st.integers(0, BATCHES - 2), "acknowledged so far")
    synced, writing = moments[at].log, moments[at + 1].log
    states = data.draw(
        st.lists(st.sampled_from(["new", "old", "garbage"]), min_size=99, max_size=99), "sectors"
    )
    log = bytearray(writing)
    for sector, state in zip(range(len(synced), len(log), SECTOR), states, strict=False):
        if state != "new":
            end = min(sector + SECTOR, len(log))
            log[sector:end] = bytes(end - sector) if state == "old" else b"\xa5" * (end - sector)
    found = left(tmp_path_factory.mktemp("torn"), moments[at].file, bytes(log))
    assert found in {at + 1, at + 2}
    assert found == at + 2 or bytes(log) != writing


@given(at=st.integers(0, BATCHES - 1), offset=st.floats(0, 1), bit=st.integers(0, 7))
def test_a_flipped_bit_in_the_log_never_makes_half_a_batch(
    moments: list[Moment],
    tmp_path_factory: pytest.TempPathFactory,
    at: int,
    offset: float,
    bit: int,
) -> None:
    """A device that lies about a bit costs batches from there on, and never tears one."""
    log = bytearray(moments[at].log)
    log[min(int(offset * len(log)), len(log) - 1)] ^= 1 << bit
    assert left(tmp_path_factory.mktemp("flip"), moments[at].file, bytes(log)) <= at + 1


@pytest.fixture(scope="module")
def checkpointed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Moment, bytes]:
    """A moment before the log was moved into the file, and the file after."""
    folder = tmp_path_factory.mktemp("checkpoint")
    *_, last = history(folder, BATCHES)
    after = (folder / "ledger.db").read_bytes()  # the last to close moves the log
    assert not (folder / "ledger.db-wal").exists()
    return last, after


@given(seed=st.integers(0, 2**32), share=st.floats(0, 1))
def test_a_checkpoint_torn_by_sectors_is_done_again(
    checkpointed: tuple[Moment, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    share: float,
) -> None:
    """Cut while the log is moved into the file: any mixture of old and new sectors is repaired."""
    before, after = checkpointed
    draw = random.Random(seed)  # noqa: S311  # chance that repeats
    file = bytearray(before.file.ljust(len(after), b"\0"))
    for sector in range(0, len(after), SECTOR):
        if draw.random() < share:
            file[sector : sector + SECTOR] = after[sector : sector + SECTOR]
    assert left(tmp_path_factory.mktemp("moving"), bytes(file), before.log) == BATCHES


def test_a_log_that_is_written_again_from_its_start_is_safe_too(tmp_path: Path) -> None:
    """After a checkpoint the log is reused: old frames behind new ones never come back to life."""
    size, reused, last = 1_200, 0, None
    for moment in history(tmp_path, 400, size):
        if last is not None and moment.log[:LOG_HEADER] != last.log[:LOG_HEADER]:
            reused += 1
            _check_reused(tmp_path, moment, last, size)
        last = moment
        if reused == 2:
            break
    assert reused == 2


def _check_reused(folder: Path, now: Moment, before: Moment, size: int) -> None:
    """Cut between two moments, the later of which began the log anew."""
    changed = [i for i, (a, b) in enumerate(zip(now.log, before.log, strict=True)) if a != b]
    for cut in range(0, changed[-1] + 2 * SECTOR, 5 * STRIDE):
        log = now.log[:cut] + before.log[cut:]
        assert left(folder, now.file, log, size) in {before.batches, now.batches}
    assert left(folder, now.file, now.log, size) == now.batches


def test_the_copied_files_of_a_running_ledger_are_a_ledger(tmp_path: Path) -> None:
    """Between two appends, a copy of file and log (without the shared memory) is complete."""
    path = tmp_path / "ledger.db"
    with EmbeddedLedger(path) as ledger:
        lease = ledger.acquire("a")
        for number in range(BATCHES):
            ledger.append(lease, number * SIZE, made(number))
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", tmp_path / f"copy.db{suffix}")
    with EmbeddedLedger(tmp_path / "copy.db", create=False) as copy:
        assert copy.head() == BATCHES * SIZE
