# SPDX-License-Identifier: Apache-2.0
"""Old histories keep their meaning: recorded ones fold to the digest they were recorded with.

A history is a file of `tests/histories/`: MessagePack of (digest, records). It is written once, by
`python -m tests.engine.test_rules NAME`, and kept for ever.
"""

import sys
from pathlib import Path

import pytest
from msgspec import msgpack

from engine.digest import Digest
from engine.evolve import evolve
from engine.rules import CURRENT_RULES, RULES
from engine.state import State
from schemas import jobs
from schemas.codec import decode_record
from schemas.decisions import RulesActivated
from schemas.errors import UnknownEventError
from schemas.records import Record
from tests.engine.stage import Stage, genesis, job

HISTORIES = Path(__file__).parent.parent / "histories"
_History = tuple[bytes, list[bytes]]


def stretched(rules: int) -> Stage:
    """A stage on which an elastic gang makes way, shrinks, and grows again, each with its pause."""
    stage = Stage(rules=rules)
    stage.tell(*genesis())
    stage.submit(*(job(f"old{i}", 4, least=2) for i in range(4)))
    stage.wait(2 * 3_600_000)
    stage.submit(*(job(f"new{i}", 2) for i in range(2)))
    stage.wait(30_000)
    running = [j for j in stage.state.jobs.values() if j.id.startswith("acme/new")]
    stage.tell(*(jobs.JobFinished(j.id, j.attempt) for j in running), after_ms=60_000)
    stage.settle()
    stage.wait()
    stage.settle()
    return stage


def folded(records: list[bytes]) -> bytes:
    """The digest after all records."""
    state = State()
    for data in records:
        record = decode_record(data)
        assert record is not None
        evolve(state, record)
    return Digest().update(state)


@pytest.mark.parametrize("path", sorted(HISTORIES.glob("*.msgpack")), ids=lambda p: p.stem)
def test_a_recorded_history_folds_to_its_old_digest(path: Path) -> None:
    """Whatever has changed since, what was recorded means what it meant."""
    digest, records = msgpack.decode(path.read_bytes(), type=_History)
    assert folded(records) == digest


def test_there_is_a_history_of_every_version_of_the_rules() -> None:
    """No version goes unremembered."""
    recorded = {path.stem for path in HISTORIES.glob("*.msgpack")}
    assert {f"rules_{version}" for version in RULES} <= recorded


def test_the_versions_do_differ() -> None:
    """The same happenings fold to other accounts under other rules; the test would see a mix-up."""
    old, new = stretched(1), stretched(CURRENT_RULES)
    accounts = [sum(j.time.received for j in stage.state.jobs.values()) for stage in (old, new)]
    assert accounts[0] > accounts[1]


def test_unknown_rules_stop_the_fold() -> None:
    """A ledger of a newer build is not folded under rules that this one does not know."""
    with pytest.raises(UnknownEventError, match="rules version 99"):
        evolve(State(), Record(0, 0, RulesActivated(99)))


if __name__ == "__main__":
    name = sys.argv[1]
    target = HISTORIES / f"{name}.msgpack"
    if target.exists():
        sys.exit(f"{target.name} is recorded already, and is kept for ever")
    ledger = stretched(int(name.removeprefix("rules_"))).ledger
    target.write_bytes(msgpack.encode((folded(ledger), ledger)))
