# SPDX-License-Identifier: Apache-2.0
"""Read what the contract says about itself: names, fields, enums, and the comments beside them.

protoc keeps comments apart from what they belong to, under a path of field numbers into the file's
descriptor. Here the two are joined again, as plain values that a page can be made of.
"""

from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

_MESSAGES = FileDescriptorProto.MESSAGE_TYPE_FIELD_NUMBER
_ENUMS = FileDescriptorProto.ENUM_TYPE_FIELD_NUMBER
_FIELDS = DescriptorProto.FIELD_FIELD_NUMBER
_VALUES = EnumDescriptorProto.VALUE_FIELD_NUMBER

_Path = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message. `refers_to` is the short name of its message or enum, if it has one."""

    name: str
    number: int
    type: str
    refers_to: str | None
    repeated: bool
    optional: bool
    comment: str


@dataclass(frozen=True, slots=True)
class MessageText:
    """A message with its fields, in the order of the proto."""

    name: str
    file: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class EnumValue:
    """One value of an enum."""

    name: str
    number: int
    comment: str


@dataclass(frozen=True, slots=True)
class EnumText:
    """An enum with its values, in the order of the proto."""

    name: str
    comment: str
    values: tuple[EnumValue, ...]


@dataclass(frozen=True, slots=True)
class ContractText:
    """All that the contract says, by short name; `prose` is the text above its first message."""

    messages: dict[str, MessageText]
    enums: dict[str, EnumText]
    prose: str


def read(descriptors: FileDescriptorSet) -> ContractText:
    """Return the contract's text. All messages and enums are top-level: short names are unique."""
    messages: dict[str, MessageText] = {}
    enums: dict[str, EnumText] = {}
    prose: list[str] = []
    for file in descriptors.file:
        comments, detached = _comments(file)
        prose.extend(detached)
        for at, message in enumerate(file.message_type):
            messages[message.name] = _message(file, at, message, comments)
        for at, enum in enumerate(file.enum_type):
            enums[enum.name] = _enum(at, enum, comments)
    return ContractText(messages, enums, "\n\n".join(prose))


def _comments(file: FileDescriptorProto) -> tuple[dict[_Path, str], list[str]]:
    joined: dict[_Path, str] = {}
    detached: list[str] = []
    for place in file.source_code_info.location:
        said = place.leading_comments or place.trailing_comments
        if said:
            joined[tuple(place.path)] = " ".join(said.split())
        detached.extend(_dedent(text) for text in place.leading_detached_comments)
    return joined, detached


def _dedent(comment: str) -> str:
    """Return a comment without the space that stands between its slashes and its words."""
    return "\n".join(line.removeprefix(" ").rstrip() for line in comment.strip("\n").split("\n"))


def _message(
    file: FileDescriptorProto, at: int, message: DescriptorProto, comments: dict[_Path, str]
) -> MessageText:
    fields = tuple(
        _field(field, comments.get((_MESSAGES, at, _FIELDS, place), ""))
        for place, field in enumerate(message.field)
    )
    return MessageText(message.name, file.name, fields)


def _field(field: FieldDescriptorProto, comment: str) -> Field:
    scalar = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    refers_to = field.type_name.rpartition(".")[2] or None
    repeated = field.label == FieldDescriptorProto.LABEL_REPEATED
    return Field(
        name=field.name,
        number=field.number,
        type=refers_to or scalar,
        refers_to=refers_to,
        repeated=repeated,
        optional=field.proto3_optional,
        comment=comment,
    )


def _enum(at: int, enum: EnumDescriptorProto, comments: dict[_Path, str]) -> EnumText:
    values = tuple(
        EnumValue(value.name, value.number, comments.get((_ENUMS, at, _VALUES, place), ""))
        for place, value in enumerate(enum.value)
    )
    return EnumText(enum.name, comments.get((_ENUMS, at), ""), values)
