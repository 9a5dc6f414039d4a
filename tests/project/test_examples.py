# SPDX-License-Identifier: Apache-2.0
"""The examples in the documents are records that intake takes as they stand."""

from pathlib import Path

import msgspec
import pytest

from schemas.catalogue import BY_CE_TYPE, CATALOGUE
from schemas.codec import event_from_json
from schemas.records import Published
from streams.intake import Accepted, intake
from streams.kafka.headers import from_record
from streams.kafka.keys import key_of
from streams.kafka.topics import declare
from streams.publish import read_file
from streams.sources import UPSTREAM
from tools.documents import drift, write
from tools.examples import FOLDER, Example
from tools.protos import ROOT

PUBLIC = [entry.ce_type for entry in CATALOGUE if entry.family in UPSTREAM]


@pytest.mark.parametrize("ce_type", PUBLIC)
def test_every_example_is_accepted_as_it_stands(ce_type: str) -> None:
    """Headers and bytes pass intake under the rules of the topic; the key is the event's own."""
    example = msgspec.json.decode((ROOT / FOLDER / f"{ce_type}.json").read_bytes(), type=Example)
    payload = (ROOT / FOLDER / f"{ce_type}.binpb").read_bytes()
    published = from_record(list(example.headers.items()), payload)
    assert isinstance(published, Published)
    taken = intake(published, declare().rules[example.topic])
    assert isinstance(taken, Accepted)
    assert key_of(taken.event).decode() == example.key
    assert event_from_json(ce_type, example.data).payload == payload
    assert isinstance(taken.event, BY_CE_TYPE[ce_type].event)


def test_the_examples_can_be_published_as_a_file() -> None:
    """`singlepool publish --dry-run` has nothing to say about them, and knows all types."""
    reading = read_file(ROOT / FOLDER / "events.ndjson", source="nobody")
    assert reading.problems == ()
    assert [published.ce_type for published in reading.events] == PUBLIC


def test_drift_is_seen_and_mended(tmp_path: Path) -> None:
    """A file that is missing, changed or made by nothing is named; writing leaves none of them."""
    folder = Path("kept")
    made = {folder / "a": b"1", folder / "b": b"2"}
    write(tmp_path, made, folder)
    assert drift(tmp_path, made, folder) == []
    (tmp_path / folder / "a").unlink()
    (tmp_path / folder / "b").write_bytes(b"other")
    (tmp_path / folder / "c").touch()
    assert drift(tmp_path, made, folder) == [
        "kept/c is made by nothing any more",
        "kept/a is missing",
        "kept/b is not what the contract says",
    ]
    write(tmp_path, made, folder)
    assert drift(tmp_path, made, folder) == []
