# SPDX-License-Identifier: Apache-2.0
"""Bytes that were once written are read for ever: the golden file of every event type.

A file is made once and never changed. `python -m tests.schemas.test_golden` writes those that are
missing, for a new event type, and leaves the others alone.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import msgspec
import pytest

from schemas.catalogue import BY_CE_TYPE, CATALOGUE
from schemas.codec import decode_event, encode_event, event_from_json, event_to_json
from tests.schemas.samples import SAMPLES

GOLDEN = Path(__file__).with_name("golden")
PAYLOADS = sorted(GOLDEN.glob("*.binpb"))
Json = Mapping[str, object]
every_file = pytest.mark.parametrize("path", PAYLOADS, ids=lambda p: p.stem)


class Golden(msgspec.Struct, frozen=True):
    """What a payload means: `domain` holds the domain value, `data` its JSON form."""

    domain: dict[str, object]
    data: dict[str, object]


def golden(path: Path) -> Golden:
    return msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=Golden)


@every_file
def test_old_bytes_mean_what_they_meant(path: Path) -> None:
    """A payload decodes to the value that was written down beside it when it was made."""
    entry = BY_CE_TYPE[path.stem]
    expected = msgspec.convert(golden(path).domain, entry.event)
    assert decode_event(entry.ce_type, path.read_bytes()) == expected


@every_file
def test_old_json_means_what_it_meant(path: Path) -> None:
    """The JSON form written down beside a payload gives the very same bytes."""
    published = event_from_json(path.stem, golden(path).data)
    assert published.payload == path.read_bytes()


@every_file
def test_events_are_still_written_as_they_were(path: Path) -> None:
    """Encoding the decoded value gives the same bytes, and the fields of JSON keep their names."""
    event = decode_event(path.stem, path.read_bytes())
    assert encode_event(event) == path.read_bytes()
    assert contains(event_to_json(event), golden(path).data)


def contains(whole: object, part: object) -> bool:
    """Whether all of a JSON value is in another, which may have more fields."""
    if isinstance(part, dict):
        fields, known = cast("Json", part), cast("Json", whole)
        return all(key in known and contains(known[key], fields[key]) for key in fields)
    if isinstance(part, list):
        elements, found = cast("list[object]", part), cast("list[object]", whole)
        return len(found) == len(elements) and all(map(contains, found, elements))
    return whole == part


def test_every_event_type_has_a_golden_file() -> None:
    """A new type gets its file with its first commit, and a type that went keeps it."""
    assert {e.ce_type for e in CATALOGUE} <= {p.stem for p in PAYLOADS}
    assert all(p.with_suffix(".json").exists() for p in PAYLOADS)


def test_samples_leave_no_field_at_its_default() -> None:
    """A golden file pins each field: where one is empty, zero or false, its number is not seen."""
    unset = [path for event in SAMPLES.values() for path in defaults(event, type(event).__name__)]
    assert unset == ["ParkedReleased.admitted"]


def defaults(value: object, path: str) -> Iterator[str]:
    """Yield the paths of fields that protobuf leaves out."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from defaults(getattr(value, name), f"{path}.{name}")
    elif not value:
        yield path
    elif isinstance(value, tuple):
        elements = cast("tuple[object, ...]", value)
        for element in elements:
            if isinstance(element, msgspec.Struct):
                yield from defaults(element, path)


def write_missing() -> None:
    """Write the files of event types that have none."""
    for entry in CATALOGUE:
        path = GOLDEN / f"{entry.ce_type}.binpb"
        event = SAMPLES[entry.event]
        if not path.exists():
            path.write_bytes(encode_event(event))
            meaning = Golden(msgspec.to_builtins(event), event_to_json(event))
            text = msgspec.json.format(msgspec.json.encode(meaning), indent=2)
            path.with_suffix(".json").write_bytes(text + b"\n")


if __name__ == "__main__":
    write_missing()
