# SPDX-License-Identifier: Apache-2.0
"""The views derive in SQL what the engine folds in Python; both must say the same of every job."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from analytics.audit import read_envelopes
from analytics.database import open_history
from engine.evolve import evolve
from engine.job_state import JobState
from engine.rules import CURRENT_RULES
from engine.state import State
from schemas.codec import decode_record
from schemas.decisions import Slice
from schemas.ledger import LedgerReader
from tests.analytics.ledgers import sealed
from tests.analytics.random_world import RandomWorld

MILLI = 1_000

FROM_VIEWS = """
SELECT job, phase, tier, first_started_ms, ended_ms, suspended_ms, moves, failures,
    useful_device_ms - lost_device_ms, lost_device_ms, due_device_ms, received_device_ms
FROM jobs ORDER BY job
"""


def folded(envelopes: Sequence[bytes]) -> State:
    state = State()
    for envelope in envelopes:
        record = decode_record(envelope)
        assert record is not None
        evolve(state, record)
    return state


def of_fold(job: JobState, now_ms: int) -> tuple[object, ...]:
    """A job's accounts brought up to the end of the history, in the order of `FROM_VIEWS`."""
    job.time.settle(now_ms)
    work = job.work + job.progress_milli * (now_ms - job.work_since_ms)
    return (
        job.id,
        job.phase.name.lower(),
        job.tier.name.lower(),
        job.first_started_ms or None,
        job.ended_ms if job.ended else None,
        job.suspended_ms,
        job.moves,
        job.failures,
        work // MILLI,
        job.lost_work // MILLI,
        job.time.due // MILLI,
        job.time.received // MILLI,
    )


def check(ledger: LedgerReader, folder: Path) -> int:
    """Hold views and fold of a ledger against each other; return how many jobs there are."""
    sealed(ledger, folder)
    state = folded(list(read_envelopes(folder)))
    expected = [of_fold(state.jobs[job], state.now_ms) for job in sorted(state.jobs)]
    with open_history(folder) as history:
        found = history.execute(FROM_VIEWS).fetchall()
        held = history.execute(
            "SELECT job, sum(device_milli) FROM allocations WHERE to_position IS NULL "
            "GROUP BY job ORDER BY job"
        ).fetchall()
    assert found == expected
    assert held == [
        (job.id, sum(len(s.slots) * s.milli for s in holding(job)))
        for _, job in sorted(state.jobs.items())
        if job.slices
    ]
    return len(expected)


def holding(job: JobState) -> Sequence[Slice]:
    """What a job holds: a growing gang its new devices, too, from the order on."""
    growing = job.resize is not None and job.resize.workers > job.workers
    return job.resize.slices if job.resize is not None and growing else job.slices


def agree_on(seed: int, folder: Path) -> None:
    world = RandomWorld(Random(seed), rules=1 + seed % CURRENT_RULES)  # noqa: S311  # a history, not a secret
    for _ in range(400):
        world.step()
    assert check(world.ledger, folder) > 20


@pytest.mark.parametrize("seed", range(10))
def test_on_random_histories_views_and_fold_agree(seed: int, tmp_path: Path) -> None:
    """Phases, times, moves, device time, lost work and holdings agree, under either rules."""
    agree_on(seed, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10, 110))
def test_on_many_random_histories_views_and_fold_agree(seed: int, tmp_path: Path) -> None:
    """The same for a hundred more."""
    agree_on(seed, tmp_path)
