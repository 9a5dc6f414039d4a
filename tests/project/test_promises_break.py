# SPDX-License-Identifier: Apache-2.0
"""Every promise of the design that needs no broker has a test that fails when it is broken."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project.broken_promises import BREAKS, Break, Edit
from tests.project.sources import ROOT

_LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "out", "data", "node_modules")
_FAILED = 1
"""pytest's own code for tests that ran and failed; others mean that they could not run."""

every_break = pytest.mark.parametrize("broken", BREAKS, ids=lambda b: f"{b.promise}: {b.how}")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project to break, in which one unbroken run has compiled what is compiled."""
    place = tmp_path_factory.mktemp("copy") / "singlepool"
    shutil.copytree(ROOT, place, ignore=_LEFT_OUT)
    traces = "streams/traces/data"
    shutil.copytree(ROOT / traces, place / traces)
    return place


@pytest.fixture
def broken_copy(copy: Path, broken: Break) -> Iterator[Path]:
    """The copy, broken in one way for one test."""
    whole = {edit.file: (copy / edit.file).read_text() for edit in broken.edits}
    for edit in broken.edits:
        path = copy / edit.file
        path.write_text(edited(path.read_text(), edit))
    yield copy
    for name, text in whole.items():
        (copy / name).write_text(text)


def edited(text: str, edit: Edit) -> str:
    """A file's text with one edit made."""
    assert text.count(edit.text) == 1, f"{edit.file} no longer has once: {edit.text}"
    return text.replace(edit.text, edit.instead)


def run(place: Path, test: str) -> int:
    """Run one test in a copy and return pytest's exit code."""
    program = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    done = subprocess.run(program, cwd=place, capture_output=True, check=False)
    return done.returncode


@every_break
def test_each_break_can_still_be_made(broken: Break) -> None:
    """What an edit takes out stands where it is said to stand, once, and the test is there."""
    for name in {edit.file for edit in broken.edits}:
        text = (ROOT / name).read_text()
        for edit in broken.edits:
            if edit.file == name:
                text = edited(text, edit)
    file, _, test = broken.test.partition("::")
    assert f"def {test}(" in (ROOT / file).read_text() if test else (ROOT / file).exists()


def test_all_promises_are_there() -> None:
    """The eight promises of the design, each broken at least once."""
    assert {broken.promise.split()[0] for broken in BREAKS} == set("12345678")


@pytest.mark.long
def test_without_a_break_the_tests_pass(copy: Path) -> None:
    """The tests that have to notice a break see none in a copy that has none."""
    for test in sorted({broken.test for broken in BREAKS}):
        assert run(copy, test) == 0, test


@pytest.mark.long
@every_break
def test_a_broken_promise_is_noticed(broken: Break, broken_copy: Path) -> None:
    """Break a promise on purpose: the test that guards it fails."""
    assert run(broken_copy, broken.test) == _FAILED
