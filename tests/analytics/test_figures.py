# SPDX-License-Identifier: Apache-2.0
"""The picture shows what the archives say, and needs nothing but itself."""

import re
from pathlib import Path

import pytest

from analytics.figures import HOUR_MS, Run, Specification, before_and_after, write_html, write_png
from schemas import jobs
from schemas.kinds import Tier
from tests.analytics.ledgers import (
    LedgerBuilder,
    declare_fleet,
    declare_team,
    launch,
    piece,
    submit,
)


def one_job(tier: Tier, hours: int) -> LedgerBuilder:
    """A job on half of the fleet for some hours, and two hours of nothing after it."""
    ledger = LedgerBuilder()
    declare_fleet(ledger, ("a", "b"))
    declare_team(ledger, "vision", reserved=4)
    job = submit(ledger, "only", tier=tier)
    ledger.put_all(launch(job, 1, piece("a")), jobs.JobStarted(job, 1))
    ledger.at(hours * 60).put(jobs.JobFinished(job, 1))
    ledger.at(hours * 60 + 120)
    submit(ledger, "last")
    return ledger


@pytest.fixture
def picture(tmp_path: Path) -> Specification:
    before = one_job(Tier.BASIC, 1).history(tmp_path / "before")
    after = one_job(Tier.PREMIUM, 2).history(tmp_path / "after")
    return before_and_after(Run("Fenced", before), Run("One <pool>", after), title="A & B")


def values(picture: Specification, panel: int, layer: int) -> list[dict[str, object]]:
    name = picture["vconcat"][panel]["layer"][layer]["data"]["name"]
    found: list[dict[str, object]] = picture["datasets"][name]
    return found


def test_the_areas_are_the_devices_held_by_tier(picture: Specification) -> None:
    """Hour by hour, every tier is drawn with what it held, nothing else."""
    held = [(v["at"], v["tier"], v["devices"]) for v in values(picture, 1, 0) if v["devices"]]
    assert held == [(0, "premium", 8.0), (HOUR_MS, "premium", 8.0)]
    before = [(v["at"], v["tier"]) for v in values(picture, 0, 0) if v["devices"]]
    assert before == [(0, "basic")]


def test_the_lines_are_capacity_and_reservations(picture: Specification) -> None:
    """In use of what is reserved is only what the owner's premium work holds."""
    lines = [(v["line"], v["at"], v["devices"]) for v in values(picture, 1, 1)]
    hours = [HOUR_MS * n for n in range(4)]
    assert lines == [
        *[("total capacity", at, 16.0) for at in hours],
        *[("reserved by teams", at, 4.0) for at in hours],
        *[("reserved, in use by its owner", at, 4.0 if at < 2 * HOUR_MS else 0) for at in hours],
    ]


def test_both_panels_share_their_axes_and_state_their_use(picture: Specification) -> None:
    """Two runs can be compared by eye, and by the figures above them."""
    assert picture["resolve"]["scale"] == {"x": "shared", "y": "shared"}
    captions = [panel["title"]["subtitle"] for panel in picture["vconcat"]]
    assert captions == [
        "16.7 % of device time in use, 16.7 % making progress",
        "25.0 % of device time in use, 25.0 % making progress",
    ]


def test_a_window_cuts_the_picture_and_its_figures(tmp_path: Path) -> None:
    """With `until_ms`, nothing after it is drawn or counted."""
    history = one_job(Tier.BASIC, 1).history(tmp_path)
    cut = before_and_after(Run("a", history), Run("b", history), until_ms=HOUR_MS)
    assert {v["at"] for v in values(cut, 0, 0)} == {0}
    assert cut["vconcat"][0]["title"]["subtitle"].startswith("50.0 %")


def test_the_page_asks_the_network_for_nothing(picture: Specification, tmp_path: Path) -> None:
    """No script, style or font comes from elsewhere; the title is the picture's, escaped."""
    path = tmp_path / "picture.html"
    write_html(picture, path)
    page = path.read_text(encoding="utf-8")
    assert "<title>A &amp; B</title>" in page
    assert not re.findall(r"<(?:script|link|iframe)[^>]*(?:src|href)=", page)
    assert "vegaEmbed" in page
    assert "One <pool>" not in page.partition("<body")[0]


def test_the_picture_is_a_png(picture: Specification, tmp_path: Path) -> None:
    """It draws, at twice its size for dense screens."""
    path = tmp_path / "picture.png"
    write_png(picture, path)
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(content[16:20], "big") > 1_800
