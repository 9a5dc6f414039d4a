# SPDX-License-Identifier: Apache-2.0
"""The demo tells everything that it promises to tell, to people and to programs."""

import json
from pathlib import Path

import pytest

from compose.exits import Exit
from compose.places import RunFolder
from tests.compose.conftest import Singlepool

FIGURES = {
    "used_percent",
    "useful_percent",
    "wait_mean_h",
    "wait_p50_h",
    "wait_p99_h",
    "completion_mean_h",
    "suspended_mean_h",
    "device_fraction",
    "moves",
    "lost_work_percent",
    "never_runnable",
    "gap_percent",
    "events",
    "cycles",
    "seconds",
    "cpu_seconds",
    "digest",
    "plans_verified",
    "plans_diverged",
}


def test_one_run_tells_its_figures(singlepool: Singlepool, tmp_path: Path) -> None:
    """`run` gives one flat object and nothing else, and a run may be gone on with."""
    first = singlepool("run", "--days", "21-21", "--home", tmp_path, "-o", "json")
    assert (first.code, first.err) == (Exit.DONE, "")
    figures = json.loads(first.out)
    assert set(figures) >= FIGURES
    assert 0 < figures["useful_percent"] <= figures["used_percent"] < 100
    assert figures["plans_diverged"] == 0 < figures["plans_verified"]
    again = json.loads(
        singlepool("run", "--days", "21-21", "--home", tmp_path, "--resume", "-o", "json").out
    )
    assert (again["digest"], again["events"]) == (figures["digest"], figures["events"])


@pytest.mark.long
def test_the_philly_demo_tells_both_runs(singlepool: Singlepool, tmp_path: Path) -> None:
    """`fenced` and `pool`, every figure of each, archives to ask, and pictures."""
    ended = singlepool("demo", "--days", "21-22", "--home", tmp_path, "-o", "json")
    assert (ended.code, ended.err) == (Exit.DONE, "")
    both = json.loads(ended.out)
    assert list(both) == ["fenced", "pool"]
    for mode, figures in both.items():
        assert set(figures) >= FIGURES
        assert set(figures["device_fraction"]) == {"premium", "standard", "basic"}
        assert figures["plans_diverged"] == 0 < figures["plans_verified"]
        assert RunFolder(tmp_path / mode).archive.is_dir()
    assert both["pool"]["wait_mean_h"] < both["fenced"]["wait_mean_h"]
    assert (tmp_path / "before-and-after.png").stat().st_size > 0
    assert "<html" in (tmp_path / "before-and-after.html").read_text().lower()


@pytest.mark.long
def test_the_openb_demo_tells_every_policy(singlepool: Singlepool, tmp_path: Path) -> None:
    """Unallocated, by type and by model for the loop and four policies, beside the published."""
    ended = singlepool("demo", "--trace", "openb", "--home", tmp_path, "-o", "json")
    assert (ended.code, ended.err) == (Exit.DONE, "")
    found = json.loads(ended.out)
    left = {name: fill["unallocated_percent"]["130"] for name, fill in found["policies"].items()}
    assert left["node potential"] < left["FGD"] < left["best fit"] < left["random"]
    assert left["singlepool"] < left["FGD"]
    assert found["published"]["FGD"] == {"100": 4.77, "130": 4.61}
    for fill in found["policies"].values():
        assert {"share of a GPU", "1 GPU", "2 GPU", "4 GPU", "8 GPU"} < set(fill["by_type"])
        assert len(fill["by_model"]) == 7
        assert sum(model["devices"] for model in fill["by_model"].values()) == 6_212
    assert found["loop"]["plans_diverged"] == 0 < found["loop"]["plans_verified"]
