# SPDX-License-Identifier: Apache-2.0
"""What must hold of what engines leave behind, whatever was done to them."""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from engine.digest import Digest
from engine.evolve import evolve
from engine.state import State
from engine.verify import Verifier
from schemas import jobs
from schemas.codec import decode_event, decode_record, encode_directive, open_envelope
from schemas.decisions import DecisionEvent, EventParked, VerdictReached
from schemas.directives import Directive, LaunchDirective
from schemas.ledger import Batch, scan
from schemas.records import Record
from streams.build import fingerprint
from streams.embedded import EmbeddedLedger
from streams.kafka.reader import KafkaReader
from streams.kafka.rejected import RejectedLog
from streams.live.kafka_ends import decode_announced
from tests.live.installation import Installation
from tests.live.traffic import Traffic

_AT_ONCE = 1_000


class Found(Struct, frozen=True):
    """What was found to hold, for a test to ask whether it was much."""

    records: int
    cycles: int
    submitted: int
    directives: int
    snapshots: int
    parked: int


def check(installation: Installation, traffic: Traffic, folder: Path) -> Found:
    """Hold a ledger that nobody writes any more to all that is promised of it."""
    assert traffic.failed == []
    with KafkaReader(installation.connection, installation.topology) as reader:
        data = list(scan(reader))
    records = [record for each in data if (record := decode_record(each)) is not None]
    assert [record.position for record in records] == list(range(len(data)))
    submitted = _once_in_effect(installation, traffic, data)
    state, digest, directives = _embedded_fold(data, folder, _announced(installation))
    verified = Verifier(fingerprint(), lambda _: True).run(records)
    assert (verified.diverged, verified.first, verified.other_build) == (0, None, 0)
    assert verified.digest == digest
    _directives_as_folded(installation, directives)
    _verdicts_as_folded(installation, state)
    return Found(
        len(records),
        verified.cycles,
        submitted,
        len(directives),
        len(_announced(installation)),
        sum(isinstance(record.event, EventParked) for record in records),
    )


def _once_in_effect(installation: Installation, traffic: Traffic, data: Sequence[bytes]) -> int:
    """No event counts twice, and each that can only be a fact is one, or was refused."""
    counted: Counter[str] = Counter()
    for each in data:
        published = open_envelope(each).published
        event = decode_event(published.ce_type, published.payload)
        if not isinstance(event, DecisionEvent):
            counted[published.origin.ce_id] += 1
    log = RejectedLog(installation.connection, installation.topology)
    with closing(log):
        counted.update(e.published.origin.ce_id for _, e in log.rejected(1, len(data)))
    assert max(counted.values()) == 1
    acknowledged = traffic.acknowledged
    assert set(counted) <= set(acknowledged)
    # A report or a cancellation that comes too late is a duplicate and leaves no trace.
    certain = (jobs.JobReport, jobs.JobCancelled)
    lost = [n for n, event in acknowledged.items() if not isinstance(event, certain)]
    assert [name for name in lost if name not in counted] == []
    return sum(isinstance(event, jobs.JobSubmitted) for event in acknowledged.values())


def _announced(installation: Installation) -> dict[int, bytes]:
    """The digests that leaders announced with their snapshots, by position."""
    topic = installation.topology.snapshots.name
    said = [decode_announced(value or b"") for _, value in installation.all_of(topic)]
    return {each.position: each.digest for each in said}


def _embedded_fold(
    data: Sequence[bytes], folder: Path, announced: dict[int, bytes]
) -> tuple[State, bytes, list[tuple[Record, Directive]]]:
    """Fold the same records from an embedded ledger; its digests are those that leaders had."""
    with EmbeddedLedger(folder / "again.db") as ledger:
        lease, head = ledger.acquire("again"), 0
        while head < len(data):
            head = ledger.append(lease, head, Batch(data[head : head + _AT_ONCE]))
        state, digest = State(), Digest()
        directives: list[tuple[Record, Directive]] = []
        for each in scan(ledger):
            record = decode_record(each)
            assert record is not None
            evolve(state, record)
            directives.extend((record, directive) for directive in state.take_directives())
            if state.head in announced:
                assert digest.update(state) == announced[state.head]
    assert state.head in announced  # of the last leader, when it left
    return state, announced[state.head], directives


def _directives_as_folded(
    installation: Installation, directives: Sequence[tuple[Record, Directive]]
) -> None:
    """Each directive that the ledger makes due was told, once to each node, and no other."""
    told = Counter(installation.all_of(installation.topology.directives.name))
    assert max(told.values()) == 1
    assert {value for _, value in told} == {encode_directive(d) for _, d in directives}
    for _, directive in directives:
        if isinstance(directive, LaunchDirective):
            value = encode_directive(directive)
            nodes = {piece.node for piece in directive.slices}
            assert nodes == {node for node, each in told if each == value}


def _verdicts_as_folded(installation: Installation, state: State) -> None:
    """The last verdict of each job is what the state says of it, and none where it is over."""
    last = dict(installation.all_of(installation.topology.verdicts.name))
    assert set(last) == set(state.jobs)
    for name, job in state.jobs.items():
        value = last[name]
        if job.ended:
            assert value is None
            continue
        assert value is not None
        verdict = decode_event("singlepool.decision.verdict_reached.v1", value)
        assert isinstance(verdict, VerdictReached)
        assert (verdict.job, verdict.reason) == (name, job.reason)
