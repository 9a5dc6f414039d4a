# SPDX-License-Identifier: Apache-2.0
"""CloudEvents in binary mode on Kafka: attributes as `ce_` headers, the event's bytes as the value.

A record that is none is refused with a reason, as intake refuses; whatever bytes come, nothing here
raises. Headers of others (tracing, say) are left alone.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from msgspec import structs

from schemas.reasons import Rejection
from schemas.records import Origin, Published
from schemas.validation import shown
from streams.intake import Refused

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/protobuf"
_STRUCTURED = "application/cloudevents"

_TYPE, _VERSION, _CONTENT = "ce_type", "ce_specversion", "content-type"
_BY_FIELD: Mapping[str, str] = MappingProxyType(
    {
        "ce_id": "ce_id",
        "ce_source": "ce_source",
        "ce_subject": "ce_subject",
        "ce_time": "ce_time",
        "correlation_id": "ce_correlationid",
        "causation_id": "ce_causationid",
    }
)
"""Header by field of `Origin`; CloudEvents' extensions are spelled without underscores."""

_REQUIRED = (_TYPE, "ce_id", "ce_source")
_READ = frozenset((_TYPE, _VERSION, _CONTENT, *_BY_FIELD.values()))

Headers = Sequence[tuple[str, str | bytes | None]]
"""A record's headers as a client gives and takes them."""


def to_headers(published: Published) -> list[tuple[str, str | bytes | None]]:
    """Return the headers that say what a published event is; attributes that are empty are none."""
    attributes = structs.asdict(published.origin)
    given = [(header, attributes[field]) for field, header in _BY_FIELD.items()]
    return [
        (_VERSION, SPEC_VERSION.encode()),
        (_CONTENT, CONTENT_TYPE.encode()),
        (_TYPE, published.ce_type.encode()),
        *((header, value.encode()) for header, value in given if value),
    ]


def from_record(
    headers: Headers | None, value: bytes | None, *, topic: str = ""
) -> Published | Refused:
    """Return the event that a record holds, or why it is none that this system takes."""
    texts: dict[str, str] = {}
    wrong = _read(headers or (), texts) or _judge(texts, value)
    origin = Origin(**{field: texts.get(header, "") for field, header in _BY_FIELD.items()})
    published = Published(texts.get(_TYPE, ""), value or b"", origin)
    if wrong is None:
        return published
    field, found, rule = wrong
    return Refused(published, Rejection.MALFORMED, field, shown(found), rule, topic)


_Wrong = tuple[str, object, str]
"""A header's name, what it holds, and the rule that it breaks."""


def _read(headers: Headers, texts: dict[str, str]) -> _Wrong | None:
    """Put the headers that count into `texts`, as far as readable; return the first that is not."""
    wrong: _Wrong | None = None
    for name, value in headers:
        if name not in _READ:
            continue
        if name in texts:
            wrong = wrong or (name, texts[name], "must be given once")
            continue
        data = value.encode(errors="surrogatepass") if isinstance(value, str) else value or b""
        try:
            texts[name] = data.decode()
        except UnicodeDecodeError:
            texts[name] = data.decode(errors="backslashreplace")
            wrong = wrong or (name, texts[name], "must be UTF-8")
    return wrong


def _judge(texts: Mapping[str, str], value: bytes | None) -> _Wrong | None:
    content = texts.get(_CONTENT, CONTENT_TYPE)
    if content.startswith(_STRUCTURED):
        return _CONTENT, content, "must be CloudEvents in binary mode: attributes as ce_ headers"
    for name in _REQUIRED:
        if not texts.get(name):
            return name, "", "must be there, as a header"
    version = texts.get(_VERSION, SPEC_VERSION)
    if version != SPEC_VERSION:
        return _VERSION, version, f"must be {SPEC_VERSION}"
    if value is None:
        return "payload", "", "must be there: a record without a value is a tombstone"
    return None
