# SPDX-License-Identifier: Apache-2.0
"""A run that is killed at any point goes on to the same final digest."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from schemas.ledger import NotALedgerError, scan
from streams.embedded import EmbeddedLedger, EmbeddedReader
from tests.streams.play_small import play

_PATIENCE_S = 60


def kill_at(path: Path, position: int) -> bool:
    """Start a play and kill it with SIGKILL once the ledger has passed a position.

    Returns whether it was killed; a play that ended before has done its work.
    """
    program = [sys.executable, "-m", "tests.streams.play_small", str(path)]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + _PATIENCE_S
        while running.poll() is None and time.monotonic() < deadline:
            if path.exists() and head(path) >= position:
                running.kill()
                return True
            time.sleep(0.002)
    return False


def head(path: Path) -> int:
    """How many records another process sees; none before the file is a ledger."""
    try:
        with EmbeddedReader(path) as ledger:
            return ledger.head()
    except NotALedgerError:
        return 0


def die_and_go_on(folder: Path, deaths: int, seed: int) -> None:
    """Play, die so many times at drawn positions, go on, and compare with a whole run."""
    whole = folder / "whole.db"
    undisturbed = play(whole)
    killed = folder / "killed.db"
    draw = random.Random(seed)  # noqa: S311  # chance that repeats
    drawn = sorted(draw.sample(range(1, undisturbed.head), deaths))
    assert sum(kill_at(killed, position) for position in drawn) > deaths // 2
    resumed = play(killed)
    assert resumed.digest == undisturbed.digest
    assert resumed.head == undisturbed.head
    with EmbeddedLedger(whole) as first, EmbeddedLedger(killed) as second:
        assert list(scan(first)) == list(scan(second))


def test_a_killed_run_goes_on_to_the_same_digest(tmp_path: Path) -> None:
    """Three deaths change no byte of the ledger."""
    die_and_go_on(tmp_path, deaths=3, seed=1)


@pytest.mark.long
def test_twenty_deaths_change_nothing(tmp_path: Path) -> None:
    """Killed at twenty random points, the run ends as if it had never been."""
    die_and_go_on(tmp_path, deaths=20, seed=2)


def test_two_plays_write_the_same_ledger(tmp_path: Path) -> None:
    """Two runs of one workload are equal byte for byte."""
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    assert play(first) == play(second)
    with EmbeddedLedger(first) as one, EmbeddedLedger(second) as other:
        assert list(scan(one)) == list(scan(other))
