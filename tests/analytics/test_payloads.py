# SPDX-License-Identifier: Apache-2.0
# pyright: basic
# pyarrow ships no types, so strict mode knows nothing here.
"""What payloads say by columns is what the codec says of each, field for field and in its order."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import payloads
from analytics.subjects import subjects
from schemas import jobs
from schemas.catalogue import BY_EVENT, Event
from schemas.codec import decode_event, encode_event
from schemas.errors import DecodeError, UnknownEventError
from schemas.ids import JobId
from tests.schemas.samples import SAMPLES as SAMPLES_BY_TYPE
from tests.schemas.strategies import ALL_TYPES, any_event, valid_events

SAMPLES = tuple(SAMPLES_BY_TYPE.values())
SUBMITTED, STARTED = (BY_EVENT[e].ce_type for e in (jobs.JobSubmitted, jobs.JobStarted))


def told(said: Sequence[tuple[str, bytes]], *, skippable: bool = False) -> list[dict[str, Any]]:
    """What payloads say, a dictionary per row."""
    types = pa.array([ce_type for ce_type, _ in said], pa.string())
    bodies = pa.array([payload for _, payload in said], pa.binary())
    rows = payloads.told(types, bodies, pa.array([skippable] * len(said))).to_pylist()
    return [row | {"data": row["data"] and rewritten(row["data"])} for row in rows]


def rewritten(text: str) -> str:
    """The same JSON, written in one way: DuckDB has codes of control characters in capitals."""
    return msgspec.json.encode(msgspec.json.decode(text)).decode()


def by_codec(event: Event) -> dict[str, Any]:
    """What the codec says of an event."""
    job, attempt, node = subjects(event)
    data = msgspec.json.encode(event).decode()
    return {"data": data, "job": job, "attempt": attempt, "node": node}


@given(st.lists(st.sampled_from(ALL_TYPES).flatmap(any_event), max_size=12))
def test_all_that_the_wire_can_carry_reads_alike(events: list[Event]) -> None:
    """In the order that it came, whatever stands beside it."""
    said = [(BY_EVENT[type(event)].ce_type, encode_event(event)) for event in events]
    assert told(said) == [by_codec(event) for event in events]


@given(st.lists(valid_events(), min_size=1, max_size=6))
def test_nothing_that_an_upstream_may_say_is_left_to_the_codec(events: list[Event]) -> None:
    """Of every type all is sound: the way of the many is the quick one."""
    for event in events:
        read = payloads._read(BY_EVENT[type(event)].ce_type, pa.array([encode_event(event)]))  # noqa: SLF001  # the way it took shows nowhere else
        assert read is not None
        assert read["sound"].to_pylist() == [True]


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_every_type_of_the_contract_is_read_by_columns(event: Event) -> None:
    """With no field at its default, decisions and all."""
    read = payloads._read(BY_EVENT[type(event)].ce_type, pa.array([encode_event(event)]))  # noqa: SLF001  # as above
    assert read is not None
    assert read.to_pylist() == [by_codec(event) | {"sound": True}]


def outcome(ce_type: str, payload: bytes) -> dict[str, Any] | str:
    """What the codec makes of bytes: what they say, or why they are no event."""
    try:
        return by_codec(decode_event(ce_type, payload))
    except DecodeError as error:
        return str(error)


@given(st.data())
def test_damaged_bytes_fare_as_they_do_with_the_codec(data: st.DataObject) -> None:
    """Cut, changed or grown, they are read alike or refused with the same words."""
    event = data.draw(st.sampled_from(SAMPLES))
    payload = bytearray(encode_event(event))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(payload)))
        payload[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    ce_type, body = BY_EVENT[type(event)].ce_type, bytes(payload)
    expected = outcome(ce_type, body)
    whole = (STARTED, encode_event(jobs.JobStarted(JobId("acme/train@1"), 1)))
    if isinstance(expected, str):
        with pytest.raises(DecodeError) as refused:
            told([whole, (ce_type, body)])
        assert str(refused.value) == expected
    else:
        assert told([whole, (ce_type, body)])[1] == expected


def test_a_payload_that_is_written_in_another_way_is_read_by_the_codec() -> None:
    """A field twice, the last of which counts; a field that the contract does not have."""
    started = encode_event(jobs.JobStarted(JobId("acme/train@1"), 1))
    for more in (b"\x10\x07", b"\x98\x06\x01"):
        payload = started + more
        assert told([(STARTED, payload)]) == [by_codec(decode_event(STARTED, payload))]


def test_a_message_that_is_not_set_has_its_defaults_as_the_codec_has_them() -> None:
    """Not null: a job without a tier is refused by the field, as the codec does."""
    with pytest.raises(DecodeError, match="job"):
        told([(SUBMITTED, b"")])


def test_an_unknown_type_is_passed_over_only_where_it_may_be() -> None:
    """All is null then; otherwise it is refused by its name."""
    unknown = ("singlepool.future.thing.v9", b"\x08\x01")
    assert told([unknown], skippable=True) == [dict.fromkeys(("data", "job", "attempt", "node"))]
    with pytest.raises(UnknownEventError, match="future"):
        told([unknown])


def test_no_payload_says_nothing() -> None:
    """Of none there are no rows, and the columns are there."""
    assert told([]) == []
