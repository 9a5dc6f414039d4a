# SPDX-License-Identifier: Apache-2.0
"""The same rows in four forms, each as its readers expect it."""

import datetime as dt
import json
import math
from decimal import Decimal
from io import StringIO

import pytest
from rich.console import Console

from analytics.tables import Grid, Output, render, show

WHEN = dt.datetime(2017, 9, 25, 8, 30, 0, 250_000)  # noqa: DTZ001  # DuckDB's TIMESTAMP has no zone
GRID = Grid(
    columns=("job", "at", "share", "nodes", "spare"),
    rows=(
        ("acme/x@1", WHEN, 0.5, ["a", "b"], None),
        ("acme/[y]@1", None, math.nan, [], Decimal(2**70)),
    ),
)


def test_json_is_a_list_of_objects_with_nothing_around_it() -> None:
    """Times are ISO 8601, NaN is null, integers beyond 64 bits stay exact."""
    assert json.loads(render(GRID, Output.JSON)) == [
        {
            "job": "acme/x@1",
            "at": "2017-09-25T08:30:00.250000",
            "share": 0.5,
            "nodes": ["a", "b"],
            "spare": None,
        },
        {"job": "acme/[y]@1", "at": None, "share": None, "nodes": [], "spare": 2**70},
    ]


def test_ndjson_is_the_same_objects_one_a_line() -> None:
    """Each line stands for itself; no rows, no lines."""
    lines = render(GRID, Output.NDJSON).splitlines()
    assert [json.loads(line) for line in lines] == json.loads(render(GRID, Output.JSON))
    assert render(Grid(("a",), ()), Output.NDJSON) == ""


def test_csv_has_a_header_and_json_in_nested_fields() -> None:
    """Empty is empty; lists are quoted JSON."""
    assert render(GRID, Output.CSV).splitlines() == [
        "job,at,share,nodes,spare",
        'acme/x@1,2017-09-25T08:30:00.250000,0.5,"[""a"", ""b""]",',
        f"acme/[y]@1,,,[],{2**70}",
    ]


def test_a_table_on_a_pipe_is_plain_and_never_folded() -> None:
    """No rules, no colours, no markup taken from values, however long the rows."""
    wide = Grid(("text",), (("x" * 500,), ("[red]y",)))
    assert render(wide, Output.TABLE).split() == ["text", "x" * 500, "[red]y"]
    assert render(GRID, Output.TABLE).splitlines()[0].split() == list(GRID.columns)


@pytest.mark.parametrize("output", Output)
def test_what_is_shown_on_a_pipe_is_what_is_rendered(output: Output) -> None:
    """A program reads exactly the rendered text."""
    file = StringIO()
    show(GRID, output, Console(file=file))
    assert file.getvalue() == render(GRID, output)


def test_a_table_on_a_terminal_has_rules_and_its_title() -> None:
    """People get a heading that stands out."""
    file = StringIO()
    titled = Grid(GRID.columns, GRID.rows, title="What waits")
    show(titled, Output.TABLE, Console(file=file, force_terminal=True, width=120))
    assert "What waits" in file.getvalue()
    assert "─" in file.getvalue()
