# SPDX-License-Identifier: Apache-2.0
"""Planning in a thread gives the plan that planning at once would."""

import time
from collections.abc import Generator
from contextlib import closing

import pytest

from engine.planning import plan
from engine.snapshot import Snapshot as Cut
from schemas import jobs
from schemas.errors import InternalError
from streams.live.planner import ThreadPlanner
from tests.engine.stage import Stage, genesis, job

PATIENCE_S = 120


@pytest.fixture
def cut() -> Cut:
    stage = Stage()
    stage.tell(*genesis())
    stage.hear(jobs.JobSubmitted(job("a", 2)), after_ms=60_000)
    pending = stage.host.open_cycle(stage.now_ms)
    assert pending is not None
    return pending.snapshot


@pytest.fixture
def planner() -> Generator[ThreadPlanner]:
    with closing(ThreadPlanner()) as made:
        yield made


def wait(planner: ThreadPlanner) -> object:
    """The plan, once it is there."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        made = planner.finished()
        if made is not None:
            return made
        time.sleep(0.001)
    pytest.fail("no plan came")


def test_a_plan_made_aside_is_the_plan(planner: ThreadPlanner, cut: Cut) -> None:
    """And it is handed over once."""
    assert planner.finished() is None
    planner.begin(cut)
    assert wait(planner) == plan(cut)
    assert planner.finished() is None


def test_one_plan_at_a_time(planner: ThreadPlanner, cut: Cut) -> None:
    """A second that is asked for meanwhile is our bug; after `forget` it is not."""
    planner.begin(cut)
    with pytest.raises(InternalError, match="another is being made"):
        planner.begin(cut)
    planner.forget()
    assert planner.finished() is None
    planner.begin(cut)
    assert wait(planner) == plan(cut)
