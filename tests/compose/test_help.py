# SPDX-License-Identifier: Apache-2.0
"""Help is quick because it loads little, and it is complete."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from cyclopts import App

from compose.cli import app
from compose.exits import Exit
from tests.compose.conftest import Singlepool

HEAVY = {
    "aiokafka",
    "altair",
    "confluent_kafka",
    "duckdb",
    "faust",
    "google",
    "numba",
    "numpy",
    "ortools",
    "pyarrow",
    "scipy",
    "sqlite3",
    "structlog",
}
COMMANDS = [
    ("demo",),
    ("run",),
    ("up",),
    ("publish",),
    ("rejected", "list"),
    ("rejected", "show"),
    ("rejected", "replay"),
    ("fleet",),
    ("queue",),
    ("job",),
    ("explain",),
    ("query",),
    ("replay",),
    ("archive", "verify"),
    ("doctor",),
    ("tail",),
    ("lag",),
    ("version",),
]
LOADED = """
import json, sys
from compose.cli import run
code = run(["--help"])
json.dump([code, sorted({name.partition(".")[0] for name in sys.modules})], sys.stderr)
"""


def test_the_root_help_loads_nothing_heavy() -> None:
    """No solver, no database, no broker client, no array is imported to list the commands."""
    ended = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    code, loaded = json.loads(ended.stderr)
    assert code == Exit.DONE
    assert not HEAVY & set(loaded)
    for command in COMMANDS:
        assert f" {command[0]} " in ended.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(singlepool: Singlepool, command: tuple[str, ...]) -> None:
    """Its help has a sentence, an example that begins as one would type it, and the forms."""
    ended = singlepool(*command, "--help")
    assert (ended.code, ended.err) == (Exit.DONE, "")
    flat = " ".join(ended.out.split())
    assert f"Example: singlepool {command[0]}" in flat
    assert "--output" in flat
    assert "ndjson" in flat


def commands(group: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, App]]:
    """Every command there is, with its words."""
    for name in group:
        if not name.startswith("-"):
            yield from commands(group[name], (*path, name))
    if group.default_command is not None:
        yield " ".join(path), group


def test_every_option_of_every_command_says_what_it_is() -> None:
    """Nobody has to guess what to give."""
    silent = [
        f"{words} {argument.name}"
        for words, command in commands(app)
        for argument in command.assemble_argument_collection(parse_docstring=True)
        if argument.show and not argument.parameter.help
    ]
    assert silent == []
