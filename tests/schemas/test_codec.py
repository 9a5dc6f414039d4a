# SPDX-License-Identifier: Apache-2.0
"""Bytes become values and values bytes, without loss, and what is no event is refused by name."""

import pytest
from google.protobuf import descriptor_pool as default_pool
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from schemas import fleet, jobs
from schemas.catalogue import BY_EVENT, CATALOGUE, Event, EventType
from schemas.codec import (
    decode_event,
    decode_record,
    encode_event,
    encode_record,
    open_envelope,
    publish,
)
from schemas.codec_fields import FieldError
from schemas.errors import DecodeError, UnknownEventError
from schemas.ids import JobId, RegionName
from schemas.records import Origin, Published, Record
from schemas.v1 import fleet_pb2, job_pb2
from tests.schemas.strategies import ALL_TYPES, ORIGINS, any_event

SUBMITTED = "singlepool.job.submitted.v1"
STARTED = "singlepool.job.started.v1"
every_type = pytest.mark.parametrize("entry", CATALOGUE, ids=lambda e: e.ce_type)


@every_type
def test_every_event_comes_back_as_it_was(entry: EventType) -> None:
    """Decoding what was encoded gives the same value, whatever its fields hold."""

    @given(any_event(entry.event))
    def returns(event: Event) -> None:
        assert decode_event(entry.ce_type, encode_event(event)) == event

    returns()


@given(
    st.sampled_from(ALL_TYPES).flatmap(any_event),
    ORIGINS,
    st.integers(0, 2**62),
    st.none() | st.integers(0, 2**62),
)
def test_a_record_comes_back_with_all_it_carried(
    event: Event, origin: Origin, position: int, cause: int | None
) -> None:
    """Position, time, cause and origin survive; no cause is not the cause 0."""
    published = publish(event, origin)
    data = encode_record(position, position + 1, published, cause, skippable=True)
    assert decode_record(data) == Record(position, position + 1, event, cause)
    opened = open_envelope(data)
    assert opened.published == published
    assert (opened.position, opened.cause, opened.skippable) == (position, cause, True)
    assert encode_record(position, position + 1, published, cause, skippable=True) == data


def test_bytes_that_end_too_early_are_no_event() -> None:
    """Cut anywhere inside a field, a payload is refused and its type named."""
    payload = encode_event(jobs.JobStarted(JobId("acme/train@1"), 300))
    whole_fields = {0, len(payload) - 3, len(payload)}
    for end in set(range(len(payload))) - whole_fields:
        with pytest.raises(DecodeError, match=STARTED):
            decode_event(STARTED, payload[:end])


def test_text_that_is_not_utf8_is_no_event() -> None:
    """A string field holds UTF-8."""
    with pytest.raises(DecodeError, match="JobStarted"):
        decode_event(STARTED, b"\x0a\x02\xff\xfe\x10\x01")


def test_a_field_of_the_wrong_wire_type_is_not_taken_for_it() -> None:
    """A number where text should be leaves the text empty, which validation refuses by name."""
    assert decode_event(STARTED, b"\x08\x07\x10\x01") == jobs.JobStarted(JobId(""), 1)


@pytest.mark.parametrize(
    ("message", "ce_type", "field", "value"),
    [
        (job_pb2.JobSubmitted(), SUBMITTED, "job", ""),
        (
            job_pb2.JobSubmitted(job=job_pb2.Job(tier=job_pb2.TIER_BASIC)),
            SUBMITTED,
            "job.worker",
            "",
        ),
        (job_pb2.JobSubmitted(job=job_pb2.Job(tenant="a")), SUBMITTED, "job.tier", "0"),
        (job_pb2.JobTierChanged(tier=9), "singlepool.job.tier_changed.v1", "tier", "9"),  # type: ignore[arg-type]  # not an enum value
        (
            fleet_pb2.NodeHealthReported(node="n"),
            "singlepool.fleet.node_health.reported.v1",
            "health",
            "0",
        ),
    ],
    ids=lambda v: "" if isinstance(v, Message) else str(v),
)
def test_what_is_not_there_or_names_nothing_is_refused_by_its_path(
    message: Message, ce_type: str, field: str, value: str
) -> None:
    """An absent message and an unset or unknown enumeration are errors that name the field."""
    with pytest.raises(FieldError) as caught:
        decode_event(ce_type, message.SerializeToString())
    assert (caught.value.field, caught.value.value) == (field, value)
    assert str(caught.value).startswith(f"{ce_type}: {field} is ")


def test_an_enumeration_inside_a_list_is_named_by_its_number() -> None:
    """The path of a wrong element says which one it is."""
    payload = b"\x0a\x0e\x2a\x04\x08\x01\x10\x01\x2a\x06\x08\x07\x10\x01\x18\x01"
    with pytest.raises(
        FieldError, match=r"policy\.tiers\[1\]\.tier is 7: must be one of TIER_PREM"
    ):
        decode_event("singlepool.decision.policy_activated.v1", payload)


def test_fields_of_a_later_contract_are_kept_and_have_no_meaning() -> None:
    """Unknown fields stay in the ledger's bytes and change nothing that is decoded from them."""
    event = jobs.JobStarted(JobId("acme/train@1"), 1)
    payload = encode_event(event) + b"\xfa\x3f\x05later"
    data = encode_record(0, 0, Published(STARTED, payload))
    assert decode_record(data) == Record(0, 0, event)
    assert open_envelope(data).published.payload == payload


def test_an_unknown_type_stops_the_fold_and_says_what_may_be_meant() -> None:
    """Neither a misspelt type nor a later version is passed over."""
    for ce_type, meant in (
        ("singlepool.job.startd.v1", STARTED),
        ("singlepool.job.started.v2", STARTED),
    ):
        data = encode_record(3, 0, Published(ce_type, b""))
        with pytest.raises(UnknownEventError, match=f"did you mean {meant}"):
            decode_record(data)


def test_an_unknown_type_that_is_skippable_is_passed_over() -> None:
    """A record that its writer marked so is no reason to stop; a damaged known one still is."""
    assert decode_record(encode_record(3, 0, Published("x.v2", b"\xff"), skippable=True)) is None
    with pytest.raises(DecodeError):
        decode_record(encode_record(3, 0, Published(STARTED, b"\xff"), skippable=True))


def test_an_old_version_is_read_by_its_upcaster() -> None:
    """A version that an upcaster knows decodes to the current type, alone and in a record."""
    old = "singlepool.fleet.region.declared.v0"

    def upcast(payload: bytes) -> Event:
        return fleet.RegionDeclared(fleet.Region(RegionName(payload.decode()), 1))

    expected = fleet.RegionDeclared(fleet.Region(RegionName("west"), 1))
    assert decode_event(old, b"west", {old: upcast}) == expected
    data = encode_record(5, 7, Published(old, b"west"), skippable=True)
    assert decode_record(data, {old: upcast}) == Record(5, 7, expected)
    assert decode_record(data) is None
    with pytest.raises(UnknownEventError):
        decode_event(old, b"west")


def test_damaged_envelopes_are_refused() -> None:
    """Bytes that are no envelope are an error of their own."""
    for read in (decode_record, open_envelope):
        with pytest.raises(DecodeError, match="not a ledger record"):
            read(b"\xff\xff")


@every_type
def test_a_message_and_its_value_have_the_same_fields(entry: EventType) -> None:
    """The codec pairs fields by name, so none may be missing on either side."""
    message = default_pool.Default().FindMessageTypeByName(f"singlepool.v1.{entry.message}")
    assert [field.name for field in message.fields] == list(entry.event.__struct_fields__)


def test_catalogue_names_are_unique() -> None:
    """One type on the wire is one type here."""
    assert len({e.ce_type for e in CATALOGUE}) == len(CATALOGUE) == len(BY_EVENT)
