# SPDX-License-Identifier: Apache-2.0
"""What commands take: each kind of argument once, with how it is read and what help says of it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import Parameter, Token
from cyclopts.validators import Number

from analytics.tables import Output
from compose.moments import Moment, parse_moment

_T = TypeVar("_T")
_FIRST_DAY, _LAST_DAY = 21, 62


def _read(parse: Callable[[str], _T]) -> Callable[[type, Sequence[Token]], _T]:
    def convert(_: type, tokens: Sequence[Token]) -> _T:
        return parse(tokens[0].value)

    return convert


def parse_days(text: str) -> range:
    """Return the days from a first to a last one. Raises `ValueError` with a sentence."""
    first, dash, last = text.partition("-")
    if not (first.isdecimal() and last.isdecimal() and dash):
        msg = f"{text!r} names no days: give the first and the last, as in 21-34"
        raise ValueError(msg)
    days = range(int(first), int(last) + 1)
    if not days or days[0] < _FIRST_DAY or days[-1] > _LAST_DAY:
        msg = f"days {text} are not in the trace: it has days {_FIRST_DAY} to {_LAST_DAY}"
        raise ValueError(msg)
    return days


_MOMENT = (
    "position (50000) or recorded time (2017-10-01T12:00:00Z, or milliseconds since 1970); "
    "the end of the history by default"
)

_SINCE = (
    "begin at a position or recorded time; by default with the last records, or at the beginning "
    "where --job or --type asks for some only"
)

Home = Annotated[Path, Parameter(help="the run's folder")]
Shown = Annotated[Output, Parameter(name=["--output", "-o"], help="how the answer is written")]


def _moment(what: str) -> Parameter:
    """Return how an option takes a moment, and says what it is for."""
    return Parameter(
        converter=_read(parse_moment),
        n_tokens=1,
        accepts_keys=False,
        allow_leading_hyphen=True,
        metavar="MOMENT",
        help=what,
    )


At = Annotated[Moment | None, _moment(_MOMENT)]
Since = Annotated[Moment | None, _moment(_SINCE)]
Days = Annotated[
    range,
    Parameter(
        converter=_read(parse_days),
        n_tokens=1,
        accepts_keys=False,
        metavar="FIRST-LAST",
        show_default=lambda days: f"{days[0]}-{days[-1]}" if days else "21-34",
        help=f"first and last day of the trace, within {_FIRST_DAY}-{_LAST_DAY}",
    ),
]
OneIn = Annotated[
    int,
    Parameter(validator=Number(gte=0), help="plan one cycle in so many again; 1: all, 0: none"),
]
