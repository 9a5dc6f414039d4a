# SPDX-License-Identifier: Apache-2.0
"""`singlepool rejected`: the events that were refused, and publishing them again after a fix."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from msgspec import json

from analytics.tables import Grid, Output
from compose.answers import answer, answer_object, tell
from compose.arguments import Home, Shown
from compose.exits import Exit
from compose.moments import written
from compose.places import DESK, RunFolder
from compose.publishing import open_desk, show_taken
from schemas.ledger import NoSuchRejectedError, RejectedEvent
from schemas.reasons import WORDING, Rejection
from streams.embedded import EmbeddedReader
from streams.publish import to_line

_AT_ONCE = 1_000

rejected = App(name="rejected", help="Events that were refused: list, show, publish again.")

Replayed = Annotated[bool, Parameter(name="--all", help="also those that were published again")]


@rejected.default
@rejected.command(name="list")
def list_refused(
    *, home: Home = DESK, everything: Replayed = False, output: Shown = Output.TABLE
) -> None:
    """List the events that were refused, with field, value and rule.

    Example: singlepool rejected list --all --output ndjson
    """
    kept = _kept(home, everything=everything)
    answer(_short_list(kept) if output is Output.TABLE else _full_list(kept), output)


_Kept = Sequence[tuple[int, RejectedEvent]]


def _short_list(kept: _Kept) -> Grid:
    """Return what fits a terminal."""
    rows = tuple(
        (
            number,
            event.published.ce_type.removeprefix("singlepool."),
            event.rejection,
            f"{event.field} is {event.value}: {event.rule}",
        )
        for number, event in kept
    )
    return Grid(("number", "event", "rejection", "why"), rows)


def _full_list(kept: _Kept) -> Grid:
    rows = tuple(
        (
            number,
            written(event.recorded_ms),
            event.published.ce_type,
            event.published.origin.ce_subject,
            event.rejection,
            event.field,
            event.value,
            event.rule,
        )
        for number, event in kept
    )
    about = ("number", "recorded_at", "event", "subject")
    return Grid((*about, "rejection", "field", "value", "rule"), rows)


def _kept(home: Path, *, everything: bool) -> list[tuple[int, RejectedEvent]]:
    """Return all refused events of a folder's ledger, or those not yet published again."""
    found: list[tuple[int, RejectedEvent]] = []
    with EmbeddedReader(RunFolder(home).with_ledger().ledger) as ledger:
        read = ledger.rejected if everything else ledger.outstanding
        while part := read(found[-1][0] + 1 if found else 1, _AT_ONCE):
            found.extend(part)
    return found


@rejected.command
def show(number: int, *, home: Home = DESK, output: Shown = Output.TABLE) -> None:
    """Show one refused event whole, as a line that can be mended and published.

    Example: singlepool rejected show 3 --output json

    Parameters
    ----------
    number: its number in the list.
    """
    with EmbeddedReader(RunFolder(home).with_ledger().ledger) as ledger:
        found = ledger.rejected(number, 1) if number > 0 else ()
    if not found or found[0][0] != number:
        msg = f"there is no refused event {number} in {home}; see singlepool rejected list --all"
        raise NoSuchRejectedError(msg)
    event = found[0][1]
    line = to_line(event.published).decode().rstrip()
    fields: dict[str, object] = {
        "number": number,
        "recorded_at": written(event.recorded_ms),
        "rejection": event.rejection,
        "meaning": WORDING[Rejection(event.rejection)],
        "field": event.field,
        "value": event.value,
        "rule": event.rule,
        "event": line if output is Output.TABLE else json.decode(line),
    }
    answer_object(fields, output)


@rejected.command(name="replay")
def publish_again(*numbers: int, home: Home = DESK, output: Shown = Output.TABLE) -> int:
    """Publish refused events again, byte by byte: after a fix of the world they count.

    One that is refused again gets a new number.

    Example: singlepool rejected replay 3 4

    Parameters
    ----------
    numbers: their numbers in the list; all that were not yet published again by default.
    """
    chosen: Sequence[int] = numbers or [n for n, _ in _kept(home, everything=False)]
    if not chosen:
        tell(f"no refused event in {home} is left to publish again")
        return Exit.DONE
    with open_desk(home) as desk:
        return show_taken(desk, desk.replay(chosen), home, output)
