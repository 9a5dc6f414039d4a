# SPDX-License-Identifier: Apache-2.0
"""The main job: Microsoft's Philly trace through the whole loop twice, fenced and as one pool."""

import multiprocessing
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.queues import Queue
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from analytics.database import open_history
from analytics.figures import Run, before_and_after, write_html, write_png
from analytics.query import ask
from analytics.tables import Grid, Output
from compose.answers import answer, answer_object, tell
from compose.exits import Exit
from compose.places import POOL_OF_DEMO, RunFolder
from compose.run import RunReport, RunSpec, perform
from streams.play import Progress as PlayProgress
from streams.traces.philly import EPOCH_MS, Mode

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


def play_philly(days: range, home: Path, verify_one_in: int, output: Output) -> int:
    """Play both runs at once, draw the picture, and show all figures."""
    specs = [RunSpec(mode, days, home / mode, verify_one_in) for mode in (Mode.FENCED, Mode.POOL)]
    reports = _perform_all(specs, Console(stderr=True))
    pictures = _draw(home, days)
    match output:
        case Output.TABLE:
            _tell(reports, home, pictures)
        case Output.JSON:
            answer_object({mode: report.flat() for mode, report in reports.items()}, output)
        case _:
            answer(_a_row_a_run(reports), output)
    diverged = sum(report.loop.plans_diverged for report in reports.values())
    if diverged:
        tell(f"{diverged} plans diverged; singlepool replay --verify names the first")
    return Exit.DIVERGED if diverged else Exit.DONE


def _a_row_a_run(reports: Mapping[str, RunReport]) -> Grid:
    flat = {mode: report.flat() for mode, report in reports.items()}
    names = tuple(next(iter(flat.values())))
    rows = tuple((mode, *(figures[name] for name in names)) for mode, figures in flat.items())
    return Grid(("run", *names), rows)


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
            _channel.put((spec.mode.value, progress))

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
            TextColumn("{task.fields[rate]:>7,.0f} records/s, left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ) as bars,
    ):
        tasks = {s.mode.value: bars.add_task(s.mode.value, total=1, rate=0.0) for s in specs}
        started = time.monotonic()

        def follow() -> None:
            while True:
                mode, at = channel.get()
                rate = at.records / (time.monotonic() - started)
                bars.update(tasks[mode], completed=at.ended, total=at.jobs, rate=rate)

        threading.Thread(target=follow, daemon=True).start()
        futures: dict[str, Future[RunReport]] = {
            spec.mode.value: pool.submit(_perform_told, spec) for spec in specs
        }
        return {mode: future.result() for mode, future in futures.items()}


# --- what it shows ------------------------------------------------------------------------------


def _draw(home: Path, days: range) -> tuple[Path, Path]:
    before, after = (open_history(RunFolder(home / mode).archive) for mode in Mode)
    picture = before_and_after(
        Run("Fenced: each team its own partition", before),
        Run("One pool: partitions become reservations", after),
        title=f"Before and after the single pool: Philly, days {days[0]} to {days[-1]}",
        until_ms=EPOCH_MS + days.stop * _DAY_MS,
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


def _tell(reports: Mapping[str, RunReport], home: Path, pictures: tuple[Path, Path]) -> None:
    answer(comparison(reports), Output.TABLE)
    png, html = pictures
    say = sys.stdout.write
    say(f"\npicture  {png}\n         {html}\n")
    for mode, report in reports.items():
        say(f"archive  {report.loop.archive}\n         {mode}'s digest {report.loop.digest[:16]}\n")
    pool = RunFolder(home / Mode.POOL)
    history = open_history(pool.archive)
    where = "" if pool.path == POOL_OF_DEMO else f" --home {pool.path}"
    for question, sql in EXAMPLES:
        say(f'\n{question}\n  singlepool query "{sql}"{where}\n')
        answer(ask(history, sql), Output.TABLE)
