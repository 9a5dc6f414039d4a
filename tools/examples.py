# SPDX-License-Identifier: Apache-2.0
"""Write `docs/examples/`, a complete record of every event that upstream publishes, or check it.

    python -m tools.examples write
    python -m tools.examples check

Of each event type there is what stands in the record (topic, key, headers) with the payload in
JSON form, and the payload itself, as bytes. `events.ndjson` has all of them in the form that
`singlepool publish` reads. The values are those of the codec's tests.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct, json

from schemas.catalogue import CATALOGUE, EventType
from schemas.codec import event_to_json, publish
from schemas.records import Origin, Published
from streams.kafka.headers import to_headers
from streams.kafka.keys import key_of
from streams.kafka.topics import ANYBODY, declare
from streams.publish import to_line
from streams.sources import UPSTREAM
from tests.schemas.samples import SAMPLES
from tools.documents import Files, command
from tools.protos import ROOT

FOLDER = Path("docs/examples")
_TIME = "2026-01-01T00:00:00Z"


class Example(Struct, frozen=True):
    """One record, as it stands on its topic, and its payload in JSON form."""

    topic: str
    key: str
    headers: dict[str, str]
    data: dict[str, object]


def published_example(entry: EventType) -> tuple[Published, Example]:
    """Return the example of an event type that upstream publishes."""
    event = SAMPLES[entry.event]
    key = key_of(event).decode()
    word = entry.ce_type.removeprefix("singlepool.").removesuffix(".v1")
    source = f"{entry.family.removesuffix('.events')}.example"
    published = publish(event, Origin(f"{word}-1", source, key, _TIME, key, ""))
    topic = declare().published(entry.family, ANYBODY.name).name
    return published, Example(topic, key, _texts(published), event_to_json(event))


def _texts(published: Published) -> dict[str, str]:
    """Return headers as text; what the codec gives is UTF-8 and has a value."""
    return {
        name: value.decode() if isinstance(value, bytes) else str(value)
        for name, value in to_headers(published)
    }


def files() -> Files:
    """Return every example's files."""
    made: dict[Path, bytes] = {}
    lines: list[bytes] = []
    for entry in CATALOGUE:
        if entry.family not in UPSTREAM:
            continue
        published, example = published_example(entry)
        made[FOLDER / f"{entry.ce_type}.json"] = json.format(json.encode(example)) + b"\n"
        made[FOLDER / f"{entry.ce_type}.binpb"] = published.payload
        lines.append(to_line(published) + b"\n")
    made[FOLDER / "events.ndjson"] = b"".join(lines)
    return made


def main(arguments: Sequence[str]) -> int:
    """Run one of the two commands; return the exit code."""
    return command(arguments, __doc__, ROOT, files, FOLDER)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
