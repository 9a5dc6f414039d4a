# SPDX-License-Identifier: Apache-2.0
"""The page of the views, from their own comments.

To write it anew: `python -m analytics.view_page > docs/views.md`.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from duckdb import DuckDBPyConnection

from analytics.catalogue import View, views
from analytics.database import open_history
from analytics.facts import fact_name
from schemas.catalogue import RECORDED

INTRODUCTION = """\
# Views

<!-- Generated from the comments in analytics/views/ by analytics/view_page.py. Do not edit. -->

What `singlepool query` can be asked. Times that end in `_at` are timestamps in UTC, those in `_ms`
milliseconds; `device_milli` is thousandths of a device, `device_ms` milliseconds of one whole
device. A row with `from_position` and `to_position` holds from the one record on, up to but not
with the other. `macro` means that it is called with arguments, `table` that it is computed once,
when the history is opened; the schema `derived` holds the steps between.
"""

FACTS = """\
## Events, typed

One view per event type, with `position`, `recorded_ms`, `cause` and the fields of the event as the
[event catalogue](events.md) has them. Enumerations are numbers there; `tier_name(n)`,
`health_name(n)`, `sku_kind_name(n)`, `io_name(n)`, `span_name(n)` and `api_name(n)` give their
names, and the table `reasons` the meaning of every reason code.

"""

_SAMPLES = {"width_ms": "3600000", "cut": "0", "t": "0"}


def sample_call(view: View) -> str:
    """Return how a view is read from, with harmless arguments where it takes any."""
    name, bracket, arguments = view.signature.partition("(")
    if not bracket:
        return name
    return f"{name}({', '.join(_SAMPLES[a] for a in arguments.rstrip(')').split(', '))})"


def page(history: DuckDBPyConnection) -> str:
    """Return the page; the columns' types are asked of an open history, which may be empty."""
    # What is asked first, the steps between last.
    ordered = sorted(views(), key=lambda view: "." in view.name)
    index = ["| ask | one row per |", "|---|---|", *map(_index_row, ordered)]
    facts = [f"- `fact.{fact_name(entry)}`: {entry.ce_type}" for entry in RECORDED]
    parts = [INTRODUCTION, "\n".join(index) + "\n", *(_section(v, history) for v in ordered)]
    return "\n".join([*parts, FACTS + "\n".join(facts) + "\n"])


def _index_row(view: View) -> str:
    grain = view.grain.removeprefix("One row per ").removeprefix("One row for ").rstrip(".")
    return f"| [`{view.signature}`](#{_anchor(view.signature)}) | {grain} |"


def _section(view: View, history: DuckDBPyConnection) -> str:
    described = history.execute(f"DESCRIBE FROM {sample_call(view)}").fetchall()
    types = {str(name): str(kind) for name, kind, *_ in described}
    lines = [f"## {view.signature}", "", f"*{view.kind}*. {view.grain} {view.about}", ""]
    lines += ["| column | type | says |", "|---|---|---|"]
    lines += [f"| `{c.name}` | {types[c.name]} | {c.comment} |" for c in view.columns]
    return "\n".join(lines) + "\n"


def _anchor(heading: str) -> str:
    return "".join(c for c in heading.lower() if c.isalnum() or c in "_-")


def main() -> None:
    """Write the page to standard output."""
    with TemporaryDirectory() as folder:
        sys.stdout.write(page(open_history(Path(folder))))


if __name__ == "__main__":
    main()
