# SPDX-License-Identifier: Apache-2.0
# pyright: basic
# pyarrow ships no types, so strict mode knows nothing here.
"""Envelopes by columns: what the codec says of each, whichever way they are read."""

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import columns as columns_module
from analytics import wire
from analytics.columns import columns, open_all
from schemas import jobs
from schemas.codec import RECORD_DESCRIPTOR, encode_record, open_envelope, publish
from schemas.errors import DecodeError
from schemas.ids import JobId
from schemas.records import NO_ORIGIN, Origin
from tests.schemas.strategies import ORIGINS

UNKNOWN_FIELD = b"\xf8\x06\x01"
"""Field 111, which a newer build may have; ours passes over it."""

SAID = st.lists(st.tuples(ORIGINS, st.none() | st.integers(0, 2**62), st.booleans()), max_size=5)
STARTED = jobs.JobStarted(JobId("acme/train@1"), 1)


def envelopes(said: Sequence[tuple[Origin, int | None, bool]]) -> list[bytes]:
    return [
        encode_record(at, at + 9, publish(STARTED, origin), cause, skippable=skippable)
        for at, (origin, cause, skippable) in enumerate(said)
    ]


def hold_to_the_codec(data: Sequence[bytes]) -> None:
    opened = open_all(pa.array(data, pa.binary())).to_pydict()
    for at, one in enumerate(map(open_envelope, data)):
        assert (opened["position"][at], opened["recorded_ms"][at]) == (
            one.position,
            one.recorded_ms,
        )
        assert (opened["ce_type"][at], opened["payload"][at]) == (
            one.published.ce_type,
            one.published.payload,
        )
        assert (opened["cause"][at], opened["skippable"][at]) == (one.cause, one.skippable)
        for name in Origin.__struct_fields__:
            assert opened[name][at] == getattr(one.published.origin, name)
    assert all(len(column) == len(data) for column in opened.values())


@given(SAID)
def test_envelopes_by_columns_say_what_they_say_one_by_one(
    said: list[tuple[Origin, int | None, bool]],
) -> None:
    """Each column holds a value per record, in order; of no records, none."""
    data = envelopes(said)
    read = wire.read(RECORD_DESCRIPTOR, pa.array(data, pa.binary()))
    assert read is not None
    assert read.again.to_pylist() == data  # so that it is the quick way that is held to the codec
    hold_to_the_codec(data)


@given(SAID)
def test_envelopes_of_a_newer_build_are_read_by_the_codec(
    said: list[tuple[Origin, int | None, bool]],
) -> None:
    """A field that is not known here is passed over, and no byte of the envelope is lost."""
    data = [envelope + UNKNOWN_FIELD for envelope in envelopes(said)]
    hold_to_the_codec(data)
    assert pa.table(dict(columns(data, 0)))["envelope"].to_pylist() == data


def test_a_damaged_envelope_is_refused() -> None:
    """With the codec's words."""
    data = [*envelopes([(NO_ORIGIN, None, False)]), b"\xff" * 5]
    with pytest.raises(DecodeError, match="5 bytes are not a ledger record"):
        open_all(pa.array(data, pa.binary()))


def test_many_bytes_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few are taken at once, the columns are the same, and positions go on across parts."""
    data = envelopes([(NO_ORIGIN, at, False) for at in range(7)])
    whole = pa.table(dict(columns(data, 0)))
    monkeypatch.setattr(columns_module, "AT_ONCE_BYTES", 2 * len(data[-1]))
    assert [part.stop - part.start for part in columns_module._parts(data)] == [2, 2, 2, 1]  # noqa: SLF001  # shows nowhere else
    assert pa.table(dict(columns(data, 0))).equals(whole)
