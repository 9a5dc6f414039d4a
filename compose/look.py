# SPDX-License-Identifier: Apache-2.0
"""Commands that look at a run's history: the fleet, the queue, one job, any question in SQL."""

from typing import Annotated

from cyclopts import Parameter

from analytics.database import History, open_history
from analytics.query import ask
from analytics.tables import Grid, Output
from compose.answers import answer, answer_object
from compose.arguments import At, Home, Shown
from compose.exits import NotFoundError
from compose.moments import Moment, Position, Time, check_within
from compose.places import POOL_OF_DEMO, RunFolder

_FLEET = """
SELECT region, cluster, sku, count(*) AS nodes, sum(devices)::BIGINT AS devices,
    sum(usable_devices)::BIGINT AS usable, sum(held_milli) / 1000 AS held,
    100.0 * sum(held_milli) / 1000 / nullif(sum(usable_devices), 0) AS held_percent
FROM fleet_at_position($cut) GROUP BY ALL ORDER BY ALL
"""
# A job's reason until a cycle concludes otherwise, as in the fold.
_QUEUE = """
SELECT job, team, tier, phase, since_at,
    if(phase = 'claimed', 'waiting_for_release', coalesce(reason, 'waiting_for_cycle'))
        AS reason,
    (SELECT max(recorded_ms) FROM records WHERE position < $cut) - epoch_ms(since_at) AS waited_ms
FROM jobs_at_position($cut)
WHERE phase IN ('queued', 'suspended', 'claimed') ORDER BY since_at, job
"""
_LIFE = "SELECT * FROM jobs WHERE job = $job"
_SUBMITTED = """
SELECT position, moment(recorded_ms) FROM fact.job_submitted WHERE job_id(job) = $job
"""
_ATTEMPTS = """
SELECT attempt, kind, resume, workers, nodes, ordered_at, started_at, released_at, outcome
FROM attempts WHERE job = $job ORDER BY attempt
"""
_INSIDE = """
SELECT coalesce(max(opened_position), $cut) FROM plans
WHERE opened_position < $cut AND committed_position >= $cut
"""

JobName = Annotated[str, Parameter(help="the job's id: tenant/name@generation")]


def open_run(home: Home) -> History:
    """Return the history of a run. Raises `NoRunError` where there is none."""
    return open_history(RunFolder(home).with_archive().archive)


def cut_of(history: History, at: Moment | None) -> int:
    """Return the position that a moment names, the end where none is named.

    A position inside a cycle's batch means the moment before it: in between, devices are promised
    that nobody holds yet. Raises `NotFoundError` where the history does not reach the moment.
    """
    (records, first_ms), *_ = ask(history, "SELECT records, first_ms FROM history").rows
    end = int(str(records))
    match at:
        case None:
            return end
        case Time(recorded_ms):
            check_within(at, end, int(str(first_ms)))
            found = ask(history, "SELECT cut_at($at)", {"at": recorded_ms})
            return int(str(found.rows[0][0]))
        case Position(position):
            check_within(at, end, int(str(first_ms)))
            return int(str(ask(history, _INSIDE, {"cut": position}).rows[0][0]))


def fleet(*, home: Home = POOL_OF_DEMO, at: At = None, output: Shown = Output.TABLE) -> None:
    """Show the clusters: nodes, devices, and what is held of them.

    Example: singlepool fleet --at 2017-10-01T12:00:00Z
    """
    history = open_run(home)
    answer(ask(history, _FLEET, {"cut": cut_of(history, at)}), output)


def queue(*, home: Home = POOL_OF_DEMO, at: At = None, output: Shown = Output.TABLE) -> None:
    """Show who waits, for how long, and why; who waits longest comes first.

    Example: singlepool queue --at 50000
    """
    history = open_run(home)
    found = ask(history, _QUEUE, {"cut": cut_of(history, at)})
    answer(_for_people(found) if output is Output.TABLE else found, output)


def _for_people(queue: Grid) -> Grid:
    """Return the queue without what a narrow terminal has no room for, waits in words."""
    rows = tuple(
        (job, tier, phase, reason, _lasting(waited_ms))
        for job, _, tier, phase, _, reason, waited_ms in queue.rows
    )
    return Grid(("job", "tier", "phase", "reason", "waits"), rows)


def _lasting(span_ms: object) -> str:
    """Return a span of time in its two largest units."""
    seconds = int(str(span_ms)) // 1000
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours:2} h"
    return f"{hours} h {minutes:2} min" if hours else f"{minutes} min {seconds % 60:2} s"


def job(name: JobName, *, home: Home = POOL_OF_DEMO, output: Shown = Output.TABLE) -> None:
    """Show one job's whole life: its figures, then its attempts.

    Example: singlepool job philly/job-04111@1
    """
    history = open_run(home)
    life = ask(history, _LIFE, {"job": name})
    if not life.rows:
        raise no_such_job(history, name, home)
    fields = dict(zip(life.columns, life.rows[0], strict=True))
    attempts = ask(history, _ATTEMPTS, {"job": name})
    if output is Output.TABLE:
        answer_object(fields, output, name)
        answer(attempts, output)
    else:
        tried = [dict(zip(attempts.columns, row, strict=True)) for row in attempts.rows]
        answer_object({**fields, "tried": tried}, output)


def no_such_job(history: History, name: str, home: Home) -> NotFoundError:
    """Return the error that says when the job came, or where to look for those that there are."""
    later = ask(history, _SUBMITTED, {"job": name}).rows
    if later:
        position, at = later[0]
        return NotFoundError(f"{name} was submitted later, at position {position}, {at} UTC")
    where = "" if home == POOL_OF_DEMO else f" --home {home}"
    ask_for = f"singlepool query 'FROM jobs SELECT job'{where}"
    return NotFoundError(f"there is no job {name!r} in {home}; its jobs: {ask_for}")


def query(sql: str, *, home: Home = POOL_OF_DEMO, output: Shown = Output.TABLE) -> None:
    """Ask the history of a run in SQL.

    Example: singlepool query "SELECT team, avg(wait_ms) FROM jobs GROUP BY team"

    Parameters
    ----------
    sql
        one reading statement; "SELECT * FROM history" is a start, docs/views.md lists the views.
    """
    answer(ask(open_run(home), sql), output)
