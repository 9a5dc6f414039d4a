# SPDX-License-Identifier: Apache-2.0
"""What lies in the ledger's partition, as bytes: records and notes, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ledger import CorruptLedgerError
from streams.kafka.entries import (
    Note,
    Placed,
    note_headers,
    note_value,
    read_entry,
    record_headers,
)
from streams.kafka.headers import Headers

counts = st.integers(0, 2**53)
notes = st.builds(Note, counts, counts, st.text(), st.dictionaries(st.text(), counts, max_size=5))


@given(counts, st.binary())
def test_a_record_comes_back_with_its_position(position: int, data: bytes) -> None:
    """Any bytes, none among them."""
    assert read_entry(record_headers(position), data, "here") == Placed(position, data)


@given(notes)
def test_a_note_comes_back(note: Note) -> None:
    """Head, writer and inputs, whatever they are called."""
    assert read_entry(note_headers(), note_value(note), "here") == note


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        (None, b"x"),
        ([], b"x"),
        ([("position", b"1")], b"x"),
        ([("position", None)], b"x"),
        ([*record_headers(1), ("note", b"")], b"x"),
        (note_headers(), b"\xc1"),
        (note_headers(), None),
    ],
)
def test_anything_else_is_damage(headers: Headers | None, value: bytes | None) -> None:
    """The error says where it lies."""
    with pytest.raises(CorruptLedgerError, match="here holds"):
        read_entry(headers, value, "here")
