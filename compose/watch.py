# SPDX-License-Identifier: Apache-2.0
"""Commands that watch an installation on a broker: the ledger as it grows, and who is how far."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from analytics.subjects import subjects
from analytics.tables import Grid, Output, render
from compose.answers import answer
from compose.arguments import Shown, Since
from compose.broker.layout import OPERATOR
from compose.exits import UsageError
from compose.folding import archived
from compose.installation import HERE, Where
from compose.moments import Moment, Position, Time, check_within, written
from compose.places import RunFolder
from compose.serve import SERVED
from schemas.catalogue import BY_EVENT
from schemas.codec import decode_record, event_to_json, open_envelope
from schemas.ledger import LedgerReader, scan
from schemas.ledger import tail as ledger_tail
from schemas.records import Record
from streams.kafka.lag import lags
from streams.kafka.reader import KafkaReader
from streams.kafka.topics import READER
from streams.live.announced import newest
from streams.live.process import told_to_stop

_COLUMNS = ("position", "recorded_at", "type", "job", "node", "event")
_OURS = "singlepool."
_IN_PASSING = 200

_Row = tuple[int, str, str, str | None, str | None, dict[str, object]]


def tail(
    *,
    where: Where = HERE,
    follow: bool = False,
    job: str = "",
    kind: Annotated[str, Parameter(name="--type")] = "",
    since: Since = None,
    lines: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    output: Shown = Output.TABLE,
) -> None:
    """Show the ledger's last records, or those of one job or type, and with --follow what comes.

    Example: singlepool tail --follow --job philly/job-04111@1

    Example: singlepool tail --type verdict_reached --since 2017-09-25T12:00:00Z -o ndjson

    Parameters
    ----------
    follow
        go on as records are committed, until Ctrl+C; not with --output json.
    job
        only records about this job.
    kind
        only records whose type contains this.
    lines
        how many of the last records without --since, --job and --type.
    """
    if follow and output is Output.JSON:
        msg = "one JSON array has an end, and --follow has none: ask for --output ndjson"
        raise UsageError(msg)

    def chosen(datas: Iterable[bytes]) -> list[_Row]:
        records = (decode_record(data) for data in datas)
        rows = (_row(record) for record in records if record is not None)
        return [row for row in rows if job in {"", row[3]} and kind in row[2]]

    with told_to_stop() as told, KafkaReader(where.connection(READER), where.topology()) as ledger:
        start = _start(ledger, since, lines, filtered=bool(job or kind))
        if not follow:
            answer(_grid(chosen(scan(ledger, start)), output), output)
            return
        write = _writer(output)
        for datas in ledger_tail(ledger, start, told.is_set):
            write(chosen(datas))


def _row(record: Record) -> _Row:
    about, _, node = subjects(record.event)
    ce_type = BY_EVENT[type(record.event)].ce_type
    at = written(record.recorded_ms)
    return record.position, at, ce_type, about, node, event_to_json(record.event)


def _start(ledger: LedgerReader, since: Moment | None, lines: int, *, filtered: bool) -> int:
    """Return the position to begin at."""
    head = ledger.head()
    match since:
        case Position(position):
            check_within(since, head, 0)
            return position
        case Time(recorded_ms):
            return _first_since(ledger, head, recorded_ms)
        case None:
            return 0 if filtered else max(0, head - lines)


def _first_since(ledger: LedgerReader, head: int, recorded_ms: int) -> int:
    """Return the first position recorded at a time or after it; recorded time never falls."""
    low, high = 0, head
    while low < high:
        middle = (low + high) // 2
        if open_envelope(ledger.read(middle, 1)[0]).recorded_ms < recorded_ms:
            low = middle + 1
        else:
            high = middle
    return low


def _grid(rows: Sequence[_Row], output: Output) -> Grid:
    if output is not Output.TABLE:
        return Grid(_COLUMNS, tuple(rows))
    cut = [(*row[:2], row[2].removeprefix(_OURS), *row[3:5], _said(row[5])) for row in rows]
    return Grid(_COLUMNS, tuple(cut))


def _said(event: dict[str, object]) -> str:
    """Return an event as far as a person reads it in passing."""
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= _IN_PASSING else f"{text[: _IN_PASSING - 1]}…"


def _writer(output: Output) -> Callable[[Sequence[_Row]], None]:
    """Return what writes rows as they come: a line each, whatever the form."""
    head = True

    def write(rows: Sequence[_Row]) -> None:
        nonlocal head
        text = (
            "".join(_lines(rows)) if output is Output.TABLE else render(_grid(rows, output), output)
        )
        if output is Output.CSV and not head:
            text = text.partition("\n")[2]
        head = False
        sys.stdout.write(text)
        sys.stdout.flush()

    return write


def _lines(rows: Sequence[_Row]) -> Iterator[str]:
    for position, at, ce_type, job, node, event in rows:
        about = job or node or "-"
        yield f"{position:>9}  {at}  {ce_type.removeprefix(_OURS):<28}  {about}  {_said(event)}\n"


def lag(*, where: Where = HERE, home: Path = SERVED, output: Shown = Output.TABLE) -> None:
    """Show who is how far: intake and engine by partition, archive and snapshots by position.

    On a secured broker it takes the operator's certificate, as doctor and rejected do.

    Example: singlepool lag --output json

    Parameters
    ----------
    home
        the run's folder, for how far its archive is.
    """
    answer(lag_grid(where, home), output)


def lag_grid(where: Where, home: Path) -> Grid:
    """Return a row for each consumer and what it consumes.

    It asks as the operator: nobody else may see upstream's topics, what was accepted, and where
    intake's group is.
    """
    at, topology = where.connection(OPERATOR), where.topology()
    kept = newest(at, topology)
    # These before the ledger's head, which goes on meanwhile: nobody is ahead of it.
    followers = {
        "archiver": archived(RunFolder(home).archive),
        "snapshots": kept.position if kept else 0,
    }
    found = lags(at, topology)
    rows: list[tuple[object, ...]] = [
        (r.consumer, r.what, r.partition, r.position, r.end, r.lag) for r in found.rows
    ]
    for name, position in followers.items():
        rows.append((name, "ledger records", None, position, found.head, found.head - position))
    columns = ("consumer", "what", "partition", "position", "end", "lag")
    return Grid(columns, tuple(rows), "who is how far")
