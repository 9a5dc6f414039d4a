# SPDX-License-Identifier: Apache-2.0
"""What `publish` does with a file, and what becomes of events that were refused."""

import json
from pathlib import Path

from msgspec import structs

from compose.exits import Exit
from compose.places import RunFolder
from schemas.catalogue import BY_EVENT, Family
from schemas.codec import publish
from schemas.ids import SkuName
from schemas.ledger import Batch, RejectedEvent
from schemas.tenants import ReservationGranted
from streams.embedded import EmbeddedLedger
from tests.compose.conftest import Singlepool
from tests.compose.worlds import GENESIS, another_node, events_file, job, submitted
from tests.schemas import samples

LARGE = ReservationGranted(
    structs.replace(samples.RESERVATION, skus=(SkuName("h100"),), regions=(), devices=16)
)
"""Twice what the first node has."""


def test_a_file_is_published_once_however_often(singlepool: Singlepool, tmp_path: Path) -> None:
    """The second time, every event of it is a duplicate; the job runs, and its folder is asked."""
    home = tmp_path / "desk"
    file = events_file(tmp_path, (*GENESIS, *submitted(job("one"))))
    first = json.loads(singlepool("publish", file, "--home", home, "-o", "json").out)
    assert (first["facts"], first["refused"]) == (len(GENESIS) + 1, 0)
    assert first["verdicts"] == [{"job": "acme/one@1", "phase": "starting", "verdict": "placed"}]
    second = json.loads(singlepool("publish", file, "--home", home, "-o", "json").out)
    assert (second["facts"], second["duplicates"]) == (0, len(GENESIS) + 1)
    (cluster,) = json.loads(singlepool("fleet", "--home", home, "-o", "json").out)
    assert (cluster["devices"], cluster["held"]) == (8, 4)


def test_a_wrong_line_keeps_the_file_from_being_published(
    singlepool: Singlepool, tmp_path: Path
) -> None:
    """File, line, field and rule are named; nothing is made."""
    file = events_file(tmp_path, GENESIS)
    file.write_bytes(file.read_bytes() + b'{"ce_type": "singlepool.job.started.v1"}\n')
    for arguments in ((), ("--dry-run",)):
        ended = singlepool("publish", file, *arguments, "--home", tmp_path / "desk")
        assert ended.code == Exit.FAILED
        assert f"{file}:{len(GENESIS) + 1}: data is empty" in ended.err
    assert not (tmp_path / "desk").exists()


def test_a_dry_run_of_a_good_file_publishes_nothing(singlepool: Singlepool, tmp_path: Path) -> None:
    """It counts what it would publish."""
    file = events_file(tmp_path, GENESIS)
    ended = singlepool(
        "publish", file, "--dry-run", "--home", tmp_path / "desk", "--output", "json"
    )
    assert (ended.code, ended.err) == (Exit.DONE, "")
    assert json.loads(ended.out) == {"events_in_order": len(GENESIS), "events_wrong": 0}
    assert not (tmp_path / "desk").exists()


def test_a_dry_run_as_a_trust_domain_finds_what_it_may_not_say(
    singlepool: Singlepool, tmp_path: Path
) -> None:
    """Another tenant's job and a family that is not its own, by line; no broker is asked."""
    domains = tmp_path / "domains.toml"
    domains.write_text(
        "[domains.batch]\ntenants = ['acme']\n[domains.rival]\ntenants = ['rival']\n"
    )
    file = events_file(tmp_path, (*GENESIS, *submitted(job("one"))))
    asked = ("publish", file, "--dry-run", "--domains", domains, "-o", "json", "--domain")
    counts = {name: json.loads(singlepool(*asked, name).out) for name in ("batch", "rival")}
    fleet = sum(BY_EVENT[type(event)].family is Family.FLEET for event in GENESIS)
    rest = len(GENESIS) + 1 - fleet
    assert counts["batch"] == {"events_in_order": rest, "events_wrong": fleet}
    assert counts["rival"] == {"events_in_order": 0, "events_wrong": rest + fleet}
    said = singlepool(*asked, "rival").err
    assert f"{file}:{len(GENESIS) + 1}: " in said
    assert "may speak for rival" in said
    unknown = singlepool(*asked, "btach")
    assert (unknown.code, "'btach'" in unknown.err) == (Exit.USAGE, True)


def test_a_file_that_is_not_there_is_not_found(singlepool: Singlepool, tmp_path: Path) -> None:
    """It is another thing than a file with a wrong line."""
    ended = singlepool("publish", tmp_path / "none.ndjson", "--home", tmp_path / "desk")
    assert ended.code == Exit.NOT_FOUND
    assert "none.ndjson" in ended.err


def test_a_refused_event_counts_once_the_world_is_mended(
    singlepool: Singlepool, tmp_path: Path
) -> None:
    """A reservation beyond the capacity is kept whole, and admitted when nodes have come."""
    home = tmp_path / "desk"
    refused = singlepool("publish", events_file(tmp_path, (*GENESIS, LARGE)), "--home", home)
    assert refused.code == Exit.FAILED
    assert "over_capacity" in refused.err
    (kept,) = json.loads(singlepool("rejected", "--home", home, "-o", "json").out)
    assert (kept["number"], kept["rejection"]) == (1, "over_capacity")
    shown = json.loads(singlepool("rejected", "show", 1, "--home", home, "-o", "json").out)
    assert shown["event"]["data"]["reservation"]["name"] == LARGE.reservation.name
    assert shown["meaning"].endswith(".")

    again = singlepool("rejected", "replay", "--home", home)
    assert again.code == Exit.FAILED  # nothing was mended: refused again, under a new number
    listed = json.loads(singlepool("rejected", "list", "--home", home, "-o", "json").out)
    assert [row["number"] for row in listed] == [2]

    singlepool("publish", events_file(tmp_path, [another_node(1)], "more.ndjson"), "--home", home)
    mended = singlepool("rejected", "replay", 2, "--home", home, "-o", "json")
    assert (mended.code, mended.err) == (Exit.DONE, "")
    assert json.loads(mended.out)["facts"] == 1
    assert json.loads(singlepool("rejected", "--home", home, "-o", "json").out) == []
    everything = json.loads(singlepool("rejected", "--all", "--home", home, "-o", "json").out)
    assert [row["number"] for row in everything] == [1, 2]


def test_a_reason_that_a_newer_build_gave_is_shown_as_it_is(
    singlepool: Singlepool, tmp_path: Path
) -> None:
    """Codes are added at any time: one that this build does not know hides nothing."""
    home = tmp_path / "desk"
    singlepool("publish", events_file(tmp_path, GENESIS), "--home", home)
    event = RejectedEvent(publish(LARGE), "too_odd", "job", "x", "must be even", 7)
    with EmbeddedLedger(RunFolder(home).ledger) as ledger:
        ledger.append(ledger.acquire("newer"), ledger.head(), Batch([], {}, [event]))
    ended = singlepool("rejected", "show", 1, "--home", home, "-o", "json")
    assert (ended.code, json.loads(ended.out)["rejection"]) == (Exit.DONE, "too_odd")
    assert "does not know" in json.loads(ended.out)["meaning"]
    assert "too_odd" in singlepool("rejected", "show", 1, "--home", home).out


def test_there_is_nothing_to_replay_twice(singlepool: Singlepool, tmp_path: Path) -> None:
    """Without refused events `replay` says so and is done; a number that is none is not found."""
    home = tmp_path / "desk"
    singlepool("publish", events_file(tmp_path, GENESIS), "--home", home)
    none = singlepool("rejected", "replay", "--home", home)
    assert (none.code, none.out) == (Exit.DONE, "")
    assert "no refused event" in none.err
    for asked in (("show", 7), ("show", 0), ("replay", 7)):
        ended = singlepool("rejected", *asked, "--home", home)
        assert (ended.code, ended.out) == (Exit.NOT_FOUND, "")
        assert "there is no refused event" in ended.err
