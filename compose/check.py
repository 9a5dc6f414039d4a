# SPDX-License-Identifier: Apache-2.0
"""Commands that look at the installation: is everything here as it was meant to be."""

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version

from analytics.audit import verify
from analytics.tables import Grid, Output
from compose.answers import answer, answer_object, tell
from compose.arguments import Home, Shown
from compose.check_broker import OK as _OK
from compose.check_broker import Row as _Row
from compose.check_broker import broker_rows
from compose.exits import Exit
from compose.installation import HERE, Where
from compose.places import POOL_OF_DEMO, RunFolder
from schemas.errors import SinglepoolError
from streams.build import fingerprint
from streams.embedded import EmbeddedReader

_PACKAGES = ("schemas", "solvers", "engine", "streams", "analytics", "compose")
_OLDEST = (3, 11)


def doctor(*, home: Home = POOL_OF_DEMO, where: Where = HERE, output: Shown = Output.TABLE) -> int:
    """Check this installation and a run's folder: Python, libraries, names, ledger, archive.

    With an option that names a broker, that too: which Kafka it is, topics against
    their declaration, clocks, hanging transactions, whether this build can read the ledger, lag.

    Example: singlepool doctor --home out/desk

    Example: singlepool doctor --bootstrap 127.0.0.1:9092 --home out/live
    """
    rows = (_python(), *_libraries(), *_names(), _build(), *_run(RunFolder(home)))
    if where.named:
        rows = (*rows, *broker_rows(where))
    answer(Grid(("what", "found", "verdict"), rows), output)
    wrong = [what for what, _, verdict in rows if verdict != _OK]
    if wrong:
        tell(f"look at {', '.join(wrong)}")
    return Exit.FAILED if wrong else Exit.DONE


def _python() -> _Row:
    good = sys.version_info[:2] >= _OLDEST
    return "python", sys.version.split()[0], _OK if good else "needs 3.11 or newer"


def _libraries() -> Iterator[_Row]:
    """Yield each library, held against what this version is made for."""
    for wanted in requires("singlepool") or ():
        name, _, pinned = wanted.partition("==")
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "none"
        yield name, found, _OK if found == pinned else f"made for {pinned}: make env"


def _names() -> Iterator[_Row]:
    """Yield each of our top-level names, and whether another distribution has it too."""
    owners = packages_distributions()
    for package in _PACKAGES:
        others = sorted(set(owners.get(package, ())) - {"singlepool"})
        if others:
            yield package, ", ".join(others), "two distributions have this name: use .venv"


def _build() -> _Row:
    return "build", fingerprint(), _OK


def _run(folder: RunFolder) -> Iterator[_Row]:
    """Yield how ledger and archive of a folder are; one that does not exist is no fault."""
    if not folder.ledger.exists() and not folder.archive.exists():
        yield "run", f"none in {folder.path}", _OK
    if folder.ledger.exists():
        try:
            with EmbeddedReader(folder.ledger) as ledger:
                yield "ledger", f"{ledger.head():,} records", _OK
        except SinglepoolError as error:
            yield "ledger", str(folder.ledger), str(error)
    if folder.archive.is_dir():
        report = verify(folder.archive)
        verdict = _OK if report.sound else f"{len(report.findings)} damages: archive verify"
        yield "archive", f"{report.records:,} records", verdict


def show_version(*, output: Shown = Output.TABLE) -> None:
    """Show version and build fingerprint; two of one build make the same plans.

    Example: singlepool version --output json
    """
    answer_object({"version": version("singlepool"), "build": fingerprint()}, output)
