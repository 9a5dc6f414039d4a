# SPDX-License-Identifier: Apache-2.0
"""CloudEvents headers: what goes out comes back, and what is no event is refused with a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.reasons import Rejection
from schemas.records import Origin, Published
from streams.intake import Refused
from streams.kafka.headers import Headers, from_record, to_headers

GOOD: Headers = (
    ("ce_specversion", b"1.0"),
    ("ce_type", b"singlepool.job.submitted.v1"),
    ("ce_id", b"1"),
    ("ce_source", b"jobs.acme"),
)

text = st.text(st.characters(exclude_categories=["Cs"]))
said = text.filter(bool)
events = st.builds(
    Published,
    said,
    st.binary(),
    st.builds(Origin, said, said, text, text, text, text),
)
any_headers = st.lists(
    st.tuples(
        st.sampled_from([*(name for name, _ in GOOD), "ce_subject", "content-type", "traceparent"]),
        st.one_of(st.none(), st.binary(), st.text()),
    )
)


@given(events)
def test_what_goes_out_comes_back(published: Published) -> None:
    """Type, bytes and every attribute, whatever text is in them."""
    assert from_record(to_headers(published), published.payload) == published


def test_the_headers_are_those_of_the_cloudevents_binding() -> None:
    """An outsider reads them with any CloudEvents library; empty attributes are left out."""
    origin = Origin("1", "jobs.acme", "acme/j@1", "2026-01-01T00:00:00Z", "c", "d")
    assert dict(to_headers(Published("singlepool.job.submitted.v1", b"", origin))) == {
        "ce_specversion": b"1.0",
        "content-type": b"application/protobuf",
        "ce_type": b"singlepool.job.submitted.v1",
        "ce_id": b"1",
        "ce_source": b"jobs.acme",
        "ce_subject": b"acme/j@1",
        "ce_time": b"2026-01-01T00:00:00Z",
        "ce_correlationid": b"c",
        "ce_causationid": b"d",
    }
    short = to_headers(Published("t", b"", Origin("1", "s")))
    assert [name for name, _ in short if name.startswith("ce_")] == [
        "ce_specversion",
        "ce_type",
        "ce_id",
        "ce_source",
    ]


@given(st.one_of(st.none(), any_headers), st.one_of(st.none(), st.binary()))
def test_no_headers_raise(headers: Headers | None, value: bytes | None) -> None:
    """Whatever comes is an event, or a refusal that can be stored and shown."""
    found = from_record(headers, value, topic="job.events.main")
    if isinstance(found, Refused):
        assert found.rejection is Rejection.MALFORMED
        assert found.topic == "job.events.main"
        assert found.field in found.sentence
        found.sentence.encode()
        assert found.published.payload == (value or b"")
    else:
        assert found.ce_type
        assert found.origin.ce_id
        assert found.payload == value


def test_headers_of_others_are_left_alone() -> None:
    """Tracing and extensions that this system does not know change nothing, whatever is in them."""
    foreign = (("traceparent", b"\xff"), ("ce_partitionkey", b"\xff"), ("ce_partitionkey", None))
    assert from_record((*GOOD, *foreign), b"x") == from_record(GOOD, b"x")
    assert isinstance(from_record(GOOD, b"x"), Published)


@pytest.mark.parametrize(
    ("more", "without", "field", "rule"),
    [
        ((), "ce_type", "ce_type", "must be there"),
        ((), "ce_id", "ce_id", "must be there"),
        ((("ce_id", b""),), "ce_id", "ce_id", "must be there"),
        ((("ce_id", None),), "ce_id", "ce_id", "must be there"),
        ((), "ce_source", "ce_source", "must be there"),
        ((("ce_id", b"\xff\xfe"),), "ce_id", "ce_id", "must be UTF-8"),
        ((("ce_subject", b"a\xc3"),), "", "ce_subject", "must be UTF-8"),
        ((("ce_type", b"other"),), "", "ce_type", "must be given once"),
        ((("ce_specversion", b"0.3"),), "ce_specversion", "ce_specversion", "must be 1.0"),
        ((("content-type", b"application/cloudevents+json"),), "", "content-type", "binary mode"),
    ],
)
def test_a_record_that_is_no_event_is_refused_by_its_header(
    more: Headers, without: str, field: str, rule: str
) -> None:
    """The refusal names the header and the rule, and keeps the payload for a replay."""
    headers = [header for header in GOOD if header[0] != without]
    found = from_record([*headers, *more], b"payload")
    assert isinstance(found, Refused)
    assert found.field == field
    assert rule in found.rule
    assert found.published.payload == b"payload"


def test_a_record_without_a_value_is_no_event() -> None:
    """A tombstone says nothing; an event whose message is empty has an empty value and is one."""
    found = from_record(GOOD, None)
    assert isinstance(found, Refused)
    assert found.field == "payload"
    assert isinstance(from_record(GOOD, b""), Published)


def test_an_event_of_which_the_broker_knows_no_version_is_taken() -> None:
    """Without a version it is read as the one this system knows."""
    assert isinstance(from_record(GOOD[1:], b""), Published)
