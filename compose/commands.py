# SPDX-License-Identifier: Apache-2.0
"""The commands that look at a run: what runs, what waits, why, and what was."""

import sys
from pathlib import Path

from rich.console import Console

from analytics.audit import read_envelopes, verify
from analytics.database import History, open_history
from analytics.query import ask
from analytics.tables import Grid, Output, show
from compose.places import DEFAULT_HOME, RunFolder
from compose.run import RunSpec, perform
from compose.run import verify as verify_plans
from engine.digest import Digest
from engine.evolve import evolve, skip
from engine.policies import POOL
from engine.state import State
from schemas.codec import decode_record
from schemas.reasons import WORDING, Reason, Rule
from streams.build import fingerprint
from streams.desk import Desk
from streams.embedded import EmbeddedLedger
from streams.publish import read_file

_FLEET = """
SELECT region, cluster, sku, count(*) AS nodes, sum(devices) AS devices,
    sum(usable_devices) AS usable, sum(held_milli) / 1000 AS held
FROM fleet_at($at) GROUP BY ALL ORDER BY ALL
"""
_QUEUE = """
SELECT job, team, tier, phase, reason, since_at FROM jobs_at($at)
WHERE phase IN ('queued', 'suspended', 'claimed') ORDER BY since_at, job
"""
_ATTEMPTS = """
SELECT attempt, kind, resume, workers, nodes, ordered_at, started_at, released_at, outcome
FROM attempts WHERE job = $job ORDER BY attempt
"""
_VERDICT = "SELECT phase, reason FROM jobs_at($at) WHERE job = $job"
_PLACED = {"starting", "running"}

POOL_OF_DEMO = DEFAULT_HOME / "demo" / "pool"
_NOT_FOUND, _DIVERGED = 4, 3


def _show(grid: Grid, output: Output) -> None:
    show(grid, output, Console())


def run(
    *,
    mode: str = "pool",
    days: str = "21-34",
    home: Path = DEFAULT_HOME / "run",
    verify_one_in: int = 20,
    resume: bool = False,
    log: bool = False,
    output: Output = Output.TABLE,
) -> None:
    """Play the Philly trace on an embedded ledger, once.

    Parameters
    ----------
    mode: pool or fenced.
    days: first and last day of the trace.
    home: the run's folder; an earlier run there is replaced, or gone on with by --resume.
    verify_one_in: re-plan one cycle in so many.
    log: write a JSON line per cycle to standard error.
    """
    first, last = (int(day) for day in days.split("-"))
    report = perform(RunSpec(mode, first, last, home, verify_one_in, resume, log))
    rows = tuple((name, value) for name, value in report.flat().items())
    if output is Output.TABLE:
        _show(Grid(("figure", mode), rows), output)
    else:
        _show(Grid(tuple(report.flat()), (tuple(report.flat().values()),)), output)


def query(sql: str, *, home: Path = POOL_OF_DEMO, output: Output = Output.TABLE) -> None:
    """Ask the history of a run in SQL.

    Parameters
    ----------
    sql: one reading statement; `SELECT * FROM history` is a start, docs/views.md lists the views.
    home: the run's folder.
    """
    _show(ask(open_history(RunFolder(home).existing().archive), sql), output)


def _moment(history: History, at: int | None) -> int:
    """Return a recorded time in milliseconds: the one asked for, or the end of the history."""
    if at is not None:
        return at
    return int(str(ask(history, "SELECT last_ms FROM history").rows[0][0]))


def fleet(
    *, home: Path = POOL_OF_DEMO, at: int | None = None, output: Output = Output.TABLE
) -> None:
    """Show the clusters: nodes, devices, and what is held of them.

    Parameters
    ----------
    at: recorded time in milliseconds since 1970; the end of the history by default.
    """
    history = open_history(RunFolder(home).existing().archive)
    found = ask(history, _FLEET, {"at": _moment(history, at)})
    _show(found, output)


def queue(
    *, home: Path = POOL_OF_DEMO, at: int | None = None, output: Output = Output.TABLE
) -> None:
    """Show who waits, for how long, and why.

    Parameters
    ----------
    at: recorded time in milliseconds since 1970; the end of the history by default.
    """
    history = open_history(RunFolder(home).existing().archive)
    found = ask(history, _QUEUE, {"at": _moment(history, at)})
    _show(found, output)


def job(name: str, *, home: Path = POOL_OF_DEMO, output: Output = Output.TABLE) -> None:
    """Show one job's whole life: its figures, then its attempts.

    Parameters
    ----------
    name: the job's id, tenant/name@generation.
    """
    history = open_history(RunFolder(home).existing().archive)
    life = ask(history, "SELECT * FROM jobs WHERE job = $job", {"job": name})
    if not life.rows:
        _no_such_job(name)
    if output is not Output.TABLE:
        _show(life, output)
        return
    pairs = tuple(zip(life.columns, life.rows[0], strict=True))
    _show(Grid(("field", "value"), pairs, name), output)
    _show(ask(history, _ATTEMPTS, {"job": name}), output)


def _no_such_job(name: str) -> None:
    hint = 'singlepool query "SELECT job FROM jobs"'
    sys.stderr.write(f"singlepool: no job {name!r} in this history; try {hint}\n")
    sys.exit(_NOT_FOUND)


def explain(
    name: str, *, home: Path = POOL_OF_DEMO, at: int | None = None, output: Output = Output.TABLE
) -> None:
    """Say why a job ran or waited at a moment, and what would unblock it.

    Parameters
    ----------
    name: the job's id, tenant/name@generation.
    at: recorded time in milliseconds since 1970; the end of the history by default.
    """
    history = open_history(RunFolder(home).existing().archive)
    found = ask(history, _VERDICT, {"at": _moment(history, at), "job": name})
    if not found.rows:
        _no_such_job(name)
    phase = str(found.rows[0][0])
    code = str(found.rows[0][1] or (Reason.PLACED if phase in _PLACED else phase))
    sentence = WORDING[Reason(code)] if code in set(Reason) else f"It is {phase}."
    rows: list[tuple[object, ...]] = [("phase", phase), ("reason", code), ("why", sentence)]
    if code == Reason.NEVER_FITS:
        rows.extend(_excluded(name, home))
    _show(Grid(("what", "says"), tuple(rows), name), output)


def _excluded(name: str, home: Path) -> list[tuple[object, ...]]:
    """Return which rule excludes how many nodes, from the verdict on the ledger."""
    state = _fold(home, None)
    job_state = next((j for j in state.jobs.values() if j.id == name), None)
    if job_state is None or state.policy is None:
        return []
    from engine.planning.eligibility import exclusions  # noqa: PLC0415  # only for such a job
    from engine.snapshot import cut  # noqa: PLC0415  # as above

    found = exclusions(cut(state, state.now_ms), job_state.kind_index)
    return [(f"{e.nodes} nodes", WORDING[Rule(e.rule)]) for e in found]


def _fold(home: Path, to: int | None) -> State:
    state = State()
    for data in read_envelopes(RunFolder(home).existing().archive):
        if to is not None and state.head >= to:
            break
        record = decode_record(data)
        if record is None:
            skip(state)
        else:
            evolve(state, record)
            state.directives.clear()
    return state


def publish(
    file: Path,
    *,
    home: Path = DEFAULT_HOME / "desk",
    dry_run: bool = False,
    source: str = "file",
    output: Output = Output.TABLE,
) -> None:
    """Publish the events of a file to an engine in this process, and show its verdicts.

    Parameters
    ----------
    file: JSON, one event a line or one array of them; docs/events-how-to.md shows the form.
    home: the run's folder; a ledger is made there if there is none.
    dry_run: read and check everything, publish nothing.
    source: ce_source of the events that name none.
    """
    reading = read_file(file, source)
    for problem in reading.problems:
        sys.stderr.write(f"line {problem.line}: {problem.sentence}\n")
    if dry_run or reading.problems:
        good, bad = len(reading.events), len(reading.problems)
        _show(Grid(("events in order", "events refused"), ((good, bad),)), output)
        sys.exit(1 if bad else 0)
    home.mkdir(parents=True, exist_ok=True)
    with Desk(RunFolder(home).ledger, POOL) as desk:
        taken = desk.publish(reading.events)
        counted = (taken.facts, taken.duplicates, len(taken.refused), taken.head)
        _show(Grid(("facts", "duplicates", "refused", "ledger records"), (counted,)), output)
        for wrong in taken.refused:
            sys.stderr.write(f"{wrong.rejection}: {wrong.field} is {wrong.value}: {wrong.rule}\n")
        if output is Output.TABLE and desk.verdicts():
            _show(Grid(("job", "phase", "verdict"), desk.verdicts()), output)


def rejected(*, home: Path = DEFAULT_HOME / "desk", output: Output = Output.TABLE) -> None:
    """List the events that were refused, with field, value and rule."""
    with EmbeddedLedger(RunFolder(home).existing().ledger, create=False) as ledger:
        rows = tuple(
            (number, e.published.ce_type, e.rejection, e.field, e.value, e.rule)
            for number, e in ledger.rejected(1, 10_000)
        )
    _show(Grid(("number", "event", "rejection", "field", "value", "rule"), rows), output)


def replay(
    *,
    home: Path = POOL_OF_DEMO,
    to: int | None = None,
    verify: bool = False,
    one_in: int = 1,
    output: Output = Output.TABLE,
) -> None:
    """Fold a run's archive again, to the end or to a position; with --verify, plan again as well.

    Parameters
    ----------
    to: position to stop before.
    verify: re-plan committed plans and name the first that differs.
    one_in: with --verify, one cycle in so many.
    """
    if verify:
        checked = verify_plans(RunFolder(home).existing().archive, one_in)
        rows: tuple[tuple[object, ...], ...] = (
            ("records", checked.records),
            ("cycles", checked.cycles),
            ("plans equal, same build", checked.same_build - checked.diverged),
            ("plans checked, other build", checked.other_build),
            ("plans diverged", checked.diverged),
            ("first divergence", str(checked.first or "")),
            ("state digest", checked.digest.hex()),
        )
        _show(Grid(("check", "result"), rows), output)
        if checked.diverged:
            sys.exit(_DIVERGED)
        return
    state = _fold(home, to)
    rows = (
        ("position", state.head),
        ("recorded_ms", state.now_ms),
        ("jobs", len(state.jobs)),
        ("live jobs", sum(1 for _ in state.live_jobs())),
        ("cycles", state.memory.cycle),
        ("state digest", Digest().update(state).hex()),
    )
    _show(Grid(("what", "value"), rows), output)


def archive_verify(*, home: Path = POOL_OF_DEMO, output: Output = Output.TABLE) -> None:
    """Check every byte of a run's archive against its hash chain."""
    report = verify(RunFolder(home).existing().archive)
    rows = tuple((str(f.damage), f.name, f.detail) for f in report.findings)
    if rows:
        _show(Grid(("damage", "where", "what"), rows), output)
        sys.exit(_DIVERGED)
    _show(Grid(("archive", "records"), ((str(home), report.records),)), output)


def doctor(*, home: Path = POOL_OF_DEMO, output: Output = Output.TABLE) -> None:
    """Check this installation: Python, libraries, solver, and the run's folder."""
    from importlib.metadata import version  # noqa: PLC0415  # only here

    rows: list[tuple[object, ...]] = [("python", sys.version.split()[0], "ok")]
    rows.extend(
        (library, version(library), "ok")
        for library in ("ortools", "protobuf", "duckdb", "numpy", "numba", "pyarrow")
    )
    rows.append(("build", fingerprint(), "ok"))
    folder = RunFolder(home)
    there = folder.ledger.exists() or folder.archive.exists()
    rows.append(("run", str(home), "ok" if there else "none yet: singlepool demo makes one"))
    _show(Grid(("what", "found", "verdict"), tuple(rows)), output)


def show_version(*, output: Output = Output.TABLE) -> None:
    """Show version and build fingerprint."""
    from importlib.metadata import version  # noqa: PLC0415  # only here

    _show(Grid(("version", "build"), ((version("singlepool"), fingerprint()),)), output)
