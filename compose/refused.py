# SPDX-License-Identifier: Apache-2.0
"""`singlepool rejected`: the events that were refused, and publishing them again after a fix.

They are those of a run's folder, or, with an option that names a broker, those of its topic.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Protocol

from cyclopts import App, Parameter
from msgspec import json

from analytics.tables import Grid, Output
from compose.answers import answer, answer_object, tell
from compose.arguments import Home, Shown
from compose.broker.layout import OPERATOR
from compose.exits import Exit
from compose.installation import HERE, Where
from compose.moments import written
from compose.places import DESK, RunFolder
from compose.publishing import open_desk, show_taken
from schemas.ledger import NoSuchRejectedError, RejectedEvent
from schemas.reasons import WORDING, Rejection
from streams.embedded import EmbeddedReader
from streams.kafka.publisher import NoTopicError, Publisher
from streams.kafka.rejected import RejectedLog
from streams.kafka.topics import ANYBODY, TopologyError
from streams.publish import to_line

_AT_ONCE = 1_000

rejected = App(name="rejected", help="Events that were refused: list, show, publish again.")

Replayed = Annotated[bool, Parameter(name="--all", help="also those that were published again")]


@rejected.default
@rejected.command(name="list")
def list_refused(
    *,
    home: Home = DESK,
    where: Where = HERE,
    everything: Replayed = False,
    output: Shown = Output.TABLE,
) -> None:
    """List the events that were refused, with field, value and rule.

    Example: singlepool rejected list --all --output ndjson

    Example: singlepool rejected list --bootstrap 127.0.0.1:9092
    """
    with _store(home, where) as store:
        kept = _kept(store, everything=everything)
    answer(_short_list(kept) if output is Output.TABLE else _full_list(kept), output)


_Kept = Sequence[tuple[int, RejectedEvent]]


class _Refusals(Protocol):
    """What can be asked of a store of refused events by who only reads it."""

    def rejected(self, start: int, limit: int) -> _Kept:
        """Return up to `limit` refused events, numbered from 1, from number `start` on."""
        ...

    def outstanding(self, start: int, limit: int) -> _Kept:
        """Return the same without those that were published again."""
        ...


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


@contextmanager
def _store(home: Path, where: Where) -> Generator[_Refusals]:
    """Give what keeps the refused events: a folder's ledger, or a broker's topic."""
    if where.named:
        with closing(RejectedLog(where.connection(OPERATOR), where.topology())) as log:
            yield log
        return
    with EmbeddedReader(RunFolder(home).with_ledger().ledger) as ledger:
        yield ledger


def _kept(store: _Refusals, *, everything: bool) -> list[tuple[int, RejectedEvent]]:
    """Return all refused events, or those not yet published again."""
    found: list[tuple[int, RejectedEvent]] = []
    read = store.rejected if everything else store.outstanding
    while part := read(found[-1][0] + 1 if found else 1, _AT_ONCE):
        found.extend(part)
    return found


def _one(store: _Refusals, number: int) -> RejectedEvent:
    """Return a refused event. Raises `NoSuchRejectedError`."""
    found = store.rejected(number, 1) if number > 0 else ()
    if not found or found[0][0] != number:
        msg = f"there is no refused event {number}; see singlepool rejected list --all"
        raise NoSuchRejectedError(msg)
    return found[0][1]


@rejected.command
def show(
    number: int, *, home: Home = DESK, where: Where = HERE, output: Shown = Output.TABLE
) -> None:
    """Show one refused event whole, as a line that can be mended and published.

    Example: singlepool rejected show 3 --output json

    Parameters
    ----------
    number
        its number in the list.
    """
    with _store(home, where) as store:
        event = _one(store, number)
    line = to_line(event.published).decode().rstrip()
    fields: dict[str, object] = {
        "number": number,
        "recorded_at": written(event.recorded_ms),
        "topic": event.topic,
        "rejection": event.rejection,
        "meaning": _meaning(event.rejection),
        "field": event.field,
        "value": event.value,
        "rule": event.rule,
        "event": line if output is Output.TABLE else json.decode(line),
    }
    answer_object(fields, output)


def _meaning(code: str) -> str:
    """Return what a reason says; codes are added at any time, so it may be a newer build's."""
    if code in frozenset(Rejection):
        return WORDING[Rejection(code)]
    return "Another reason, which this build does not know."


@rejected.command(name="replay")
def publish_again(
    *numbers: int,
    home: Home = DESK,
    where: Where = HERE,
    domain: str = ANYBODY.name,
    output: Shown = Output.TABLE,
) -> int:
    """Publish refused events again, byte by byte: after a fix of the world they count.

    One that is refused again gets a new number.

    Example: singlepool rejected replay 3 4

    Parameters
    ----------
    numbers
        their numbers in the list; by default all that were not yet published again, on a broker
        but for those that are not_authorised or belong on no topic of upstream.
    domain
        on a broker, the trust domain of those whose topic is not known: what the engine refused.
        All others go to the topic that they came by.
    """
    with _store(home, where) as store:
        chosen: Sequence[int] = numbers or [n for n, _ in _kept(store, everything=False)]
    if not chosen:
        tell(
            f"no refused event {'there' if where.named else f'in {home}'} is left to publish again"
        )
        return Exit.DONE
    if where.named:
        return _to_broker(chosen, where, domain, output, named=bool(numbers))
    with open_desk(home) as desk:
        return show_taken(desk, desk.replay(chosen), home, output)


def _to_broker(
    chosen: Sequence[int], where: Where, domain: str, output: Output, *, named: bool
) -> int:
    """Publish to upstream's topics; what becomes of it, the engine says later.

    What has no topic or came from somebody who may not say it is left, and counted; where it was
    `named`, the first stops all of it and the second is published. A crash before the mark leaves
    them to be published once more, which has no second effect.
    """
    at, topology = where.connection(OPERATOR), where.topology()
    with (
        closing(RejectedLog(at, topology)) as log,
        closing(Publisher(at, topology, domain)) as publisher,
    ):
        events = {number: _one(log, number) for number in dict.fromkeys(chosen)}
        meant = {n: e for n, e in events.items() if named or not _forbidden(e)}
        placed = _placed(publisher, meant, named=named)
        publisher.put([(topic, meant[number].published) for number, topic in placed.items()])
        if placed:
            log.mark_replayed(list(placed))
    counts = {
        "published": len(placed),
        "left_without_topic": len(meant) - len(placed),
        "left_not_authorised": len(events) - len(meant),
    }
    answer_object(counts, output)
    return Exit.DONE


def _forbidden(event: RejectedEvent) -> bool:
    """Whether who published an event may not say it: once more would be the same."""
    return event.rejection == Rejection.NOT_AUTHORISED


def _placed(
    publisher: Publisher, events: Mapping[int, RejectedEvent], *, named: bool
) -> Mapping[int, str]:
    """Return the topic of each event that has one; of events that were `named`, each must."""
    found: dict[int, str] = {}
    left: list[str] = []
    for number, event in events.items():
        try:
            found[number] = publisher.topic_again(event)
        except (NoTopicError, TopologyError) as error:
            if named:
                raise
            left.append(f"{number}: {error}")
    if left:
        tell(f"left without a topic: {len(left)}, the first of them {left[0]}")
    return found
