# SPDX-License-Identifier: Apache-2.0
"""The documented views: which there are, in which order they are created, what their comments say.

A view is one `.sql` file whose leading comment is its documentation: what it is, its grain, what
it shows, and a line per column. The comments are put on the views and columns themselves and make
`docs/views.md`.
"""

import re
from functools import cache
from importlib.resources import files
from itertools import takewhile

from msgspec import Struct

from analytics.facts import fact_statements, name_statements

ORDER = (
    "history",
    "events",
    "node_history",
    "nodes",
    "capacity_changes",
    "losses",
    "attempt_orders",
    "resizes",
    "leaving_reports",
    "attempt_slices",
    "attempt_losses",
    "releases",
    "job_tiers",
    "attempts",
    "allocations",
    "progress",
    "phases",
    "waits",
    "lost_work",
    "verdicts",
    "jobs",
    "plans",
    "preemptions",
    "reservations",
    "utilisation_by",
    "utilisation",
    "reservation_use_by",
    "reservation_use",
    "jobs_at_position",
    "jobs_at",
    "fleet_at_position",
    "fleet_at",
)
"""The files of `views/`, each after those that it reads from."""

BASICS = (
    "CREATE SCHEMA fact",
    "CREATE SCHEMA derived",
    "CREATE MACRO moment(ms) AS epoch_ms(ms::BIGINT)",
    "CREATE MACRO job_id(job) AS job.tenant || '/' || job.name || '@' || job.generation",
    # In force at a cut: the record that made it so lies before the cut, the one that ended it not.
    """CREATE MACRO in_force(from_position, to_position, cut) AS
    from_position < cut AND (to_position IS NULL OR to_position >= cut)""",
    # Through text, since an argument may be a number, a timestamp or a literal of either.
    """CREATE MACRO instant_ms(t) AS coalesce(
    try_cast(t::VARCHAR AS BIGINT), epoch_ms(try_cast(t::VARCHAR AS TIMESTAMP)))""",
    """CREATE MACRO cut_at(t) AS
    (SELECT count(*) FROM records WHERE recorded_ms <= instant_ms(t))""",
)
"""What the views are written with."""

_KINDS = ("View", "Table", "Macro")


class Column(Struct, frozen=True):
    """One column and what it holds."""

    name: str
    comment: str


class View(Struct, frozen=True):
    """One documented view, table or macro.

    A table is a view that is computed once, when the history is opened, since many others read
    from it. `signature` is how it is used: `jobs`, `jobs_at(t)`.
    """

    kind: str
    signature: str
    grain: str
    about: str
    columns: tuple[Column, ...]
    statement: str

    @property
    def name(self) -> str:
        """Its name, with schema where it is not the main one."""
        return self.signature.partition("(")[0]

    @property
    def comment(self) -> str:
        """Grain and purpose in one text."""
        return f"{self.grain} {self.about}"


@cache
def views() -> tuple[View, ...]:
    """Return all documented views in the order of their creation."""
    folder = files("analytics") / "views"
    return tuple(parse_view((folder / f"{name}.sql").read_text("utf-8")) for name in ORDER)


def parse_view(text: str) -> View:
    """Return the view that a file holds. Raises `ValueError` where its comment lacks a part."""
    lines = text.splitlines()
    header = [line[2:].strip() for line in takewhile(lambda line: line.startswith("--"), lines)]
    split = header.index("")
    kind, _, signature = header[0].partition(": ")
    label, _, grain = header[1].partition(": ")
    if kind not in _KINDS or label != "Grain":
        msg = f"a view's comment starts with one of {_KINDS}, then Grain:, not {header[:2]}"
        raise ValueError(msg)
    columns = tuple(_column(line) for line in header[split + 1 :])
    statement = "\n".join(lines[len(header) :])
    about = " ".join(header[2:split])
    return View(kind.lower(), signature, _capital(grain), about, columns, statement)


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _column(line: str) -> Column:
    match = re.fullmatch(r"(\w+): (.+)", line)
    if match is None:
        msg = f"a column's comment is written `name: what it holds`, not {line!r}"
        raise ValueError(msg)
    return Column(match[1], match[2])


def statements() -> list[str]:
    """Return all that makes the history's views, over a table `records`."""
    made = [*BASICS, *name_statements(), *fact_statements()]
    for view in views():
        made.append(view.statement)
        made += _comments(view)
    return made


def _comments(view: View) -> list[str]:
    target = "MACRO TABLE" if view.kind == "macro" else view.kind.upper()
    made = [f"COMMENT ON {target} {view.name} IS {_literal(view.comment)}"]
    if view.kind != "macro":
        made += [
            f"COMMENT ON COLUMN {view.name}.{c.name} IS {_literal(c.comment)}" for c in view.columns
        ]
    return made


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
