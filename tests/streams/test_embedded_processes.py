# SPDX-License-Identifier: Apache-2.0
"""Several processes on one ledger file: killed, fenced, reading along, and opening at once."""

import random
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from schemas.ledger import scan, tail
from streams.embedded import EmbeddedLedger, EmbeddedReader
from tests.streams.appender import FENCED, numbered
from tests.streams.ledger_contract import SIZE, records, refused

KILLS = 20
LONGEST_LIFE_S = 0.08
PATIENCE_S = 30
AT_ONCE = 4


@contextmanager
def appender(path: Path) -> Generator[subprocess.Popen[str]]:
    """A process that appends, killed at the end if it still runs."""
    program = [sys.executable, "-m", "tests.streams.appender", str(path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def told(running: subprocess.Popen[str]) -> str:
    """The next line that the process says."""
    assert running.stdout is not None
    return running.stdout.readline().strip()


def rest(running: subprocess.Popen[str]) -> list[str]:
    """All further whole lines, until the process is gone."""
    assert running.stdout is not None
    return [line.strip() for line in running.stdout if line.endswith("\n")]


def check_whole(path: Path, acknowledged: int) -> int:
    """Hold a ledger to whole batches up to the last that was acknowledged; return how many."""
    with EmbeddedReader(path) as ledger:
        batches, over = divmod(ledger.head(), SIZE)
        assert over == 0
        assert batches > acknowledged
        assert list(scan(ledger)) == [r for n in range(batches) for r in records(n)]
        assert dict(ledger.consumed()) == {"in": batches}
        kept = ledger.rejected(1, batches + 1)
        assert [event for _, event in kept] == [refused(n % 256) for n in range(batches)]
    return batches


def test_a_killed_writer_loses_nothing_acknowledged_and_halves_nothing(tmp_path: Path) -> None:
    """After each of twenty kills the ledger holds whole batches, all that were acknowledged.

    Records, offsets and refused events agree, and the next process goes on from there.
    """
    path, draw = tmp_path / "ledger.db", random.Random(3)  # noqa: S311  # chance that repeats
    before = 0
    for _ in range(KILLS):
        with appender(path) as running:
            last = told(running)  # it runs by now, so the kill hits an append
            time.sleep(draw.random() * LONGEST_LIFE_S)
            running.kill()
            last = [last, *rest(running)][-1]
        batches = check_whole(path, int(last))
        assert batches > before
        before = batches


def test_a_second_process_fences_the_first(tmp_path: Path) -> None:
    """The deposed one is told at its next append; all it had acknowledged stays, nothing after."""
    path = tmp_path / "ledger.db"
    with appender(path) as running:
        first = told(running)
        with EmbeddedLedger(path, create=False) as ledger:
            lease = ledger.acquire("second")
            head = ledger.head()
            said = [first, *rest(running)]
            assert running.wait(PATIENCE_S) == 0
            assert said[-1] == FENCED
            assert int(said[-2]) == head // SIZE - 1
            assert ledger.head() == head
            ledger.append(lease, head, numbered(head // SIZE))
    check_whole(path, head // SIZE)


def test_two_writers_that_take_turns_never_mix(tmp_path: Path) -> None:
    """Each of some processes fences the one before; what is there is one sequence of batches."""
    path = tmp_path / "ledger.db"
    with appender(path) as first:
        acknowledged = told(first)
        for _ in range(AT_ONCE):
            with appender(path) as following:
                acknowledged = told(following)
        assert rest(first)[-1] == FENCED
    check_whole(path, int(acknowledged))


def test_a_reader_of_another_process_sees_whole_batches_as_they_come(tmp_path: Path) -> None:
    """Heads that a reader sees beside a running writer are ends of batches; a tail misses none."""
    path, enough = tmp_path / "ledger.db", 200 * SIZE
    seen: list[bytes] = []
    deadline = time.monotonic() + PATIENCE_S
    with appender(path) as running:
        told(running)
        with EmbeddedReader(path) as reader:
            for part in tail(reader, 0, lambda: len(seen) > enough or time.monotonic() > deadline):
                seen.extend(part)
                assert reader.head() % SIZE == 0
    assert len(seen) > enough
    expected = [r for n in range(len(seen) // SIZE + 1) for r in records(n)]
    assert seen == expected[: len(seen)]


def test_many_may_open_a_new_ledger_at_once(tmp_path: Path) -> None:
    """Whoever is first makes it; the others find it made; all get leases of their own."""
    program = (
        "import sys; from pathlib import Path; from streams.embedded import EmbeddedLedger\n"
        "print(flush=True); sys.stdin.readline()\n"
        "for path in sys.argv[1:]:\n"
        "    with EmbeddedLedger(Path(path)) as ledger: print(ledger.acquire('x').epoch)"
    )
    paths = [str(tmp_path / f"{n}.db") for n in range(10)]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(AT_ONCE)
    ]
    for running in started:
        assert told(running) == ""
    epochs = [running.communicate("go\n", PATIENCE_S)[0].split() for running in started]
    assert [running.returncode for running in started] == [0] * AT_ONCE
    for of_one_ledger in zip(*epochs, strict=True):
        assert sorted(of_one_ledger) == ["1", "2", "3", "4"]
