# SPDX-License-Identifier: Apache-2.0
"""Events in a file, for an upstream without a client of its own: read, checked, ready to publish.

One JSON object a line (NDJSON), or one JSON array of them:

    {"ce_type": "singlepool.job.submitted.v1", "ce_source": "jobs.acme", "data": {"job": {...}}}

`data` is the event in protobuf's JSON form; `payload`, instead of it, its bytes in base64. The
other CloudEvents attributes may be given. Reading checks everything that intake would under the
rules that it is given, so a dry run is to read and publish nothing. Every wrong line is named, not
only the first.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import cast

from msgspec import DecodeError as JsonDecodeError
from msgspec import Raw, Struct, json

from schemas.codec import event_from_json, payload_to_json
from schemas.codec_fields import FieldError, nearest
from schemas.errors import CallerError, DecodeError, UnknownEventError
from schemas.records import Origin, Published
from streams.intake import Refused, intake
from streams.sources import ALLOW_ALL, SourceRules

_ATTRIBUTES = Origin.__struct_fields__
_KEYS = ("ce_type", *_ATTRIBUTES, "data", "payload")
_ID_DIGITS = 32
_AT_BYTE = re.compile(rb"\(byte (\d+)\)")


class UnreadableFileError(CallerError):
    """The file cannot be read; the message says which and why."""


class Problem(Struct, frozen=True):
    """What is wrong with the event that begins on a line, counted from 1."""

    line: int
    sentence: str


class Reading(Struct, frozen=True):
    """What a file holds: the events that intake accepts, in order, and what is wrong with the rest.

    An event without `ce_id` has one made from its content, so publishing a file twice is harmless.
    """

    events: tuple[Published, ...]
    problems: tuple[Problem, ...]


def read_file(path: Path, source: str, rules: SourceRules = ALLOW_ALL) -> Reading:
    """Return the events of a file; `source` is the `ce_source` of those that name none.

    Raises `UnreadableFileError`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise UnreadableFileError(msg) from error
    return read_events(data, source, rules)


def read_events(data: bytes, source: str, rules: SourceRules = ALLOW_ALL) -> Reading:
    """Return the events in the text of a file."""
    events: list[Published] = []
    problems: list[Problem] = []
    for line, text in _elements(data):
        judged = _read(text, source, rules)
        if isinstance(judged, Published):
            events.append(judged)
        else:
            problems.append(Problem(line + judged.line, judged.sentence))
    return Reading(tuple(events), tuple(problems))


def event_id(ce_type: str, payload: bytes) -> str:
    """Return the id of an event that was given none: a digest of its type and content."""
    return sha256(ce_type.encode() + b"\n" + payload).hexdigest()[:_ID_DIGITS]


def to_line(published: Published) -> bytes:
    """Return an event as a line that `read_events` reads, to be mended by hand and published again.

    What cannot be shown as JSON is given as its bytes.
    """
    entry: dict[str, object] = {"ce_type": published.ce_type}
    given = {name: getattr(published.origin, name) for name in _ATTRIBUTES}
    entry.update((name, value) for name, value in given.items() if value)
    try:
        entry["data"] = payload_to_json(published.ce_type, published.payload)
    except (DecodeError, UnknownEventError):
        entry["payload"] = b64encode(published.payload).decode()
    return json.encode(entry)


# --- from text to elements ------------------------------------------------------------------------


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield line and text of each event: elements of an array, or lines that are not blank."""
    if data.lstrip()[:1] == b"[":
        yield from _array_elements(data)
        return
    for line, text in enumerate(data.split(b"\n"), 1):
        if text.strip():
            yield line, text


def _array_elements(data: bytes) -> Iterable[tuple[int, bytes]]:
    try:
        raws = json.decode(data, type=list[Raw])
    except (JsonDecodeError, UnicodeDecodeError, RecursionError):
        return [(1, data)]
    found: list[tuple[int, bytes]] = []
    at, line = 0, 1
    for raw in raws:
        text = bytes(raw)
        begin = data.index(text, at)
        line += data.count(b"\n", at, begin)
        found.append((line, text))
        line += text.count(b"\n")
        at = begin + len(text)
    return found


# --- from elements to events ----------------------------------------------------------------------


def _read(text: bytes, source: str, rules: SourceRules) -> Published | Problem:
    """Return the event in an element, or what is wrong on which of its lines, counted from 0."""
    try:
        published = _published(json.decode(text), source)
    except (JsonDecodeError, UnicodeDecodeError, RecursionError) as error:
        found = _AT_BYTE.search(str(error).encode())
        before = text[: int(found[1])] if found else b""
        return Problem(before.count(b"\n"), f"not JSON: {error}")
    except CallerError as error:
        return Problem(0, str(error))
    judged = intake(published, rules)
    return Problem(0, judged.sentence) if isinstance(judged, Refused) else published


def _published(decoded: object, source: str) -> Published:
    entry = _entry(decoded)
    ce_type = entry["ce_type"]
    if not isinstance(ce_type, str):
        raise FieldError(field="ce_type", value=ce_type, rule="must be text")
    content = _content(ce_type, entry)
    given = {name: entry[name] for name in _ATTRIBUTES if name in entry}
    for name, value in given.items():
        if not isinstance(value, str):
            raise FieldError(name, value, "must be text", ce_type)
    texts = cast("Mapping[str, str]", given)
    defaults = {"ce_id": event_id(ce_type, content), "ce_source": source}
    return Published(ce_type, content, Origin(**{**defaults, **texts}))


def _entry(decoded: object) -> Mapping[str, object]:
    if not isinstance(decoded, dict):
        rule = "must be an object with ce_type and data"
        raise FieldError(field="", value=decoded, rule=rule)
    entry = cast("Mapping[str, object]", decoded)
    for key, value in entry.items():
        if key not in _KEYS:
            meant = nearest(key, _KEYS) or f", only {', '.join(_KEYS)}"
            raise FieldError(key, value, f"there is no such attribute{meant}")
    if "ce_type" not in entry:
        raise FieldError(field="ce_type", value="", rule="must be there")
    if ("data" in entry) == ("payload" in entry):
        rule = "must be there, or payload instead of it"
        raise FieldError(field="data", value="", rule=rule)
    return entry


def _content(ce_type: str, entry: Mapping[str, object]) -> bytes:
    """Return an event's bytes, however they are given."""
    if "payload" in entry:
        return _from_base64(entry["payload"])
    try:
        return event_from_json(ce_type, cast("Mapping[str, object]", entry["data"])).payload
    except FieldError as error:
        raise error.about(ce_type) from error


def _from_base64(value: object) -> bytes:
    if isinstance(value, str):
        try:
            return b64decode(value, validate=True)
        except ValueError:
            pass
    raise FieldError(field="payload", value=value, rule="must be bytes in base64")
