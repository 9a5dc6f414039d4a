# SPDX-License-Identifier: Apache-2.0
"""`singlepool run`: a trace through the whole loop, once."""

from typing import Annotated

from cyclopts import Parameter

from analytics.tables import Output
from compose.answers import answer_object, tell
from compose.arguments import Days, Home, OneIn, Shown
from compose.exits import Exit
from compose.places import DEFAULT_HOME
from compose.progress import progress
from compose.run import RunReport, RunSpec, perform
from streams.play import Progress
from streams.traces.philly import DAYS, Mode

_RUN = DEFAULT_HOME / "run"


def run(
    *,
    mode: Annotated[
        Mode, Parameter(help="each team its own nodes, or all in one pool")
    ] = Mode.POOL,
    days: Days = DAYS,
    home: Home = _RUN,
    verify_one_in: OneIn = 20,
    resume: Annotated[bool, Parameter(help="go on with the run that is there")] = False,
    log: Annotated[bool, Parameter(help="a JSON line per cycle on standard error")] = False,
    output: Shown = Output.TABLE,
) -> int:
    """Play the Philly trace on an embedded ledger, once; an earlier run there is replaced.

    Example: singlepool run --mode fenced --days 21-22 --home out/fenced
    """
    report = _watched(RunSpec(mode, days, home, verify_one_in, resume, log))
    answer_object(report.flat(), output, f"{mode}, days {days[0]} to {days[-1]}")
    if report.loop.plans_diverged:
        tell(f"{report.loop.plans_diverged} plans diverged: {report.loop.first_divergence}")
        return Exit.DIVERGED
    return Exit.DONE


def _watched(spec: RunSpec) -> RunReport:
    """Perform a run and show how many of its jobs have ended; a log of its own needs no bar."""
    if spec.log:
        return perform(spec)
    with progress(spec.mode, 0, "jobs ended") as bar:

        def watch(now: Progress) -> None:
            bar(now.ended, now.jobs)

        return perform(spec, watch)
