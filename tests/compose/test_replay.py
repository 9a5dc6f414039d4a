# SPDX-License-Identifier: Apache-2.0
"""`replay` and `archive verify` find what is not as it was, and say so by their exit code."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from msgspec import structs

from analytics.audit import read_envelopes
from compose.exits import Exit
from compose.places import RunFolder
from schemas.codec import decode_record, encode_record, publish
from schemas.decisions import PlanCommitted
from streams.memory import MemoryLedger
from tests.analytics.ledgers import sealed
from tests.compose.conftest import Singlepool


def replayed(singlepool: Singlepool, home: Path, *arguments: object) -> dict[str, object]:
    ended = singlepool("replay", *arguments, "--home", home, "-o", "json")
    assert (ended.code, ended.err) == (Exit.DONE, "")
    found: dict[str, object] = json.loads(ended.out)
    return found


def test_a_moment_is_the_same_as_position_and_as_time(singlepool: Singlepool, a_run: Path) -> None:
    """The state at a time is that after the last record up to it, digest and all."""
    by_time = replayed(singlepool, a_run, "--to", "2017-09-25T12:00:00Z")
    by_position = replayed(singlepool, a_run, "--to", by_time["position"])
    assert by_position == by_time
    assert str(by_time["recorded_at"]) <= "2017-09-25T12:00:00Z"
    earlier = replayed(singlepool, a_run, "--to", int(str(by_time["position"])) - 1)
    assert earlier["digest"] != by_time["digest"]


def test_verifying_proves_the_digest_that_folding_gives(
    singlepool: Singlepool, a_run: Path
) -> None:
    """A clean check names the plans it made again; up to a moment it checks those up to there."""
    whole = replayed(singlepool, a_run, "--verify", "--one-in", 20)
    assert whole["digest"] == replayed(singlepool, a_run)["digest"]
    assert (whole["plans_diverged"], whole["first_cycle"]) == (0, None)
    part = replayed(singlepool, a_run, "--verify", "--to", 500)
    assert part["records"] == 500
    assert 0 < int(str(part["plans_checked"])) == part["cycles"]


def test_a_plan_that_comes_out_otherwise_is_named(
    singlepool: Singlepool, a_run: Path, tmp_path: Path
) -> None:
    """A recorded objective that is off by one is a divergence, with its position."""
    records = list(read_envelopes(RunFolder(a_run).archive))[:600]
    at, forged = _with_another_objective(records)
    home = tmp_path / "forged"
    sealed(MemoryLedger(forged), RunFolder(home).archive)
    ended = singlepool("replay", "--verify", "--home", home, "-o", "json")
    assert ended.code == Exit.DIVERGED
    found = json.loads(ended.out)
    assert (found["plans_diverged"], found["first_position"]) == (1, at)


def _with_another_objective(records: Sequence[bytes]) -> tuple[int, list[bytes]]:
    """Return where a plan was committed, and the records with another objective there."""
    for at, data in enumerate(records):
        record = decode_record(data)
        if record is not None and isinstance(record.event, PlanCommitted):
            event = structs.replace(record.event, objective=record.event.objective + 1)
            forged = encode_record(at, record.recorded_ms, publish(event), record.cause)
            return at, [*records[:at], forged, *records[at + 1 :]]
    raise AssertionError


def test_a_changed_byte_in_an_archive_is_damage(
    singlepool: Singlepool, a_run: Path, tmp_path: Path
) -> None:
    """`archive verify` names the segment and ends as a divergence does; so does a replay of it."""
    home = tmp_path / "run"
    shutil.copytree(RunFolder(a_run).archive, RunFolder(home).archive)
    (segment,) = RunFolder(home).archive.glob("*.parquet")
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(bytes(content))
    ended = singlepool("archive", "verify", "--home", home, "-o", "json")
    assert ended.code == Exit.DIVERGED
    assert [(row["damage"], row["where"]) for row in json.loads(ended.out)] == [
        ("changed", segment.name)
    ]
    assert "damage" in ended.err
    ended = singlepool("replay", "--home", home)
    assert (ended.code, ended.out) == (Exit.DIVERGED, "")
    assert segment.name in ended.err
    assert "archive verify" in ended.err


def test_replacing_a_run_leaves_what_is_not_of_it(tmp_path: Path) -> None:
    """A home folder named by mistake loses nothing but a ledger and an archive."""
    folder = RunFolder(tmp_path)
    (tmp_path / "thesis.tex").write_text("years of work")
    folder.ledger.write_text("old")
    folder.archive.mkdir()
    folder.emptied()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
