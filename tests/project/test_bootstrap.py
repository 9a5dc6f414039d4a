# SPDX-License-Identifier: Apache-2.0
"""The set-up does its work once, and again when what it was made from has changed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.sources import ROOT
from tools.bootstrap import INPUTS, SetUpError, fingerprint, locked_uv, other_index, run

NO_PIP_SETTINGS = [sys.executable, "-c", "raise SystemExit(1)"]
SOME_PIP_SETTINGS = [sys.executable, "-c", ""]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files that decide what an environment holds."""
    for name in INPUTS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", INPUTS)
def test_a_changed_input_asks_for_a_new_environment(project: Path, name: str) -> None:
    """The fingerprint follows every byte of every input, and nothing else."""
    before = fingerprint(project)
    (project / "README.md").write_text("no input")
    assert fingerprint(project) == before
    with (project / name).open("a") as file:
        file.write("\n")
    assert fingerprint(project) != before


def test_uv_comes_in_the_version_and_with_the_hashes_of_the_lock() -> None:
    """The tool that makes the environment is pinned like everything in it."""
    version, hashes = locked_uv(ROOT / "uv.lock")
    assert f'"uv=={version}"' in (ROOT / "pyproject.toml").read_text()
    assert hashes
    assert all(each.startswith("sha256:") for each in hashes)


def test_another_index_is_noticed() -> None:
    """A machine whose pip is told to fetch elsewhere is set up through pip."""
    assert not other_index({}, NO_PIP_SETTINGS)
    assert other_index({"PIP_INDEX_URL": "https://mirror.example/simple"}, NO_PIP_SETTINGS)
    assert other_index({}, SOME_PIP_SETTINGS)


def test_a_failed_step_is_named_with_what_to_do() -> None:
    """The message says which step failed, how, and what helps."""
    with pytest.raises(SetUpError, match="'fetch uv' ended with code 3; look up"):
        run("fetch uv", [sys.executable, "-c", "raise SystemExit(3)"], "look up")


@pytest.mark.parametrize(
    ("python", "says"),
    [("no-such-python", "is not here"), ("./old-python", "is Python 3.9.2")],
)
def test_a_machine_without_a_new_enough_python_is_told_so(
    tmp_path: Path, python: str, says: str
) -> None:
    """`make` stops before any work, and its message names what it found and what to do."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit\nexit 1\n')
    old.chmod(0o755)
    command = ["make", "env", f"PYTHON={python}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert says in done.stderr
    assert "make PYTHON=" in done.stderr
