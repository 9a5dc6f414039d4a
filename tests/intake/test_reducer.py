# SPDX-License-Identifier: Apache-2.0
"""The reducer: what is forwarded, what is refused, and that reading again changes nothing."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.decide import decide
from engine.outcomes import Rejected
from engine.state import State
from schemas.catalogue import BY_EVENT, CATALOGUE, RECORDED, Event, EventType, Family
from schemas.codec import decode_event, publish
from schemas.errors import DecodeError
from schemas.fleet import NodeHealthReported, NodeHeartbeat
from schemas.ids import JobId
from schemas.jobs import JobStarted
from schemas.kinds import NodeHealth
from schemas.reasons import Rejection
from schemas.records import Origin, Published
from schemas.serving import RequestServed
from streams.intake import Refused
from streams.intake.cells import Cell, cell_of, decode_cell, encode_cell
from streams.intake.reducer import Arrived, Forwarded, Output, reduce
from streams.kafka.keys import key_of
from streams.kafka.topics import TrustDomain, declare
from streams.sources import tenant_of
from tests.intake.partition import (
    FAR_MS,
    START_MS,
    Partition,
    beat,
    events,
    healths,
    merged,
    profiles,
    refusals,
    served,
)
from tests.schemas.samples import ID, SAMPLES
from tests.schemas.strategies import publications, valid_events

RAW = [entry for entry in CATALOGUE if entry.raw]
ORIGIN = Origin("report-1", "agent/n-1", ID)
DOMAINS = (TrustDomain("acme", frozenset({"acme"})), TrustDomain("other", frozenset({"other"})))
TOPOLOGY = declare(DOMAINS)


# --- one record -----------------------------------------------------------------------------------


@given(publications(), st.integers(0, 2**53))
def test_whatever_comes_is_forwarded_folded_or_refused(published: Published, at_ms: int) -> None:
    """Arbitrary records never raise, and what is refused is all there."""
    partition = Partition()
    for output in reduce(partition.state, Arrived(0, at_ms, published), START_MS):
        if isinstance(output, Refused):
            assert output.published.payload == published.payload


@given(valid_events())
def test_an_event_for_the_engine_is_forwarded_as_it_came(event: Event) -> None:
    """Bytes and origin unchanged, under the key of what it is about; a raw one is not."""
    published = publish(event, ORIGIN)
    outputs = Partition().arrives(published, 0)
    if BY_EVENT[type(event)].raw:
        assert Forwarded(key_of(event), published) not in outputs
    else:
        assert outputs == (Forwarded(key_of(event), published),)


@pytest.mark.parametrize("entry", RAW, ids=lambda e: e.ce_type)
def test_raw_events_never_reach_the_ledger(entry: EventType) -> None:
    """Whoever forwards one by mistake is refused by `decide`; a history has no place for it."""
    outcome = decide(State(), SAMPLES[entry.event])
    assert isinstance(outcome, Rejected)
    assert outcome.rejection is Rejection.NOT_SERVED
    assert "intake" in outcome.rule
    assert entry not in RECORDED


def test_the_raw_events_are_those_that_intake_folds() -> None:
    """A type that is marked raw and not folded would vanish."""
    assert {entry.event for entry in RAW} == {NodeHeartbeat, RequestServed}


def test_a_record_that_was_no_event_is_passed_on_as_refused() -> None:
    """What the headers already showed is kept with what they showed."""
    wrong = Refused(Published("", b"x"), Rejection.MALFORMED, "ce_type", "", "must be there")
    assert reduce(Partition().state, Arrived(0, 0, wrong), 0) == (wrong,)


# --- who may say it -------------------------------------------------------------------------------


def speaking(topic: str, event: Event, source: str) -> Sequence[Output]:
    partition = Partition(topic, TOPOLOGY.rules[topic])
    return partition.arrives(publish(event, Origin("e-1", source)), 0)


@pytest.mark.parametrize("source", ["acme", "upstream.acme", "other"])
def test_the_topic_says_who_speaks_whatever_the_record_claims(source: str) -> None:
    """A record by another domain's topic is refused, though it names the right source."""
    event = JobStarted(JobId("acme/j@1"), 1)
    assert events(speaking("job.events.acme", event, source)) == [event]
    (refused,) = refusals(speaking("job.events.other", event, source))
    assert (refused.rejection, refused.field) == (Rejection.NOT_AUTHORISED, "tenant")
    assert refused.topic == "job.events.other"


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda e: e.ce_type)
def test_a_topic_carries_its_own_family_alone(entry: EventType) -> None:
    """Each event type passes by its family's topic and is refused by all others."""
    for topic in TOPOLOGY.upstream:
        if topic.domain != DOMAINS[0]:
            continue
        found = refusals(speaking(topic.name, SAMPLES[entry.event], "x"))
        expected = topic.family is not entry.family
        assert any(r.rejection is Rejection.NOT_AUTHORISED for r in found) is expected
    if entry.family in {Family.JOB, Family.SERVING, Family.TENANT}:
        assert tenant_of(SAMPLES[entry.event]) == "acme"


def test_raw_events_are_held_to_their_tenant_too() -> None:
    """Nobody makes up requests of another tenant's deployment."""
    (refused,) = refusals(speaking("request.events.other", served(1), "gw-1"))
    assert refused.rejection is Rejection.NOT_AUTHORISED


# --- read again -----------------------------------------------------------------------------------


def mixed(seed: int, length: int = 300) -> list[tuple[Event, int]]:
    """Beats with gaps, requests in and out of order, and reports, over some minutes."""
    random = Random(seed)  # noqa: S311  # a test's, seeded
    sequences: dict[str, int] = {}
    made: list[tuple[Event, int]] = []
    at_ms = 0
    for _ in range(length):
        at_ms += random.choice((0, 500, 2_000, 9_000))
        name = random.choice(("n-1", "n-2", "n-3", "gw-1", "gw-2"))
        sequences[name] = sequences.get(name, 0) + random.choice((0, 1, 1, 1, 3))
        if name.startswith("gw"):
            back_ms = random.choice((0, 0, 1_000, 70_000, 500_000))
            event: Event = served(max(1, sequences[name]), at_ms - back_ms, gateway=name)
        elif random.random() < 0.02:
            event = NodeHealthReported(beat(name, 1).node, START_MS + at_ms, NodeHealth.HEALTHY)
        else:
            event = beat(name, max(1, sequences[name]), errors=at_ms // 400_000)
        made.append((event, at_ms))
    return made


def last_healths(outputs: Sequence[Output]) -> dict[str, str]:
    """Return each node's health by the report of the highest sequence."""
    by_sequence = sorted(healths(outputs), key=lambda report: report[2])
    return {node: health for node, health, _ in by_sequence}


def played_out(partition: Partition) -> tuple[dict[str, str], dict[str, str]]:
    """Return what is known of the nodes once all have been silent, and once all beat again."""
    last_ms = partition.state.clock_ms - START_MS
    for at_ms in range(last_ms, last_ms + 90_000, 10_000):
        partition.quiet(at_ms)
    silent = last_healths(partition.outputs)
    for number in range(4):
        for node in ("n-1", "n-2", "n-3"):
            partition.arrives(beat(node, number + 1, boot=2), last_ms + 90_000 + number * 10_000)
    return silent, last_healths(partition.outputs)


@pytest.mark.parametrize("seed", range(20))
def test_a_crash_anywhere_counts_nothing_twice_and_loses_nothing(seed: int) -> None:
    """Cells kept at their own times, offsets behind them, outputs sent again: the same effect."""
    random = Random(seed)  # noqa: S311  # a test's, seeded
    stream = mixed(seed)
    whole = Partition("request.events.main")
    for event, at_ms in stream:
        whole.arrives(event, at_ms)
    length = len(stream)
    crashing = Partition("request.events.main")
    crashing.log = list(whole.log)
    kept: list[bytes] = [encode_cell(cell) for cell in crashing.state.cells]
    sent: list[Output] = []
    committed = offset = 0
    while offset < length:
        sent.extend(crashing.read(offset))
        offset += 1
        if random.random() < 0.1:  # a checkpoint: cells first, then the offset, perhaps
            for number in sorted(crashing.state.changed):
                kept[number] = encode_cell(crashing.state.cells[number])
            crashing.state.changed.clear()
            committed = offset if random.random() < 0.7 else committed
        if random.random() < 0.05:  # a crash: what was kept is all there is
            crashing = crashing.restarted()
            crashing.state.cells = [decode_cell(data) for data in kept]
            offset = committed
    crashing.outputs = sent
    assert played_out(crashing) == played_out(whole)
    assert merged(profiles(crashing.outputs)) == merged(profiles(whole.outputs))


def test_reading_again_without_a_kept_offset_would_count_twice() -> None:
    """The check on the offset is what the test before stands on: without it, beats age a node."""
    partition = Partition("request.events.main")
    partition.arrives(served(1, 0), 0)
    number = cell_of("gw-1")
    again = partition.restarted()
    again.state.cells[number].gateways.clear()  # so that only the offset can tell
    again.read(0)
    assert sum(w.requests for w in again.state.cells[number].windows.values()) == 1
    again.state.cells[number].included = 0
    again.read(0)
    assert sum(w.requests for w in again.state.cells[number].windows.values()) == 2


@pytest.mark.parametrize("seed", range(5))
def test_the_same_records_give_the_same_outputs(seed: int) -> None:
    """Byte for byte, ids included, in the same order."""
    runs = [Partition(), Partition()]
    for run in runs:
        for event, at_ms in mixed(seed):
            run.arrives(event, at_ms)
    assert runs[0].outputs == runs[1].outputs != []


def test_what_intake_says_itself_is_valid_and_named() -> None:
    """A derived event passes intake's own rules and says where it comes from and from what."""
    partition = Partition()
    for event, at_ms in mixed(3):
        partition.arrives(event, at_ms)
    derived = [
        o.published
        for o in partition.outputs
        if isinstance(o, Forwarded) and o.published.origin.ce_source.startswith("intake/")
    ]
    again = Partition()
    for published in derived:
        assert BY_EVENT[type(decode_event(published.ce_type, published.payload))].raw is False
        assert published.origin.ce_source == "intake/fleet.events.main/3"
        assert refusals(again.arrives(published, 0)) == []
    assert len({(p.ce_type, p.origin.ce_id) for p in derived}) == len(derived)


# --- clocks ---------------------------------------------------------------------------------------


def test_a_timestamp_ahead_of_intake_ages_nobody() -> None:
    """A record from the future is taken as of now."""
    partition = Partition()
    partition.arrives(beat("n-1", 1), 0)
    ahead = Arrived(1, START_MS + 10_000_000, publish(beat("n-2", 1), ORIGIN))
    assert reduce(partition.state, ahead, START_MS + 1_000) == ()
    assert partition.state.clock_ms == START_MS + 1_000


def test_time_in_a_partition_never_runs_backwards() -> None:
    """A node whose records carry old timestamps is not silent."""
    partition = Partition()
    for number in range(20):
        partition.arrives(beat("n-1", number + 1), 100_000 + number * 10_000)
        partition.arrives(beat("n-2", number + 1), number * 10_000)
    assert partition.outputs == []


# --- cells ----------------------------------------------------------------------------------------


def test_a_cell_comes_back_as_it_was_kept() -> None:
    """All that a cell holds survives its bytes; other bytes are named."""
    partition = Partition()
    for event, at_ms in mixed(7):
        partition.arrives(event, at_ms)
    for cell in partition.state.cells:
        assert decode_cell(encode_cell(cell)) == cell
    assert partition.state.changed
    for data in (b"", b"\xc1", b"\x80", encode_cell(Cell())[:-1]):
        with pytest.raises(DecodeError, match="not a cell"):
            decode_cell(data)


def test_an_entity_stays_in_its_cell() -> None:
    """The number is part of what is kept: it is the same in every process and version."""
    assert [cell_of(name) for name in ("n-1", "n-2", "gw-1", "west-1.n-042")] == [13, 7, 6, 3]
    assert FAR_MS > START_MS
