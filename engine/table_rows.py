# SPDX-License-Identifier: Apache-2.0
"""Bringing the job table up to date: only when somebody is about to read it, only for what changed.

A fold that nobody plans from, such as a replay, never pays for it.
"""

from engine.job_state import JobState
from engine.phases import WAITING
from engine.state import State
from engine.tables import IntArray, JobDetail, JobTable
from schemas.reasons import Reason

REASON_CODE = {reason.value: code for code, reason in enumerate(Reason)}
"""A reason as the small integer that stands for it in the job table."""


def current_rows(state: State) -> IntArray:
    """Return the job table's rows, brought up to date, free ones included: int64[rows, columns]."""
    for job in state.stale:
        _write_row(state, state.jobs[job])
    state.stale.clear()
    return state.job_table.values[: len(state.job_table.details)]


def current_table(state: State) -> JobTable:
    """Return the job table, brought up to date."""
    current_rows(state)
    return state.job_table


def _write_row(state: State, job: JobState) -> None:
    """Bring a job's row up to date; a job that is over leaves the table."""
    table = state.job_table
    if job.ended:
        if job.row >= 0:
            table.remove(job.row)
            job.row = -1
        return
    if job.row < 0:
        job.row = table.add()
    table.details[job.row] = JobDetail(
        job.id,
        job.spec,
        job.attempt,
        job.resize_number,
        job.checkpoint,
        job.slices,
        job.reason,
    )
    claim = job.claim
    placed = job.slices or (claim.slices if claim is not None else ())
    pool = int(state.node_table.place[state.nodes[placed[0].node].row, 1]) if placed else -1
    workers = job.workers or (claim.workers if claim is not None else 0)
    table.note(job.row, waits=job.phase in WAITING, could_grow=workers < job.spec.workers_max)
    # In the order of JOB_COLUMNS; one assignment is several times faster than one per column.
    table.values[job.row] = (
        job.position,
        job.tier,
        job.team_index,
        job.kind_index,
        job.phase,
        job.priority,
        job.worker_milli,
        job.spec.workers_min,
        job.spec.workers_max,
        workers,
        pool,
        job.work,
        job.work_since_ms,
        job.progress_milli,
        job.phase_since_ms,
        job.first_started_ms,
        job.moves,
        job.spec.checkpoint_mib,
        job.breach_ms,
        job.resize is not None,
        job.cancelled,
        REASON_CODE[job.reason],
    )
