# SPDX-License-Identifier: Apache-2.0
"""What holds for every command: forms of output, exit codes, and who hears what."""

import csv
import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import cast, get_args

import pytest

from compose.broker.commands import BROKER_HOME
from compose.exits import Exit
from compose.serve import PolicyName
from engine.policies import BY_NAME
from tests.compose.conftest import Ended, Singlepool

JOB = "a job of the run"
"""Stands for the id of one."""

LISTS = [
    ("fleet", "--at", "2017-09-25T12:00:00Z"),
    ("query", "SELECT job, wait_ms, first_started_at FROM jobs ORDER BY job LIMIT 3"),
    ("doctor",),
]
OBJECTS = [
    ("job", JOB),
    ("explain", JOB),
    ("replay", "--to", "500"),
    ("replay", "--verify", "--one-in", "50"),
    ("archive", "verify"),
]


def asked_as(value: object) -> str:
    """Return a test's name: the arguments of its command."""
    return " ".join(map(str, cast("tuple[object, ...]", value))) if isinstance(value, tuple) else ""


def parsed(text: str, form: str) -> list[dict[str, object]]:
    """Read a list as a program would, in the form that it asked for."""
    if form == "json":
        found: list[dict[str, object]] = json.loads(text)
        return found
    if form == "ndjson":
        return [json.loads(line) for line in text.splitlines()]
    return [dict(row) for row in csv.DictReader(StringIO(text))]


@pytest.fixture
def ask(singlepool: Singlepool, a_run: Path) -> Singlepool:
    """Return what asks the run a question."""
    first = "FROM jobs SELECT job LIMIT 1"
    name = singlepool("query", first, "--home", a_run, "-o", "csv").out.split()[1]

    def call(*question: str) -> Ended:
        return singlepool(*(name if p == JOB else p for p in question), "--home", a_run)

    return call


@pytest.mark.parametrize("question", LISTS, ids=" ".join)
def test_a_list_is_the_same_rows_in_every_form(ask: Singlepool, question: tuple[str, ...]) -> None:
    """JSON is an array, NDJSON an object a line, CSV a header and a line a row."""
    whole = parsed(ask(*question, "-o", "json").out, "json")
    assert whole
    assert parsed(ask(*question, "-o", "ndjson").out, "ndjson") == whole
    rows = parsed(ask(*question, "-o", "csv").out, "csv")
    assert [list(row) for row in rows] == [list(row) for row in whole]


@pytest.mark.parametrize("form", ["json", "ndjson", "csv"])
@pytest.mark.parametrize("question", OBJECTS, ids=" ".join)
def test_one_object_is_one_object(ask: Singlepool, question: tuple[str, ...], form: str) -> None:
    """A question about one thing is answered by one JSON object, not by a list of one."""
    ended = ask(*question, "-o", form)
    assert (ended.code, ended.err) == (Exit.DONE, "")
    if form == "json":
        assert isinstance(json.loads(ended.out), dict)
    else:
        assert len(parsed(ended.out, form)) == 1


@pytest.mark.parametrize("question", [*LISTS, *OBJECTS, ("queue",)], ids=" ".join)
def test_a_table_on_a_pipe_is_plain_text(ask: Singlepool, question: tuple[str, ...]) -> None:
    """No colour, no rules, no trailing blanks: ASCII where the data is."""
    ended = ask(*question)
    assert (ended.code, ended.err) == (Exit.DONE, "")
    assert ended.out.isascii()
    assert "\x1b" not in ended.out
    assert all(line == line.rstrip() for line in ended.out.splitlines())


def test_commands_about_the_installation_need_no_run(singlepool: Singlepool) -> None:
    """A run that is not there is no fault of the installation."""
    version = json.loads(singlepool("version", "-o", "json").out)
    assert set(version) == {"version", "build"}
    ended = singlepool("doctor", "--home", "nowhere", "-o", "json")
    assert (ended.code, ended.err) == (Exit.DONE, "")
    assert {row["verdict"] for row in json.loads(ended.out)} == {"ok"}


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        (("frobnicate",), Exit.USAGE, 'Unknown command "frobnicate"'),
        (("fleet", "--nonsense"), Exit.USAGE, "--nonsense"),
        (("fleet", "--output", "xml"), Exit.USAGE, "xml"),
        (("fleet", "--at", "yesterday"), Exit.USAGE, "'yesterday' is no moment: give a position"),
        (("fleet", "--at", "-5"), Exit.USAGE, "'-5' is no moment"),
        (("fleet", "--at", "1900-01-01"), Exit.USAGE, "before 1970"),
        (("fleet", "--at", "999999"), Exit.NOT_FOUND, "there is no position 999,999"),
        (("fleet", "--at", "2016-01-01"), Exit.NOT_FOUND, "begins at 2017-09-25T00:00:00Z"),
        (("replay", "--to", "999999"), Exit.NOT_FOUND, "there is no position 999,999"),
        (("replay", "--one-in", "3"), Exit.USAGE, "--verify"),
        (("replay", "--verify", "--one-in", "-3"), Exit.USAGE, "-3"),
        (("job", "acme/nobody@1"), Exit.NOT_FOUND, "singlepool query"),
        (("explain", "acme/nobody@1"), Exit.NOT_FOUND, "singlepool query"),
        (("query", "SELECT nothing FROM jobs"), Exit.USAGE, "nothing"),
        (("query", "DROP TABLE records"), Exit.USAGE, "a query reads"),
    ],
    ids=asked_as,
)
def test_what_cannot_be_answered_ends_in_a_sentence(
    singlepool: Singlepool, a_run: Path, asked: tuple[str, ...], code: Exit, says: str
) -> None:
    """The exit code tells wrong use from not found, and the answer's place stays empty."""
    ended = singlepool(*asked, "--home", a_run)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith("singlepool: ")
    assert says in ended.err


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("demo", "--days", "x"), "'x' names no days: give the first and the last, as in 21-34"),
        (("demo", "--days", "30-21"), "days 30-21 are not in the trace"),
        (("demo", "--days", "1-99"), "it has days 21 to 62"),
        (("demo", "--trace", "borg"), "borg"),
        (("demo", "--trace", "openb", "--days", "21-22"), "--days means nothing to openb"),
        (("demo", "--variant", "cpu100"), "--variant means nothing to philly"),
        (("run", "--mode", "shared"), "shared"),
        (("run", "--days", "21"), "'21' names no days"),
        (("run", "--verify-one-in", "-1"), "-1"),
    ],
    ids=asked_as,
)
def test_a_play_that_has_no_meaning_does_not_begin(
    singlepool: Singlepool, tmp_path: Path, asked: tuple[str, ...], says: str
) -> None:
    """A wrong mode, trace or day is found before anything is written."""
    home = tmp_path / "home"
    ended = singlepool(*asked, "--home", home)
    assert (ended.code, ended.out) == (Exit.USAGE, "")
    assert says in ended.err
    assert not home.exists()


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("engine", "--policy", "nosuch"), "nosuch"),
        (("engine", "--snapshot-every", "0"), "--snapshot-every"),
        (("engine", "--health-port", "65536"), "--health-port"),
        (("archive", "--segment-records", "0"), "--segment-records"),
        (("intake", "--health-port", "-1"), "--health-port"),
        (("player", "--pace", "0,0,1", "--hours", "0"), "--hours"),
    ],
    ids=asked_as,
)
def test_a_process_that_is_told_what_cannot_be_does_not_begin(
    singlepool: Singlepool, tmp_path: Path, asked: tuple[str, ...], says: str
) -> None:
    """The sentence names the option; no broker is asked, though none could answer here."""
    ended = singlepool("serve", *asked, "--broker", tmp_path / "none")
    assert (ended.code, ended.out) == (Exit.USAGE, "")
    assert says in ended.err
    assert "see singlepool serve" in ended.err


@pytest.mark.parametrize("asked", [("doctor",), ("rejected", "list")], ids=" ".join)
def test_the_usual_broker_is_named_by_who_spells_it_out(
    singlepool: Singlepool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: tuple[str, ...],
) -> None:
    """`--broker out/broker` asks about a broker as any other folder does; without it none is."""
    monkeypatch.chdir(tmp_path)
    for folder in (BROKER_HOME, Path("out/elsewhere")):
        ended = singlepool(*asked, "--broker", folder)
        assert f"{folder} holds no broker" in ended.err
    assert "holds no broker" not in singlepool(*asked).err
    helped = " ".join(singlepool(*asked, "--help").out.replace("│", " ").split())
    assert f"the folder of the broker of `broker up` [default: {BROKER_HOME}]" in helped


def test_every_policy_that_comes_with_the_project_can_be_put_in_force() -> None:
    """What `serve engine --policy` takes is what there is."""
    assert set(get_args(PolicyName)) == set(BY_NAME)


@pytest.mark.parametrize(
    "asked",
    [
        ("fleet",),
        ("queue",),
        ("replay",),
        ("archive", "verify"),
        ("rejected",),
        ("rejected", "replay"),
    ],
    ids=" ".join,
)
def test_a_folder_without_a_run_is_not_found(
    singlepool: Singlepool, tmp_path: Path, asked: tuple[str, ...]
) -> None:
    """The message says which command makes a run; nothing is made by looking."""
    ended = singlepool(*asked, "--home", tmp_path / "none")
    assert ended.code == Exit.NOT_FOUND
    assert "singlepool demo" in ended.err or "singlepool publish" in ended.err
    assert not (tmp_path / "none").exists()


def test_a_reader_that_has_gone_ends_a_command_quietly(a_run: Path) -> None:
    """Who pipes into a pager and leaves it sees no traceback."""
    command = [sys.executable, "-m", "compose.cli", "fleet", "--home", str(a_run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # long before the command has anything to write
        assert process.stderr.read() == b""
        assert process.wait() == 128 + 13
