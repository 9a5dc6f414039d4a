# SPDX-License-Identifier: Apache-2.0
"""One way to show rows, for every command: a table for people; JSON, NDJSON, CSV for programs."""

import csv
import datetime as dt
import json
import math
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from io import StringIO
from typing import cast

from msgspec import Struct
from rich import box
from rich.console import Console, Group
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_UNBOUNDED = 100_000
"""Width of a table that is read by programs and pagers: rows are never folded."""

_ON_ITS_SIDE = 20
"""So many rows that are too wide for a terminal are shown one below the other, a line a column."""


class Output(StrEnum):
    """How rows are shown."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


class Grid(Struct, frozen=True):
    """Named columns and rows of plain values; `title` is shown above a table only."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    title: str = ""


def show(grid: Grid, output: Output, console: Console) -> None:
    """Write a grid to a console: ruled on a terminal, otherwise exactly the text of `render`."""
    match output:
        case Output.TABLE if console.is_terminal:
            console.print(_turned(grid) if _too_wide(grid, console) else _table(grid, plain=False))
        case _:
            console.file.write(render(grid, output))


def _too_wide(grid: Grid, console: Console) -> bool:
    """Whether a few rows do not fit a terminal's width side by side."""
    if not 0 < len(grid.rows) <= _ON_ITS_SIDE:
        return False
    unbounded = console.options.update(max_width=_UNBOUNDED)
    return Measurement.get(console, unbounded, _table(grid, plain=False)).maximum > console.width


def _turned(grid: Grid) -> Group:
    """Return rows one below the other, a line a column."""
    return Group(
        *(
            _table(
                Grid(("column", "value"), tuple(zip(grid.columns, row, strict=True))), plain=False
            )
            for row in grid.rows
        )
    )


def render(grid: Grid, output: Output) -> str:
    """Return a grid as text that ends in a newline; empty for NDJSON without rows.

    Times are ISO 8601, UTC where no zone is given by the view; what is no number in JSON (NaN,
    infinities) is null.
    """
    match output:
        case Output.TABLE:
            file = StringIO()
            Console(file=file, width=_UNBOUNDED, no_color=True).print(_table(grid, plain=True))
            return "".join(line.rstrip() + "\n" for line in file.getvalue().splitlines())
        case Output.JSON:
            return json.dumps(_objects(grid), ensure_ascii=False, indent=2) + "\n"
        case Output.NDJSON:
            lines = (json.dumps(o, ensure_ascii=False) for o in _objects(grid))
            return "".join(line + "\n" for line in lines)
        case Output.CSV:
            return _csv(grid)


def _objects(grid: Grid) -> list[dict[str, object]]:
    return [
        {name: plain_value(value) for name, value in zip(grid.columns, row, strict=True)}
        for row in grid.rows
    ]


def _csv(grid: Grid) -> str:
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(grid.columns)
    for row in grid.rows:
        writer.writerow([_field(plain_value(value)) for value in row])
    return file.getvalue()


def _field(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def plain_value(value: object) -> object:  # noqa: PLR0911  # one return per kind of value
    """Return a value as JSON knows it."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case dt.timedelta():
            return value.total_seconds()
        case bytes():
            return value.hex()
        case dict():
            items = cast("dict[object, object]", value).items()
            return {str(key): plain_value(item) for key, item in items}
        case list() | tuple():
            return [plain_value(item) for item in cast("Sequence[object]", value)]
        case _:
            return str(value)


def _table(grid: Grid, *, plain: bool) -> Table:
    table = Table(
        title=grid.title or None,
        title_justify="left",
        box=None if plain else box.SIMPLE_HEAD,
        pad_edge=False,
        header_style="bold",
    )
    for at, name in enumerate(grid.columns):
        numeric = _is_numeric([row[at] for row in grid.rows])
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in grid.rows:
        table.add_row(*(Text(_shown(value)) for value in row))
    return table


def _is_numeric(values: Sequence[object]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(
        isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in known
    )


def _shown(value: object) -> str:
    """Return a value as people read it, without digits that mean nothing."""
    match value:
        case None:
            text = ""
        case bool():
            text = "yes" if value else "no"
        case float() | Decimal():
            text = f"{value:,.4g}" if -1 < value < 1 else f"{value:,.2f}"
        case dt.datetime():
            text = value.isoformat(sep=" ", timespec="milliseconds").removesuffix(".000")
        case dict() | list() | tuple():
            text = json.dumps(plain_value(cast("object", value)), ensure_ascii=False)
        case _:
            text = str(plain_value(value))
    return text
