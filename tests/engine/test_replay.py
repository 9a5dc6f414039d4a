# SPDX-License-Identifier: Apache-2.0
"""Replay is exact, decisions are reproducible, and a divergence is found and named."""

import subprocess
import sys
from itertools import pairwise

import pytest
from msgspec import structs

from engine.digest import Digest
from engine.evolve import evolve
from engine.state import State
from engine.verify import Verifier
from schemas import jobs
from schemas.codec import decode_record, encode_record, publish
from schemas.decisions import LaunchOrdered, PlanCommitted
from schemas.errors import InternalError, UnknownEventError
from schemas.kinds import Tier
from schemas.records import Published, Record
from tests.engine.stage import Stage, genesis, job


def busy_stage() -> Stage:
    """A stage on which jobs were placed, displaced, resumed, shrunk, cancelled and finished."""
    stage = Stage()
    stage.tell(*genesis())
    stage.submit(*(job(f"old{i}", 4, least=2) for i in range(4)))
    stage.wait(2 * 3_600_000)
    stage.submit(job("mine", 4, tier=Tier.PREMIUM, team="red"))
    stage.submit(*(job(f"new{i}", 1) for i in range(3)))
    stage.tell(jobs.JobCancelled(job("old0", 4).id), after_ms=60_000)
    stage.settle()
    running = [j for j in stage.state.jobs.values() if j.phase.name == "RUNNING"]
    stage.tell(*(jobs.JobFinished(j.id, j.attempt) for j in running[:2]), after_ms=60_000)
    stage.settle()
    return stage


def fold(ledger: list[bytes]) -> State:
    """Fold a ledger from zero."""
    state = State()
    for data in ledger:
        record = decode_record(data)
        assert record is not None
        evolve(state, record)
    return state


def test_folding_the_ledger_again_gives_the_state_that_wrote_it() -> None:
    """A fold from zero has the digest of the writer's state, and so has every prefix's own."""
    stage = busy_stage()
    assert Digest().update(fold(stage.ledger)) == stage.host.digest.update(stage.state)


def test_the_digest_is_the_same_in_a_process_with_another_hash_seed() -> None:
    """No iteration order of the interpreter reaches the state."""
    program = (
        "from tests.engine.test_replay import busy_stage\n"
        "stage = busy_stage()\n"
        "print(stage.host.digest.update(stage.state).hex())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    stage = busy_stage()
    assert digests == {stage.host.digest.update(stage.state).hex()}


def test_an_incremental_digest_equals_one_made_at_once() -> None:
    """Hashing only what changed gives what hashing everything gives, after every record."""
    stage = busy_stage()
    state, running, incremental = State(), Digest(), b""
    for data in stage.ledger:
        record = decode_record(data)
        assert record is not None
        evolve(state, record)
        incremental = running.update(state)
    for kind in ("job", "node", "sku", "region", "cluster", "domain", "tenant", "team"):
        state.dirty.update(dict.fromkeys(f"{kind}:{n}" for n in getattr(state, f"{kind}s")))
    state.dirty.update(dict.fromkeys(f"reservation:{n}" for n in state.reservations))
    state.dirty.update({"policy:": None, "memory:": None})
    assert Digest().update(state) == incremental


def test_verify_replans_every_cycle_and_finds_nothing() -> None:
    """Planning again from the folded state gives the recorded batch, cycle by cycle."""
    stage = busy_stage()
    checked = Verifier("stage", lambda _: True).run(map(decode_record, stage.ledger))
    assert checked.diverged == 0
    assert checked.same_build == checked.cycles > 3


def test_verify_names_the_first_record_that_differs() -> None:
    """A launch put elsewhere by hand is found, at its position."""
    stage = busy_stage()
    records = [decode_record(data) for data in stage.ledger]
    index, record = next(
        (i, r) for i, r in enumerate(records) if r and isinstance(r.event, LaunchOrdered)
    )
    assert isinstance(record.event, LaunchOrdered)
    piece = record.event.slices[0]
    moved = structs.replace(piece, slots=tuple(3 - slot for slot in piece.slots))
    forged = structs.replace(record.event, slices=(moved, *record.event.slices[1:]))
    changed = [*records[:index], Record(record.position, record.recorded_ms, forged, record.cause)]
    commit = next(
        r for r in records[index:] if r is not None and isinstance(r.event, PlanCommitted)
    )
    changed.extend(records[index + 1 : commit.position + 1])
    checked = Verifier("stage", lambda _: True).run(changed)
    assert checked.diverged == 1
    assert checked.first is not None
    assert checked.first.position == record.position


def test_on_another_build_problem_and_bound_must_rederive() -> None:
    """A ledger of another build is checked by its proofs, and passes when they match."""
    stage = busy_stage()
    checked = Verifier("another", lambda _: True).run(map(decode_record, stage.ledger))
    assert checked.other_build == checked.cycles
    assert checked.diverged == 0


def test_a_record_out_of_place_stops_the_fold() -> None:
    """A hole in positions is a loss, and time never runs backwards."""
    stage = busy_stage()
    records = [decode_record(data) for data in stage.ledger]
    state = State()
    assert records[0] is not None
    assert records[2] is not None
    evolve(state, records[0])
    with pytest.raises(InternalError, match="position 1 was due"):
        evolve(state, records[2])
    with pytest.raises(InternalError, match="before"):
        evolve(state, Record(1, 0, records[2].event))


def test_an_unknown_event_stops_the_fold_unless_it_may_be_skipped() -> None:
    """What the fold does not understand it passes over only where the envelope says so."""
    unknown = Published("singlepool.job.teleported.v7", b"")
    with pytest.raises(UnknownEventError, match="teleported"):
        decode_record(encode_record(0, 0, unknown))
    assert decode_record(encode_record(0, 0, unknown, skippable=True)) is None


def test_an_unknown_field_changes_nothing() -> None:
    """Bytes that a later contract adds to a payload are kept, and fold to the same state."""
    stage = busy_stage()
    known = fold(stage.ledger)
    with_more: list[bytes] = []
    for data in stage.ledger:
        record = decode_record(data)
        assert record is not None
        published = publish(record.event)
        later = Published(published.ce_type, published.payload + b"\xba\x3e\x03abc")
        with_more.append(encode_record(record.position, record.recorded_ms, later, record.cause))
    assert Digest().update(fold(with_more)) == Digest().update(known)


def test_recorded_time_never_decreases_and_positions_count_from_zero() -> None:
    """Every record says how many come before it."""
    stage = busy_stage()
    records = [decode_record(data) for data in stage.ledger]
    assert [r.position for r in records if r] == list(range(len(records)))
    assert all(a.recorded_ms <= b.recorded_ms for a, b in pairwise(r for r in records if r))
