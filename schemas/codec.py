# SPDX-License-Identifier: Apache-2.0
"""The one module that touches wire types.

A domain struct and the protobuf message of the same name have the same fields, so both directions
are built once per type from the field lists: a C-level `attrgetter` reads all fields of a message
in one call, and only those that need it (enums, nested, repeated) are converted. Encoding is
deterministic: fields in order, no maps, no unknown fields.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any, get_args, get_origin, get_type_hints

from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError as ProtobufDecodeError
from google.protobuf.message import Message
from msgspec import DecodeError as JsonDecodeError
from msgspec import Struct, json

from schemas.catalogue import BY_CE_TYPE, BY_EVENT, CATALOGUE, Event
from schemas.codec_fields import fill_from_json, nearest, unreadable_field
from schemas.directives import DIRECTIVE_TYPES, Directive
from schemas.errors import DecodeError, UnknownEventError
from schemas.records import NO_ORIGIN, Origin, Published, Record
from schemas.upcast import UPCASTERS, Upcaster
from schemas.v1 import (
    decision_pb2,
    directive_pb2,
    envelope_pb2,
    fleet_pb2,
    job_pb2,
    serving_pb2,
    tenant_pb2,
)

_MODULES = (
    fleet_pb2,
    tenant_pb2,
    job_pb2,
    serving_pb2,
    decision_pb2,
    directive_pb2,
    envelope_pb2,
)

# Wire objects have no common static type; Any stays inside this module.
_Convert = Callable[[Any], Any]


def _wire_class(name: str) -> type[Message]:
    for module in _MODULES:
        if hasattr(module, name):
            found: type[Message] = getattr(module, name)
            return found
    msg = f"contract v1 has no message {name}; add it to schemas/v1 and run `make proto`"
    raise LookupError(msg)


def descriptor_of(event: type[Event]) -> Descriptor:
    """Return what the contract says of an event type's message, for readers of wire bytes."""
    descriptor: Descriptor = _wire_class(event.__name__).DESCRIPTOR  # type: ignore[assignment]  # the stub names both of its kinds
    return descriptor


def _unwrap(hint: Any) -> Any:  # noqa: ANN401  # a type hint has no common type
    """Return the class behind a NewType."""
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    return hint


def _reader(hint: Any) -> _Convert | None:  # noqa: ANN401  # as above
    """Return what turns a wire value into the domain's, or None where they are the same."""
    hint = _unwrap(hint)
    if get_origin(hint) is tuple:
        return _tuple_reader(_reader(get_args(hint)[0]))
    if isinstance(hint, type) and issubclass(hint, Struct):
        return _struct_reader(hint)
    if isinstance(hint, type) and hint not in (int, str, bytes, bool):
        members = {int(member): member for member in hint}  # type: ignore[attr-defined]  # an IntEnum
        return members.__getitem__
    return None


def _tuple_reader(item: _Convert | None) -> _Convert:
    """Return what reads a repeated field; most are empty, and a slice is one call for all of it."""
    if item is None:
        return lambda values: tuple(values[:]) if values else ()
    return lambda values: tuple(map(item, values[:])) if values else ()


def _struct_reader(struct: type[Struct]) -> _Convert:
    hints = get_type_hints(struct)
    names = struct.__struct_fields__
    get = attrgetter(*names)
    conversions = [(i, _reader(hints[n])) for i, n in enumerate(names)]
    special = [(i, convert) for i, convert in conversions if convert is not None]
    if len(names) == 1:
        only = special[0][1] if special else None
        return (lambda m: struct(only(get(m)))) if only else (lambda m: struct(get(m)))
    if not special:
        return lambda m: struct(*get(m))

    def read(message: Any) -> Any:  # noqa: ANN401  # wire and domain have no common type
        values = list(get(message))
        for i, convert in special:
            values[i] = convert(values[i])
        return struct(*values)

    return read


def _writer(hint: Any) -> _Convert | None:  # noqa: ANN401  # as above
    """Return what turns a domain value into the wire's, or None where they are the same."""
    hint = _unwrap(hint)
    if get_origin(hint) is tuple:
        item = _writer(get_args(hint)[0])
        return None if item is None else lambda values: [item(v) for v in values]
    if isinstance(hint, type) and issubclass(hint, Struct):
        return _struct_writer(hint)
    return None


def _struct_writer(struct: type[Struct]) -> _Convert:
    message = _wire_class(struct.__name__)
    hints = get_type_hints(struct)
    names = struct.__struct_fields__
    get = attrgetter(*names)
    conversions = [(n, _writer(hints[n])) for n in names]
    special = [(n, convert) for n, convert in conversions if convert is not None]

    def write(value: Any) -> Any:  # noqa: ANN401  # wire and domain have no common type
        got = get(value)
        fields = dict(zip(names, got if len(names) > 1 else (got,), strict=True))
        for name, convert in special:
            fields[name] = convert(fields[name])
        return message(**fields)

    return write


def _parser(struct: type[Struct]) -> Callable[[bytes], Any]:
    message = _wire_class(struct.__name__)
    parse, read = message.FromString, _struct_reader(struct)
    return lambda payload: read(parse(payload))


_PARSERS: Mapping[str, Callable[[bytes], Event]] = MappingProxyType(
    {e.ce_type: _parser(e.event) for e in CATALOGUE}
)
_WRITERS: Mapping[type[Event], _Convert] = MappingProxyType(
    {e.event: _struct_writer(e.event) for e in CATALOGUE}
)
_RECORD = envelope_pb2.Record
RECORD_DESCRIPTOR = _RECORD.DESCRIPTOR
"""What the contract says of a ledger record, for readers of wire bytes."""

_ORIGIN = attrgetter(*Origin.__struct_fields__)
_head = attrgetter("position", "recorded_ms", "ce_type", "payload")


_DIRECTIVE_WRITERS: Mapping[type[Directive], _Convert] = MappingProxyType(
    {d: _struct_writer(d) for d in get_args(Directive)}
)
_DIRECTIVE_PARSERS: Mapping[str, Callable[[bytes], Directive]] = MappingProxyType(
    {name: _parser(directive) for name, directive in DIRECTIVE_TYPES.items()}
)


def encode_directive(directive: Directive) -> bytes:
    """Return a directive's protobuf payload."""
    message = _DIRECTIVE_WRITERS[type(directive)](directive)
    payload: bytes = message.SerializeToString(deterministic=True)
    return payload


def decode_directive(ce_type: str, payload: bytes) -> Directive:
    """Return the directive in `payload`.

    Raises `UnknownEventError` for a type that is not in the contract, and `DecodeError` for bytes
    that are not what the type says.
    """
    parse = _DIRECTIVE_PARSERS.get(ce_type)
    if parse is None:
        msg = f"{ce_type} is no directive of the contract{nearest(ce_type, tuple(DIRECTIVE_TYPES))}"
        raise UnknownEventError(msg)
    try:
        return parse(payload)
    except ProtobufDecodeError as error:
        raise _damaged(ce_type, payload, error) from error


def encode_event(event: Event) -> bytes:
    """Return an event's protobuf payload."""
    payload: bytes = _WRITERS[type(event)](event).SerializeToString(deterministic=True)
    return payload


def decode_event(
    ce_type: str, payload: bytes, upcasters: Mapping[str, Upcaster] = UPCASTERS
) -> Event:
    """Return the event in a payload, brought up to the current version.

    Raises `UnknownEventError` for a type or version this build does not know, and `DecodeError` for
    bytes that are not that type. Values are not judged here: see `schemas.validation`.
    """
    parse = _PARSERS.get(ce_type) or upcasters.get(ce_type)
    if parse is None:
        raise _unknown(ce_type)
    try:
        return parse(payload)
    except ProtobufDecodeError as error:
        raise _damaged(ce_type, payload, error) from error
    except KeyError as error:
        raise _unreadable(ce_type, payload, error.args[0]) from error


def _unknown(ce_type: str) -> UnknownEventError:
    meant = nearest(ce_type, tuple(BY_CE_TYPE))
    msg = f"ce_type {ce_type!r} is not in contract v1{meant} See docs/events.md for the known types"
    return UnknownEventError(msg if meant else msg.replace(" See", "; see"))


def _unreadable(ce_type: str, payload: bytes, number: object) -> DecodeError:
    """Return the error for a payload that parses and whose enumerations do not."""
    entry = BY_CE_TYPE.get(ce_type)
    found = unreadable_field(_wire_class(entry.message).FromString(payload)) if entry else None
    msg = f"{ce_type}: an enum field holds {number}, which names nothing (0 = not set)"
    return DecodeError(msg) if found is None else found.about(ce_type)


def _damaged(ce_type: str, payload: bytes, error: ProtobufDecodeError) -> DecodeError:
    entry = BY_CE_TYPE.get(ce_type)
    name = entry.message if entry else "known message"
    return DecodeError(f"{ce_type}: payload of {len(payload)} bytes is not a {name}: {error}")


def publish(event: Event, origin: Origin = NO_ORIGIN) -> Published:
    """Return an event as an upstream would put it on a topic."""
    return Published(BY_EVENT[type(event)].ce_type, encode_event(event), origin)


def event_from_json(
    ce_type: str, data: bytes | Mapping[str, object], origin: Origin = NO_ORIGIN
) -> Published:
    """Return an event given in protobuf's JSON form, with fields named as in the contract.

    `data` is the payload as JSON bytes or as what they decode to. 64-bit integers are numbers or
    text, enumerations their names (or numbers), bytes base64. Raises `UnknownEventError` for an
    unknown type, `FieldError` naming the field that is unknown or of another kind, and
    `DecodeError` for what is no JSON. Values are not judged here: see `schemas.validation`.
    """
    entry = BY_CE_TYPE.get(ce_type)
    if entry is None:
        raise _unknown(ce_type)
    message = _wire_class(entry.message)()
    try:
        decoded: object = json.decode(data) if isinstance(data, bytes) else data
    except (JsonDecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"{ce_type}: {len(data)} bytes are not JSON: {error}"
        raise DecodeError(msg) from error
    fill_from_json(message, decoded)
    return Published(ce_type, message.SerializeToString(deterministic=True), origin)


def event_to_json(event: Event) -> dict[str, object]:
    """Return an event in protobuf's JSON form, complete and with fields named as in the contract.

    As that form has it, 64-bit integers are text; `event_from_json` reads back what this gives.
    """
    return _json_form(_WRITERS[type(event)](event))


def payload_to_json(ce_type: str, payload: bytes) -> dict[str, object]:
    """Return a payload in JSON form as it stands, unset enumerations and all, so it can be mended.

    Fields that contract v1 does not have are not shown. Raises `UnknownEventError` for an unknown
    type and `DecodeError` for bytes that are not that type.
    """
    entry = BY_CE_TYPE.get(ce_type)
    if entry is None:
        raise _unknown(ce_type)
    try:
        return _json_form(_wire_class(entry.message).FromString(payload))
    except ProtobufDecodeError as error:
        raise _damaged(ce_type, payload, error) from error


def _json_form(message: Message) -> dict[str, object]:
    found: dict[str, object] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return found


def encode_record(  # the envelope has these fields
    position: int,
    recorded_ms: int,
    published: Published,
    cause: int | None = None,
    *,
    skippable: bool = False,
) -> bytes:
    """Return the envelope of a ledger record: the same bytes on every carrier."""
    origin = published.origin
    envelope = _RECORD(
        position=position,
        recorded_ms=recorded_ms,
        ce_type=published.ce_type,
        cause=cause,
        payload=published.payload,
        skippable=skippable,
    )
    if origin is not NO_ORIGIN:
        for name in Origin.__struct_fields__:
            setattr(envelope, name, getattr(origin, name))
    encoded: bytes = envelope.SerializeToString(deterministic=True)
    return encoded


def decode_record(data: bytes, upcasters: Mapping[str, Upcaster] = UPCASTERS) -> Record | None:
    """Return the record in an envelope, or None where it is unknown and marked skippable.

    Raises `UnknownEventError` for an unknown type that is not skippable, and `DecodeError` for
    damaged bytes.
    """
    envelope = _parse_envelope(data)
    position, recorded_ms, ce_type, payload = _head(envelope)
    parse = _PARSERS.get(ce_type)
    if parse is not None:
        try:
            event = parse(payload)
        except (ProtobufDecodeError, KeyError):
            event = decode_event(ce_type, payload)
    elif ce_type not in upcasters and envelope.skippable:
        return None
    else:
        event = decode_event(ce_type, payload, upcasters)
    cause = envelope.cause if envelope.HasField("cause") else None
    return Record(position, recorded_ms, event, cause)


def _parse_envelope(data: bytes) -> envelope_pb2.Record:
    try:
        return _RECORD.FromString(data)
    except ProtobufDecodeError as error:
        msg = f"{len(data)} bytes are not a ledger record: {error}"
        raise DecodeError(msg) from error


class Envelope(Struct, frozen=True):
    """An envelope with its payload left as bytes: what the archive stores and `publish` replays."""

    position: int
    recorded_ms: int
    published: Published
    cause: int | None
    skippable: bool


def open_envelope(data: bytes) -> Envelope:
    """Return an envelope without decoding its payload. Raises `DecodeError` for damaged bytes."""
    wire = _parse_envelope(data)
    return Envelope(
        wire.position,
        wire.recorded_ms,
        Published(wire.ce_type, wire.payload, Origin(*_ORIGIN(wire))),
        wire.cause if wire.HasField("cause") else None,
        wire.skippable,
    )
