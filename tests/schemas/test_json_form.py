# SPDX-License-Identifier: Apache-2.0
"""Events as JSON: complete on the way out, held to the contract on the way in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import BY_EVENT, Event
from schemas.codec import (
    decode_event,
    encode_event,
    event_from_json,
    event_to_json,
    payload_to_json,
)
from schemas.codec_fields import FieldError
from schemas.errors import DecodeError, UnknownEventError
from schemas.jobs import JobStarted
from schemas.records import Origin
from tests.schemas.samples import ID, SAMPLES
from tests.schemas.strategies import ALL_TYPES, any_event

SUBMITTED = "singlepool.job.submitted.v1"
STARTED = "singlepool.job.started.v1"


@given(st.sampled_from(ALL_TYPES).flatmap(any_event))
def test_json_comes_back_as_the_same_bytes(event: Event) -> None:
    """Writing an event as JSON and reading it gives its payload, also through text."""
    ce_type = BY_EVENT[type(event)].ce_type
    form = event_to_json(event)
    assert event_from_json(ce_type, form).payload == encode_event(event)
    assert event_from_json(ce_type, json.dumps(form).encode()).payload == encode_event(event)


def test_integers_are_numbers_or_text() -> None:
    """64-bit integers are written as text, which loses nothing, and read in both ways."""
    for attempt in (7, "7"):
        published = event_from_json(STARTED, {"job": ID, "attempt": attempt}, Origin("e-1"))
        assert decode_event(STARTED, published.payload) == JobStarted(ID, 7)
        assert published.origin == Origin("e-1")
    assert event_to_json(JobStarted(ID, 2**53)) == {"job": ID, "attempt": str(2**53)}


def test_names_of_fields_may_be_those_of_the_contract_or_of_javascript() -> None:
    """`workers_min` and `workersMin` are the same field, and null is not set."""
    for name in ("workers_min", "workersMin"):
        published = event_from_json(SUBMITTED, {"job": {name: 3, "team": None}})
        assert payload_to_json(SUBMITTED, published.payload)["job"].get("workers_min") == "3"  # type: ignore[attr-defined]  # JSON


@pytest.mark.parametrize(
    ("data", "field", "rule"),
    [
        ({"jobs": {}}, "jobs", "did you mean job?"),
        ({"job": {"worker_min": 1}}, "job.worker_min", "did you mean workers_min?"),
        ({"job": {"zzz": 1}}, "job.zzz", "Job, which has tenant, name, generation"),
        (
            {"job": {"constraints": {"labels": [{"kye": 1}]}}},
            "job.constraints.labels[0].kye",
            "key?",
        ),
        ({"job": {"generation": "x"}}, "job.generation", "must be an integer of 64 bits"),
        ({"job": {"generation": True}}, "job.generation", "must be an integer"),
        ({"job": {"generation": 1.5}}, "job.generation", "must be an integer"),
        ({"job": {"generation": 2**63}}, "job.generation", "must be an integer of 64 bits"),
        ({"job": {"generation": "9223372036854775808"}}, "job.generation", "must be an integer"),
        ({"job": {"tier": "premium"}}, "job.tier", "must be one of TIER_PREMIUM, TIER_STANDARD"),
        ({"job": {"tier": 0}}, "job.tier", "must be one of TIER_PREMIUM"),
        ({"job": {"tier": True}}, "job.tier", "must be one of TIER_PREMIUM"),
        ({"job": {"tier": []}}, "job.tier", "must be one of TIER_PREMIUM"),
        ({"job": {"tenant": 1}}, "job.tenant", "must be text"),
        ({"job": {"tenant": "\ud800"}}, "job.tenant", "must be text"),
        ({"job": {"constraints": {"skus": "h100"}}}, "job.constraints.skus", "must be a list"),
        ({"job": {"constraints": {"skus": ["a", 1]}}}, "job.constraints.skus[1]", "must be text"),
        ({"job": {"constraints": {"confidential": 1}}}, "job.constraints.confidential", "or false"),
        ({"job": []}, "job", "must be an object, a Job"),
    ],
)
def test_what_the_contract_does_not_know_is_refused_by_its_path(
    data: dict[str, object], field: str, rule: str
) -> None:
    """An unknown field names the nearest that is known; another kind of value names its rule."""
    with pytest.raises(FieldError) as caught:
        event_from_json(SUBMITTED, data)
    assert caught.value.field == field
    assert rule in caught.value.rule


def test_bytes_are_base64() -> None:
    """Text that is no base64 is no bytes."""
    with pytest.raises(FieldError, match="payload is !: must be bytes in base64"):
        event_from_json("singlepool.decision.event_parked.v1", {"payload": "!"})


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b'{"job": NaN}', b"[" * 100_000, b'"\xed\xa0\x80"']
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    """Damaged text is an error of the caller, whatever is wrong with it."""
    with pytest.raises(DecodeError, match=r"are not JSON|must be an object"):
        event_from_json(SUBMITTED, data)


def test_an_unknown_type_has_no_json() -> None:
    """A type that the contract lacks is refused in both directions."""
    with pytest.raises(UnknownEventError, match="did you mean"):
        event_from_json("singlepool.job.submited.v1", {})
    with pytest.raises(UnknownEventError):
        payload_to_json("x", b"")


def test_a_refused_payload_can_be_looked_at() -> None:
    """What does not decode for an unset enumeration still shows as JSON, so it can be mended."""
    shown = payload_to_json("singlepool.job.tier_changed.v1", b"\x0a\x01x")
    assert shown == {"job": "x", "sequence": "0", "tier": "TIER_UNSPECIFIED"}
    with pytest.raises(DecodeError):
        payload_to_json(STARTED, b"\xff")


def test_every_type_has_a_json_form() -> None:
    """The samples show every field under the contract's name."""
    for sample in SAMPLES.values():
        assert set(event_to_json(sample)) == set(sample.__struct_fields__)
