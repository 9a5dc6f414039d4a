# SPDX-License-Identifier: Apache-2.0
"""One pure function from what somebody published to an event the engine may judge.

It asks what no state is needed for: size, type, bytes, source, values. It runs in this process for
an embedded ledger and in scaled-out workers before a broker's; what it accepts goes to
`engine.decide`, which asks the rest. It never raises, whatever the bytes.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter

from msgspec import DecodeError as MsgpackDecodeError
from msgspec import Struct, ValidationError, msgpack, structs

from schemas.catalogue import BY_CE_TYPE, Event
from schemas.codec import decode_event
from schemas.codec_fields import FieldError, nearest
from schemas.errors import DecodeError, UnknownEventError
from schemas.ledger import RejectedEvent
from schemas.reasons import WORDING, Rejection
from schemas.records import NO_ORIGIN, Origin, Published
from schemas.upcast import UPCASTERS, Upcaster
from schemas.validation import shown, validate
from schemas.value_rules import ATTRIBUTE, ATTRIBUTE_LENGTH
from streams.sources import ALLOW_ALL, SourceRules

MAX_PAYLOAD_BYTES = 1_048_576
"""The default limit of one event: what a broker takes by default in one message."""


class Accepted(Struct, frozen=True):
    """An event whose bytes, source and values are in order."""

    published: Published
    event: Event


class Refused(Struct, frozen=True):
    """An event that no state could make right: `field` holds `value`, which breaks `rule`.

    It keeps all that was published, and the topic it came by, so that it can be published again.
    """

    published: Published
    rejection: Rejection
    field: str
    value: str
    rule: str
    topic: str = ""

    @property
    def sentence(self) -> str:
        """What the publisher reads: what is wrong, which field, which value, which rule."""
        wrong = f"{self.field} is {self.value or 'empty'}: {self.rule}"
        return f"{self.published.ce_type}: {WORDING[self.rejection]} {wrong}"

    def stored(self, recorded_ms: int) -> RejectedEvent:
        """Return the entry of a ledger's rejected store."""
        wrong = (self.field, self.value, self.rule)
        return RejectedEvent(self.published, self.rejection, *wrong, recorded_ms, self.topic)


class TakenIn(Struct, frozen=True):
    """What became of some published events, in their order: for the engine, and for the store."""

    accepted: tuple[tuple[Published, Event], ...]
    refused: tuple[Refused, ...]


def take_in(arrived: Iterable[Published], rules: SourceRules = ALLOW_ALL) -> TakenIn:
    """Return what `intake` makes of each event, as the engine's host takes it."""
    judged = [intake(published, rules) for published in arrived]
    return TakenIn(
        tuple((j.published, j.event) for j in judged if isinstance(j, Accepted)),
        tuple(j for j in judged if isinstance(j, Refused)),
    )


def intake(
    published: Published,
    rules: SourceRules = ALLOW_ALL,
    *,
    topic: str = "",
    max_payload_bytes: int = MAX_PAYLOAD_BYTES,
    upcasters: Mapping[str, Upcaster] = UPCASTERS,
) -> Accepted | Refused:
    """Return the event that was published, or why it is refused."""
    judged = _judge(published, rules, max_payload_bytes, upcasters)
    if not isinstance(judged, _Wrong):
        return Accepted(published, judged)
    kept = _storable(published)
    return Refused(kept, judged.rejection, judged.field, judged.value, judged.rule, topic)


# --- the rules, in the order in which they are asked ----------------------------------------------


_TEXTS: Callable[[Origin], tuple[str, ...]] = attrgetter(*Origin.__struct_fields__)


class _Wrong(Struct, frozen=True):
    rejection: Rejection
    field: str
    value: str
    rule: str


def _judge(
    published: Published, rules: SourceRules, limit: int, upcasters: Mapping[str, Upcaster]
) -> Event | _Wrong:
    early = _attributes(published) or _size(published, limit)
    if early is not None:
        return early
    event = _decoded(published, upcasters)
    if isinstance(event, _Wrong):
        return event
    return _permitted(published, event, rules) or _valid(event) or event


def _attributes(published: Published) -> _Wrong | None:
    if published.origin is NO_ORIGIN:
        return None
    together = "".join(_TEXTS(published.origin))
    if len(together) <= ATTRIBUTE_LENGTH and together.isprintable():
        return None  # then each of them is, and this takes a quarter of the time
    for name in Origin.__struct_fields__:
        value: str = getattr(published.origin, name)
        if not ATTRIBUTE.holds(value):
            return _Wrong(Rejection.INVALID_VALUE, name, shown(value), ATTRIBUTE.sentence)
    return None


def _size(published: Published, limit: int) -> _Wrong | None:
    size = len(published.payload)
    if size <= limit:
        return None
    return _Wrong(Rejection.TOO_LARGE, "payload", f"{size} bytes", f"must be at most {limit} bytes")


def _decoded(published: Published, upcasters: Mapping[str, Upcaster]) -> Event | _Wrong:
    ce_type, payload = published.ce_type, published.payload
    try:
        return decode_event(ce_type, payload, upcasters)
    except UnknownEventError:
        rule = f"must be a type of docs/events.md{nearest(ce_type, tuple(BY_CE_TYPE))}"
        return _Wrong(Rejection.UNKNOWN_TYPE, "ce_type", shown(ce_type), rule)
    except FieldError as error:
        return _Wrong(Rejection.INVALID_VALUE, error.field, error.value, error.rule)
    except DecodeError as error:
        return _Wrong(Rejection.MALFORMED, "payload", f"{len(payload)} bytes", str(error))


def _permitted(published: Published, event: Event, rules: SourceRules) -> _Wrong | None:
    found = rules.forbids(published.origin.ce_source, event)
    if found is None:
        return None
    return _Wrong(Rejection.NOT_AUTHORISED, found.field, shown(found.value), found.rule)


def _valid(event: Event) -> _Wrong | None:
    found = validate(event)
    if found is None:
        return None
    return _Wrong(Rejection.INVALID_VALUE, found.field, found.value, found.rule)


# --- the rejected store ---------------------------------------------------------------------------


def _storable(published: Published) -> Published:
    """Return what was published, with escapes for text that is no UTF-8, so that it can be kept."""
    origin = published.origin
    texts = {name: _utf8(getattr(origin, name)) for name in Origin.__struct_fields__}
    return Published(_utf8(published.ce_type), published.payload, structs.replace(origin, **texts))


def _utf8(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(Refused).decode


def encode_refused(refused: Refused) -> bytes:
    """Return a refusal as bytes for a rejected topic, complete."""
    return _encode(refused)


def decode_refused(data: bytes) -> Refused:
    """Return the refusal in bytes that `encode_refused` made. Raises `DecodeError` for others."""
    try:
        return _decode(data)
    except (MsgpackDecodeError, ValidationError) as error:
        msg = f"{len(data)} bytes are not a refused event: {error}"
        raise DecodeError(msg) from error
