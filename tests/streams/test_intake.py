# SPDX-License-Identifier: Apache-2.0
"""Intake refuses what no state could make right, says why, keeps all of it, and never raises."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.policies import POOL
from schemas.catalogue import BY_EVENT, CATALOGUE, Event, EventType, Family
from schemas.codec import decode_event, decode_record, encode_event, publish
from schemas.decisions import CycleOpened
from schemas.errors import DecodeError
from schemas.fleet import RegionDeclared
from schemas.ids import JobId
from schemas.jobs import JobFailed, JobStarted, JobSubmitted
from schemas.ledger import Batch, scan
from schemas.reasons import WORDING, Rejection
from schemas.records import Origin, Published
from schemas.tenants import TenantDeclared
from schemas.upcast import Upcaster
from schemas.validation import validate
from streams.embedded import EmbeddedLedger
from streams.intake import Accepted, Refused, decode_refused, encode_refused, intake
from streams.play import Play
from streams.sources import ALLOW_ALL, SourceRule, SourceRules, tenant_of
from streams.traces.philly import philly
from tests.schemas.samples import ID, REGION, SAMPLES
from tests.schemas.strategies import publications, valid_event, valid_events

STARTED = "singlepool.job.started.v1"
ORIGIN = Origin("report-1", "agent/n-1", ID, "2026-01-01T00:00:00Z", ID, "ledger/7")


def refused(published: Published, rules: SourceRules = ALLOW_ALL) -> Refused:
    judged = intake(published, rules, topic="job.events")
    assert isinstance(judged, Refused), judged
    return judged


# --- whatever comes -------------------------------------------------------------------------------


@given(publications())
def test_any_bytes_are_judged(published: Published) -> None:
    """Arbitrary bytes under any type and origin are accepted or refused, never an error."""
    check(published)


@given(valid_events(), st.data())
def test_any_change_to_a_valid_event_is_judged(event: Event, data: st.DataObject) -> None:
    """Bytes of a valid event, changed, cut or filled in anywhere, are accepted or refused."""
    payload = bytearray(encode_event(event))
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(payload)))
        end = data.draw(st.integers(begin, min(begin + 4, len(payload))))
        payload[begin:end] = data.draw(st.binary(max_size=4))
    check(Published(BY_EVENT[type(event)].ce_type, bytes(payload), ORIGIN))


def check(published: Published) -> None:
    """What is accepted decodes and keeps the rules of upstream; what is refused is kept."""
    match intake(published):
        case Accepted() as accepted:
            assert accepted.published is published
            assert accepted.event == decode_event(published.ce_type, published.payload)
            assert validate(accepted.event) is None
            assert BY_EVENT[type(accepted.event)].family is not Family.DECISION
        case Refused() as kept:
            assert decode_refused(encode_refused(kept)) == kept
            assert kept.published == published
            assert kept.field
            assert kept.rule


@given(valid_events())
def test_what_upstream_may_say_is_accepted(event: Event) -> None:
    """A valid event of any upstream type passes unchanged."""
    published = publish(event, ORIGIN)
    assert intake(published) == Accepted(published, event)


# --- each reason ----------------------------------------------------------------------------------


def test_an_event_larger_than_the_limit_is_too_large() -> None:
    """The limit itself is allowed; one byte more is refused before it is parsed."""
    published = Published(STARTED, b"\xff" * 101)
    judged = intake(published, max_payload_bytes=100)
    assert isinstance(judged, Refused)
    assert (judged.rejection, judged.field) == (Rejection.TOO_LARGE, "payload")
    assert judged.sentence.endswith("payload is 101 bytes: must be at most 100 bytes")
    started = publish(JobStarted(ID, 1))
    assert isinstance(intake(started, max_payload_bytes=len(started.payload)), Accepted)


def test_an_unknown_type_is_refused_with_the_nearest() -> None:
    """A misspelt type or a later version names what may be meant."""
    found = refused(Published("singlepool.job.started.v2", b""))
    assert found.rejection is Rejection.UNKNOWN_TYPE
    assert found.rule.endswith(f"did you mean {STARTED}?")


def test_bytes_of_another_kind_are_malformed() -> None:
    """What does not parse is refused with what the parser says."""
    found = refused(Published(STARTED, b"\x0a\xff"))
    assert (found.rejection, found.field) == (Rejection.MALFORMED, "payload")
    assert "JobStarted" in found.rule


@pytest.mark.parametrize(
    ("event", "field", "value"),
    [
        (JobStarted(ID, 0), "attempt", "0"),
        (JobStarted(JobId("train"), 1), "job", "train"),
        (RegionDeclared(structs.replace(REGION, generation=-5)), "region.generation", "-5"),
    ],
)
def test_a_value_that_breaks_a_rule_is_invalid(event: Event, field: str, value: str) -> None:
    """The refusal names field, value and rule, and its sentence all three."""
    found = refused(publish(event, ORIGIN))
    assert (found.rejection, found.field, found.value) == (Rejection.INVALID_VALUE, field, value)
    assert found.sentence == (
        f"{BY_EVENT[type(event)].ce_type}: {WORDING[Rejection.INVALID_VALUE]} "
        f"{field} is {value}: {found.rule}"
    )


def test_an_empty_submission_names_what_is_missing() -> None:
    """No job at all is refused by the job, not by whatever field is looked at first."""
    found = refused(Published("singlepool.job.submitted.v1", b""))
    assert (found.rejection, found.field) == (Rejection.INVALID_VALUE, "job")
    assert found.rule == "must be there"


@pytest.mark.parametrize("bad", ["x" * 1_025, "two\nlines", "\ud800"])
@pytest.mark.parametrize("name", Origin.__struct_fields__)
def test_attributes_that_cannot_be_kept_are_refused(name: str, bad: str) -> None:
    """An attribute is a line of short text in UTF-8; even its refusal can be stored."""
    origin = structs.replace(ORIGIN, **{name: bad})
    found = refused(publish(JobStarted(ID, 1), origin))
    assert (found.rejection, found.field) == (Rejection.INVALID_VALUE, name)
    assert decode_refused(encode_refused(found)) == found


# --- who may say it -------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda e: e.ce_type)
def test_nobody_outside_publishes_decisions(entry: EventType) -> None:
    """Whatever the rules allow, a decision comes from the engine alone; all else may be said."""
    everything = SourceRules(others=SourceRule(families=frozenset(Family)))
    judged = intake(publish(SAMPLES[entry.event], ORIGIN), everything)
    if entry.family is Family.DECISION:
        assert isinstance(judged, Refused)
        assert judged.rejection is Rejection.NOT_AUTHORISED
    else:
        assert isinstance(judged, Accepted)


def test_a_source_keeps_to_its_families_and_tenants() -> None:
    """A source that is named may say what its rule allows, another what the others may."""
    jobs_of_acme = SourceRule(frozenset({Family.JOB}), frozenset({"acme"}))
    rules = SourceRules({"acme.jobs": jobs_of_acme})
    own = publish(JobStarted(ID, 1), Origin(ce_source="acme.jobs"))
    assert isinstance(intake(own, rules), Accepted)
    for event, source, field, rule in (
        (
            JobStarted(JobId("other/x@1"), 1),
            "acme.jobs",
            "tenant",
            "'acme.jobs' may speak for acme",
        ),
        (RegionDeclared(REGION), "acme.jobs", "ce_type", "'acme.jobs' may publish job.events"),
        (JobStarted(ID, 1), "stranger", "ce_source", "must be a source that is named in the rules"),
    ):
        found = refused(publish(event, Origin(ce_source=source)), rules)
        assert (found.rejection, found.field) == (Rejection.NOT_AUTHORISED, field)
        assert found.rule == rule


def test_fleet_events_need_no_tenant() -> None:
    """A source bound to tenants may still speak for the fleet, if that is its family."""
    rules = SourceRules({"both": SourceRule(tenants=frozenset({"acme"}))})
    for event in (RegionDeclared(REGION), SAMPLES[TenantDeclared]):
        assert isinstance(intake(publish(event, Origin(ce_source="both")), rules), Accepted)


OWNED = [e for e in CATALOGUE if e.family in {Family.TENANT, Family.JOB, Family.SERVING}]


@pytest.mark.parametrize("entry", OWNED, ids=lambda e: e.ce_type)
def test_every_event_about_a_tenant_says_which(entry: EventType) -> None:
    """No event of a tenant escapes the rule on tenants."""
    assert tenant_of(SAMPLES[entry.event]) == "acme"


@given(valid_event(JobSubmitted))
def test_a_job_belongs_to_the_tenant_in_its_id(event: Event) -> None:
    """A submission and the reports about it speak for the same tenant."""
    assert isinstance(event, JobSubmitted)
    assert tenant_of(event) == tenant_of(JobFailed(event.job.id, 1, retryable=True))


# --- kept, and played again -----------------------------------------------------------------------


def test_a_refused_event_is_accepted_after_the_fix(tmp_path: Path) -> None:
    """What the rejected store gives back is what was published, and passes once the rule does."""
    published = publish(JobStarted(ID, 1), ORIGIN)
    nobody = SourceRules()
    kept = refused(published, nobody)
    assert kept.topic == "job.events"
    with EmbeddedLedger(tmp_path / "ledger.db") as ledger:
        ledger.append(ledger.acquire("test"), 0, Batch((), rejected=[kept.stored(1_000)]))
        ((number, back),) = ledger.rejected(0, 10)
    assert (number, back.recorded_ms, back.rejection) == (1, 1_000, Rejection.NOT_AUTHORISED)
    assert intake(back.published) == Accepted(published, JobStarted(ID, 1))


def test_other_bytes_are_no_refused_event() -> None:
    """A rejected topic's reader names bytes that are something else."""
    for data in (b"", b"\xc1", b"\x80", b"\xff" * 9):
        with pytest.raises(DecodeError, match="not a refused event"):
            decode_refused(data)


def test_an_old_version_is_judged_by_what_it_becomes() -> None:
    """An upcast event passes the same rules, and an upcast decision is still a decision."""
    old: dict[str, tuple[Event, Rejection | None]] = {
        "started.v0": (JobStarted(ID, 1), None),
        "opened.v0": (SAMPLES[CycleOpened], Rejection.NOT_AUTHORISED),
        "broken.v0": (JobStarted(ID, 0), Rejection.INVALID_VALUE),
    }
    for ce_type, (becomes, expected) in old.items():
        judged = intake(Published(ce_type, b""), upcasters={ce_type: always(becomes)})
        assert (judged.rejection if isinstance(judged, Refused) else None) is expected


def always(event: Event) -> Upcaster:
    return lambda _: event


def test_what_the_engine_writes_keeps_the_rules(tmp_path: Path) -> None:
    """Every record of a played ledger, decisions included, is valid by the same rules."""
    workload = philly(range(21, 22))
    few = structs.replace(workload, arrivals=workload.arrivals[:100])
    with EmbeddedLedger(tmp_path / "ledger.db") as ledger:
        Play(ledger, few, POOL).run()
        records = [decode_record(data) for data in scan(ledger)]
    assert len({type(r.event) for r in records if r is not None}) > 10
    assert [found for r in records if r is not None and (found := validate(r.event))] == []
