# SPDX-License-Identifier: Apache-2.0
"""The main job on its real input: what it promised, and that every plan of it can be made again.

All of it is a function of trace, policy and code, so it is the same on every machine; seconds are
in the benchmarks.
"""

from pathlib import Path

import pytest

from compose.run import RunReport, RunSpec, perform
from streams.traces.philly import DAYS, SIX_WEEKS, Mode

pytestmark = pytest.mark.long
_HOUR_S = 3_600
_PROMISE = 0.7


@pytest.fixture(scope="module")
def six_weeks(tmp_path_factory: pytest.TempPathFactory) -> RunReport:
    """All six weeks as one pool, every cycle planned again from the archive."""
    folder = tmp_path_factory.mktemp("six-weeks")
    return perform(RunSpec(Mode.POOL, SIX_WEEKS, folder, verify_one_in=1))


def test_two_weeks_keep_what_the_pool_is_for(tmp_path: Path) -> None:
    """Promises to every tier are kept, newcomers wait little, and little is lost for it."""
    report = perform(RunSpec(Mode.POOL, DAYS, tmp_path, verify_one_in=20))
    figures, loop = report.figures, report.loop
    assert figures.wait_mean_h * _HOUR_S <= 300
    assert figures.completion_mean_h * _HOUR_S <= 14_000
    assert figures.useful_percent >= 72.5
    assert figures.lost_work_percent < 0.5
    assert figures.device_fraction["premium"] >= figures.device_fraction["standard"] >= _PROMISE
    assert figures.promise_kept_percent == {"premium": 100, "standard": 100}
    assert figures.never_runnable == 0
    assert loop.plans_diverged == 0 < loop.plans_verified


def test_every_plan_of_six_weeks_can_be_made_again(six_weeks: RunReport) -> None:
    """Verification is clean over the whole ledger, and the archive folds to the play's digest."""
    assert six_weeks.loop.plans_diverged == 0, six_weeks.loop.first_divergence
    assert six_weeks.loop.plans_verified == six_weeks.figures.cycles > 10_000


def test_six_weeks_keep_every_promise(six_weeks: RunReport) -> None:
    """The longer run, which is busier, holds what the shorter does."""
    assert six_weeks.figures.promise_kept_percent == {"premium": 100, "standard": 100}
    assert six_weeks.figures.lost_work_percent < 0.5
