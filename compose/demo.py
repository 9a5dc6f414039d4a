# SPDX-License-Identifier: Apache-2.0
"""`singlepool demo`: a real training trace through the whole loop, twice.

Fenced by team, and as one pool.
"""

import multiprocessing
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from analytics.database import open_history
from analytics.figures import Run, before_and_after, write_html, write_png
from analytics.query import ask
from analytics.tables import Grid, Output, render, show
from compose.places import DEFAULT_HOME, RunFolder
from compose.run import RunReport, RunSpec, perform
from streams.play import Progress as PlayProgress
from streams.traces.philly import EPOCH_MS

_MODES = ("fenced", "pool")
_EVERY_S = 0.2
_DAY_MS = 86_400_000

EXAMPLES = (
    (
        "Which teams waited longest for their first start?",
        (
            "SELECT team, count(*) AS jobs, round(avg(wait_ms) / 1000) AS mean_wait_s FROM jobs "
            "GROUP BY team ORDER BY mean_wait_s DESC LIMIT 5"
        ),
    ),
    (
        "Who was displaced most, and did it get its device time all the same?",
        (
            "SELECT job, tier, moves, round(suspended_ms / 3600000.0, 1) AS suspended_h, "
            "round(device_fraction, 3) AS device_fraction "
            "FROM jobs ORDER BY moves DESC, job LIMIT 5"
        ),
    ),
    (
        "What did the planner do, and how near the best was it?",
        (
            "SELECT full_solve, count(*) AS cycles, sum(launches) AS launches, "
            "sum(suspensions) AS suspensions, round(avg(gap_percent), 3) AS mean_gap_percent "
            "FROM plans GROUP BY full_solve ORDER BY full_solve"
        ),
    ),
)


def demo(
    *,
    days: str = "21-34",
    home: Path = DEFAULT_HOME / "demo",
    verify_one_in: Annotated[int, Parameter(help="re-plan one cycle in so many; 1: all")] = 20,
    output: Output = Output.TABLE,
) -> None:
    """Play Microsoft's Philly trace fenced by team and as one pool, and compare.

    Parameters
    ----------
    days: first and last day of the trace, 21-34 (two weeks) by default, 21-62 for all six weeks.
    home: where ledgers, archives and pictures go; what was there is replaced.
    output: table, or json for every figure as one object.
    """
    first, last = (int(day) for day in days.split("-"))
    console = Console(stderr=output is not Output.TABLE)
    base = RunSpec("", first, last, home, verify_one_in)
    reports = _perform_all([replace(base, mode=m, folder=home / m) for m in _MODES], console)
    pictures = _draw(home, first, last)
    if output is not Output.TABLE:
        sys.stdout.write(_as_json(reports, output))
        return
    _tell(console, reports, home, pictures)


def _as_json(reports: Mapping[str, RunReport], output: Output) -> str:
    modes = tuple(reports)
    grid = Grid(modes, ((*(reports[mode].flat() for mode in modes),),))
    if output is Output.JSON:
        import msgspec  # noqa: PLC0415  # only here

        return (
            msgspec.json.encode(dict(zip(grid.columns, grid.rows[0], strict=True))).decode() + "\n"
        )
    return render(grid, output)


# --- both runs at once --------------------------------------------------------------------------

_channel: "Queue[tuple[str, PlayProgress]] | None" = None


def _attach(channel: "Queue[tuple[str, PlayProgress]]") -> None:
    globals()["_channel"] = channel


def _perform_told(spec: RunSpec) -> RunReport:
    """Perform a run in a process of its own and tell how far it is a few times a second."""
    told = 0.0

    def watch(progress: PlayProgress) -> None:
        nonlocal told
        if _channel is not None and time.monotonic() - told > _EVERY_S:
            told = time.monotonic()
            _channel.put((spec.mode, progress))

    return perform(spec, watch)


def _perform_all(specs: list[RunSpec], console: Console) -> dict[str, RunReport]:
    context = multiprocessing.get_context("spawn")
    channel: Queue[tuple[str, PlayProgress]] = context.Queue()
    with (
        ProcessPoolExecutor(2, context, _attach, (channel,)) as pool,
        Progress(
            TextColumn("{task.description:>8}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} jobs ended"),
            TextColumn("{task.fields[records]:>9,} records"),
            TimeRemainingColumn(),
            console=console,
        ) as bars,
    ):
        tasks = {spec.mode: bars.add_task(spec.mode, total=1, records=0) for spec in specs}

        def follow() -> None:
            while True:
                mode, at = channel.get()
                bars.update(tasks[mode], completed=at.ended, total=at.jobs, records=at.records)

        threading.Thread(target=follow, daemon=True).start()
        futures: dict[str, Future[RunReport]] = {
            spec.mode: pool.submit(_perform_told, spec) for spec in specs
        }
        return {mode: future.result() for mode, future in futures.items()}


# --- what it shows ------------------------------------------------------------------------------


def _draw(home: Path, first: int, last: int) -> tuple[Path, Path]:
    before, after = (open_history(RunFolder(home / mode).archive) for mode in _MODES)
    end_ms = EPOCH_MS + (last + 1) * _DAY_MS
    picture = before_and_after(
        Run("Fenced: each team its own partition", before),
        Run("One pool: partitions become reservations", after),
        title=f"Before and after the single pool: Philly, days {first} to {last}",
        until_ms=end_ms,
    )
    png, html = home / "before-and-after.png", home / "before-and-after.html"
    write_png(picture, png)
    write_html(picture, html)
    return png, html


_ROWS = (
    ("used", "used_percent", "{:.1f} %"),
    ("useful", "useful_percent", "{:.1f} %"),
    ("wait to first start, mean", "wait_mean_h", "{:.3f} h"),
    ("wait to first start, p50", "wait_p50_h", "{:.3f} h"),
    ("wait to first start, p99", "wait_p99_h", "{:.3f} h"),
    ("completion, mean", "completion_mean_h", "{:.3f} h"),
    ("completion, p50", "completion_p50_h", "{:.3f} h"),
    ("completion, p99", "completion_p99_h", "{:.3f} h"),
    ("suspended, mean", "suspended_mean_h", "{:.3f} h"),
    ("moves", "moves", "{:,}"),
    ("lost work", "lost_work_percent", "{:.3f} %"),
    ("jobs that could never run", "never_runnable", "{:,}"),
    ("gap to the bound, mean", "gap_percent", "{:.3f} %"),
    ("events", "events", "{:,}"),
    ("cycles", "cycles", "{:,}"),
    ("seconds", "seconds", "{:.1f}"),
    ("CPU seconds", "cpu_seconds", "{:.1f}"),
    ("plans verified", "plans_verified", "{:,}"),
    ("plans diverged", "plans_diverged", "{:,}"),
)


def comparison(reports: Mapping[str, RunReport]) -> Grid:
    """Return the figures of both runs side by side, a row a figure."""
    flat = {mode: report.flat() for mode, report in reports.items()}
    rows: list[tuple[object, ...]] = [
        (label, *(form.format(flat[mode][name]) for mode in flat)) for label, name, form in _ROWS
    ]
    rows.extend(
        (
            f"device fraction, {tier}",
            *(f"{r.figures.device_fraction.get(tier, 0):.4f}" for r in reports.values()),
        )
        for tier in ("premium", "standard", "basic")
    )
    return Grid(("figure", *reports), tuple(rows), "Fenced by team, and as one pool")


def _tell(
    console: Console, reports: Mapping[str, RunReport], home: Path, pictures: tuple[Path, Path]
) -> None:
    show(comparison(reports), Output.TABLE, console)
    png, html = pictures
    console.print(f"\npicture  {png}\n         {html}")
    for mode, report in reports.items():
        console.print(f"archive  {report.archive}  state digest of {mode}: {report.digest[:16]}")
    history = open_history(RunFolder(home / "pool").archive)
    for question, sql in EXAMPLES:
        console.print(f'\n{question}\n  singlepool query "{sql}"', highlight=False)
        show(ask(history, sql), Output.TABLE, console)
    diverged = sum(report.plans_diverged for report in reports.values())
    if diverged:
        console.print(f"{diverged} plans diverged: see singlepool replay --verify")
        sys.exit(3)
