# SPDX-License-Identifier: Apache-2.0
"""A run folder made once, and the command line as a caller meets it: code, answer, and the rest."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from compose.cli import run
from compose.places import RunFolder
from compose.run import RunSpec, perform
from streams.traces.philly import Mode

FIRST_DAY = range(21, 22)
"""The first day of the trace: 888 jobs, a second to play."""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and what it wrote where."""

    code: int
    out: str
    err: str


Singlepool = Callable[..., Ended]


@pytest.fixture(scope="session")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One day of Philly in one pool, played, archived and verified; tests only read it."""
    home = tmp_path_factory.mktemp("run")
    perform(RunSpec(Mode.POOL, FIRST_DAY, home, verify_one_in=0))
    assert RunFolder(home).archive.is_dir()
    return home


@pytest.fixture
def singlepool(capsys: pytest.CaptureFixture[str]) -> Singlepool:
    """Return what runs a command in this process and tells how it ended."""

    def call(*arguments: object) -> Ended:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Ended(int(code), said.out, said.err)

    return call
