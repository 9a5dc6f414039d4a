# SPDX-License-Identifier: Apache-2.0
"""`explain` gives one dominant reason, its evidence, and what would help."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from compose.exits import Exit
from schemas.catalogue import Event
from schemas.jobs import JobCancelled, JobFinished, JobStarted
from schemas.kinds import Span
from tests.compose.conftest import Singlepool
from tests.compose.worlds import GENESIS, events_file, job, submitted

Explained = Callable[..., dict[str, object]]


@pytest.fixture
def explained(singlepool: Singlepool, tmp_path: Path) -> Explained:
    """Return what publishes events after the small fleet's, and explains a job."""
    home = tmp_path / "desk"
    singlepool("publish", events_file(tmp_path, GENESIS), "--home", home)

    def call(name: str, *events: Event) -> dict[str, object]:
        file = events_file(tmp_path, events, "more.ndjson")
        singlepool("publish", file, "--home", home)
        ended = singlepool("explain", name, "--home", home, "-o", "json")
        assert (ended.code, ended.err) == (Exit.DONE, "")
        found: dict[str, object] = json.loads(ended.out)
        return found

    return call


def evidence(found: dict[str, object]) -> dict[str, object]:
    assert found["evidence"] is not None
    return cast("dict[str, object]", found["evidence"])


def test_a_job_that_runs_needs_no_reason(explained: Explained) -> None:
    """The sentence says what it holds, and there is nothing to help."""
    found = explained("acme/one@1", *submitted(job("one")))
    assert found["sentence"] == "It is starting on 4 devices."
    assert found["can_run"] is True
    assert found["evidence"] is None
    assert found["unblocks"] == []


def test_a_job_that_is_over_says_since_when(explained: Explained) -> None:
    """An ended job's reason is its end."""
    ended = (JobStarted(job("one").id, 1), JobFinished(job("one").id, 1))
    found = explained("acme/one@1", *submitted(job("one")))
    found = explained("acme/one@1", *ended)
    assert str(found["sentence"]).startswith("It finished at 20")
    found = explained(
        "acme/two@1", *submitted(job("two", workers=9)), JobCancelled(job("two").id, "")
    )
    assert str(found["sentence"]).startswith("It was cancelled at 20")


def test_a_job_that_waits_for_room_says_how_much_is_missing(explained: Explained) -> None:
    """Six of eight devices are held: of six more, two fit now and four are missing."""
    found = explained("acme/two@1", *submitted(job("one", 6), job("two", 6)))
    shown = evidence(found)
    assert found["can_run"] is True
    assert (shown["needs_devices"], shown["eligible_nodes"]) == (6, 1)
    assert (shown["free_devices"], shown["fits_workers"], shown["short_devices"]) == (2, 2, 4)
    assert found["unblocks"] == [
        "4 more devices free in west-1 (h100)",
        "a least size of 2 workers, which fit there now",
    ]


def test_a_job_for_which_nothing_is_free_says_what_each_node_lacks(explained: Explained) -> None:
    """All eight devices are held, so the one node lacks devices before anything else."""
    found = explained("acme/two@1", *submitted(job("one", 8), job("two", 1)))
    assert evidence(found)["lacking"] == [{"what": "free devices", "nodes": 1}]
    assert found["unblocks"] == ["enough free devices on one of 1 nodes"]


def test_a_job_that_no_rule_lets_in_says_which_rule(explained: Explained) -> None:
    """A SKU that nobody has excludes the one node; another SKU would help."""
    found = explained("acme/odd@1", *submitted(job("odd", sku="b200")))
    assert found["can_run"] is False
    assert str(found["sentence"]).startswith("It can never run as asked: ")
    assert evidence(found)["excluded"] == [{"rule": "sku", "meaning": "another SKU", "nodes": 1}]
    assert found["unblocks"] == ["another SKU beside those it names"]


def test_a_gang_that_is_too_large_says_how_much_would_fit(explained: Explained) -> None:
    """Nine workers of one GPU are one more than the only node has."""
    found = explained("acme/big@1", *submitted(job("big", 9, span=Span.NODE)))
    assert found["can_run"] is False
    assert evidence(found)["largest_gang"] == 8
    assert found["unblocks"] == [
        "at most 8 workers: more never fit together",
        "a node of 9 devices that pass its rules",
    ]


def test_the_answer_for_people_begins_with_the_sentence(
    singlepool: Singlepool, explained: Explained, tmp_path: Path
) -> None:
    """The same facts as in JSON, a line each, the dominant reason on the first."""
    found = explained("acme/odd@1", *submitted(job("odd", sku="b200")))
    said = singlepool("explain", "acme/odd@1", "--home", tmp_path / "desk").out.splitlines()
    assert said[0] == found["sentence"]
    assert any(line.split() == ["-", "1", "another", "SKU"] for line in said)
    assert any(line.startswith("would help  another SKU") for line in said)


def test_the_past_is_explained_as_it_was(singlepool: Singlepool, a_run: Path) -> None:
    """At the position of its claim a job waits for releases, later it runs, at last it is over.

    A moment before its submission is named as such.
    """
    asked = (
        "SELECT job, position FROM fact.job_submitted s, jobs j WHERE job_id(s.job) = j.job LIMIT 1"
    )
    row = singlepool(
        "query", asked.replace("SELECT job,", "SELECT j.job,"), "--home", a_run, "-o", "json"
    )
    (first,) = json.loads(row.out)
    name, position = first["job"], int(first["position"])
    before = singlepool("explain", name, "--at", position, "--home", a_run)
    assert before.code == Exit.NOT_FOUND
    assert f"submitted later, at position {position}" in before.err
    at_once = singlepool("explain", name, "--at", position + 1, "--home", a_run, "-o", "json")
    assert json.loads(at_once.out)["standing"]["phase"] == "queued"
    at_last = singlepool("explain", name, "--home", a_run, "-o", "json")
    assert json.loads(at_last.out)["sentence"].startswith("It finished at 2017-")
