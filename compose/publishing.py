# SPDX-License-Identifier: Apache-2.0
"""`singlepool publish`: the events of a file, for want of a client.

To an engine in this process, or, with an option that names a broker, to its topics.
"""

import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

from analytics.archive import Archiver
from analytics.tables import Grid, Output
from compose.answers import answer, answer_object, tell
from compose.arguments import Home, Shown
from compose.exits import Exit, NotFoundError
from compose.installation import HERE, Where
from compose.places import DESK, RunFolder
from engine.policies import POOL
from streams.desk import Desk, Taken
from streams.embedded import EmbeddedReader
from streams.kafka.publisher import Publisher
from streams.kafka.topics import ANYBODY
from streams.publish import Reading, read_file
from streams.sources import ALLOW_ALL


def publish(
    file: Path,
    *,
    home: Home = DESK,
    where: Where = HERE,
    domain: str = ANYBODY.name,
    dry_run: bool = False,
    source: str = "file",
    output: Shown = Output.TABLE,
) -> int:
    """Publish the events of a file to an engine in this process, and show its verdicts.

    A file with a wrong line is not published at all.
    What the engine refuses is kept: singlepool rejected.
    Questions go to the same folder: singlepool queue --home out/desk
    With --bootstrap or --broker they go to the topics of a broker instead.

    Example: singlepool publish events.ndjson --dry-run

    Example: singlepool publish events.ndjson --bootstrap 127.0.0.1:9092

    Parameters
    ----------
    file
        JSON, one event a line or one array of them; docs/events-how-to.md shows the form.
    domain
        the trust domain to publish as, on a broker.
    dry_run
        read and check everything, publish nothing; with --domains also what the domain may say.
    source
        ce_source of the events that name none.
    """
    if not file.exists():
        msg = f"there is no file {file}; docs/events-how-to.md shows what to write into one"
        raise NotFoundError(msg)
    rules = where.topology().domain(domain).rules if where.named else ALLOW_ALL
    reading = read_file(file, source, rules)
    for problem in reading.problems:
        sys.stderr.write(f"{file}:{problem.line}: {problem.sentence}\n")
    if dry_run or reading.problems:
        return _checked(reading, output)
    if where.named:
        return _to_topics(reading, where, domain, output)
    home.mkdir(parents=True, exist_ok=True)
    with open_desk(home) as desk:
        return show_taken(desk, desk.publish(reading.events), home, output)


def _checked(reading: Reading, output: Output) -> int:
    found = {"events_in_order": len(reading.events), "events_wrong": len(reading.problems)}
    answer_object(found, output)
    if reading.problems:
        tell("nothing is published; mend the lines above and publish the file again")
        return Exit.FAILED
    return Exit.DONE


def _to_topics(reading: Reading, where: Where, domain: str, output: Output) -> int:
    """Publish as a trust domain, and say how many events each topic took."""
    connection, topology = where.connection(f"upstream.{domain}"), where.topology()
    with closing(Publisher(connection, topology, domain)) as publisher:
        publisher.publish(reading.events)
        counts = Counter(publisher.topic_of(event) for event in reading.events)
    answer(Grid(("topic", "acknowledged"), tuple(sorted(counts.items()))), output)
    return Exit.DONE


def open_desk(home: Path) -> Desk:
    """Return the engine of a folder. Use as a context manager."""
    return Desk(RunFolder(home).ledger, POOL)


def show_taken(desk: Desk, taken: Taken, home: Path, output: Output) -> int:
    """Archive what was taken in, so that it can be asked about, and show what became of it."""
    folder = RunFolder(home)
    with EmbeddedReader(folder.ledger) as ledger, closing(Archiver(folder.archive)) as archiver:
        archiver.seal(ledger)
    verdicts = desk.verdicts()
    counts = {
        "facts": taken.facts,
        "duplicates": taken.duplicates,
        "parked": len(desk.state.parked),
        "refused": len(taken.refused),
        "ledger_records": taken.head,
    }
    if output is Output.TABLE:
        answer(Grid(tuple(counts), (tuple(counts.values()),)), output)
        if verdicts:
            sys.stdout.write("\n")
            answer(Grid(("job", "phase", "verdict"), verdicts), output)
    else:
        found = [dict(zip(("job", "phase", "verdict"), row, strict=True)) for row in verdicts]
        answer_object({**counts, "verdicts": found}, output)
    for wrong in taken.refused:
        tell(f"refused, {wrong.rejection}: {wrong.field} is {wrong.value}: {wrong.rule}")
    if taken.refused:
        tell(f"kept with what they carried: singlepool rejected --home {home}")
    return Exit.FAILED if taken.refused else Exit.DONE
