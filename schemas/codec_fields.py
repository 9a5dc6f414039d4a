# SPDX-License-Identifier: Apache-2.0
"""Which field of a wire message is wrong, by path, and the JSON form held to its descriptor.

The protobuf library says neither: bytes with an unset enumeration parse, and its JSON errors name
the outermost field first. Used off the fast path only, and by the codec alone.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import starmap
from typing import cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from schemas.errors import DecodeError

_INT64 = range(-(2**63), 2**63)
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_SHOWN = 120


class FieldError(DecodeError):
    """A field holds what its type does not allow; `field` holds `value`, which breaks `rule`."""

    def __init__(self, field: str, value: object, rule: str, ce_type: str = "") -> None:
        """Name what is wrong; the message is a sentence of all."""
        self.field = field
        self.value = _clipped(value)
        self.rule = rule
        of = f"{ce_type}: " if ce_type else ""
        super().__init__(f"{of}{field or 'data'} is {self.value or 'empty'}: {rule}")

    def about(self, ce_type: str) -> "FieldError":
        """Return the same error with the event's type in its sentence."""
        return FieldError(self.field, self.value, self.rule, ce_type)


def _clipped(value: object) -> str:
    text = value if isinstance(value, str) and value.isprintable() else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


# --- bytes ----------------------------------------------------------------------------------------


def unreadable_field(message: Message, prefix: str = "") -> FieldError | None:
    """Return the first field that is not there or names nothing, or None where all are readable."""
    for field in cast("Sequence[FieldDescriptor]", message.DESCRIPTOR.fields):
        path = prefix + field.name
        value: object = getattr(message, field.name)
        if field.enum_type is not None and value not in _numbers(field):
            return FieldError(path, value, f"must be one of {', '.join(_names(field))}")
        if field.message_type is None:
            continue
        if field.is_repeated:
            elements = enumerate(cast("Iterable[Message]", value))
            nested = [(element, f"{path}[{number}].") for number, element in elements]
        elif message.HasField(field.name):
            nested = [(cast("Message", value), f"{path}.")]
        else:
            return FieldError(path, "", "must be there")
        error = next(filter(None, starmap(unreadable_field, nested)), None)
        if error is not None:
            return error
    return None


def _numbers(field: FieldDescriptor) -> list[int]:
    """Return the numbers of an enumeration's field that mean something."""
    enum = cast("EnumDescriptor", field.enum_type)
    return [value.number for value in enum.values if value.number]


def _names(field: FieldDescriptor) -> list[str]:
    enum = cast("EnumDescriptor", field.enum_type)
    return [value.name for value in enum.values if value.number]


# --- JSON -----------------------------------------------------------------------------------------


def fill_from_json(message: Message, data: object) -> None:
    """Fill an empty message from decoded JSON, held to its fields' names, kinds and ranges.

    Raises `FieldError` naming the first field that is unknown (with the nearest that is known), or
    holds another kind of value. Fields may be left out, or null; values are judged by validation.
    """
    _check_object(cast("Descriptor", message.DESCRIPTOR), data, "")
    ParseDict(cast("dict[str, object]", data), message)


def _check_object(descriptor: Descriptor, data: object, path: str) -> None:
    if not isinstance(data, dict):
        raise FieldError(path, data, f"must be an object, a {descriptor.name}")
    prefix = f"{path}." if path else ""
    names = {name: field for field in descriptor.fields for name in (field.json_name, field.name)}
    for key, value in cast("Mapping[object, object]", data).items():
        field = names.get(str(key))
        if field is None:
            known = [f.name for f in descriptor.fields]
            meant = nearest(str(key), known) or f", which has {', '.join(known)}"
            rule = f"there is no such field of {descriptor.name}{meant}"
            raise FieldError(prefix + str(key), value, rule)
        if value is not None:
            _check_field(field, value, prefix + field.name)


def nearest(word: str, known: Sequence[str]) -> str:
    """Return the end of a sentence about an unknown word: what may have been meant, if anything."""
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _check_field(field: FieldDescriptor, value: object, path: str) -> None:
    if not field.is_repeated:
        _check_one(field, value, path)
        return
    if not isinstance(value, list):
        raise FieldError(path, value, "must be a list")
    for number, element in enumerate(cast("list[object]", value)):
        _check_one(field, element, f"{path}[{number}]")


def _check_one(field: FieldDescriptor, value: object, path: str) -> None:
    if field.message_type is not None:
        _check_object(field.message_type, value, path)
    elif field.enum_type is not None:
        _check_enum(field, value, path)
    elif field.type == FieldDescriptor.TYPE_INT64:
        if not _is_int64(value):
            raise FieldError(path, value, "must be an integer of 64 bits, as a number or in quotes")
    elif field.type == FieldDescriptor.TYPE_BOOL:
        if not isinstance(value, bool):
            raise FieldError(path, value, "must be true or false")
    elif field.type == FieldDescriptor.TYPE_BYTES:
        if not _is_base64(value):
            raise FieldError(path, value, "must be bytes in base64")
    elif not isinstance(value, str) or not _is_text(value):
        raise FieldError(path, value, "must be text")


def _check_enum(field: FieldDescriptor, value: object, path: str) -> None:
    known = _numbers(field) if type(value) is int else _names(field)
    if value not in known:
        raise FieldError(path, value, f"must be one of {', '.join(_names(field))}")


def _is_int64(value: object) -> bool:
    match value:
        case bool():
            return False
        case int():
            return value in _INT64
        case str():
            return _INTEGER.fullmatch(value) is not None and int(value) in _INT64
        case _:
            return False


def _is_base64(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        b64decode(value, validate=True)
    except (Base64Error, ValueError):
        return False
    return True


def _is_text(value: str) -> bool:
    """Whether text can be written as UTF-8: a lone surrogate from an escape cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
