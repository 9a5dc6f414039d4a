# SPDX-License-Identifier: Apache-2.0
"""Say how one version of the contract breaks those who were built against an older one.

A ledger is read for ever, so its contract may only grow. The rules compare two descriptor sets and
know nothing of files: a message may move from one file of its package to another, because neither
bytes nor names notice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, unique

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)


@unique
class Rule(Enum):
    """What a published contract promises to its readers: a name for it, and why it must hold."""

    def __init__(self, slug: str, promise: str) -> None:
        """Take the two halves of a member's value."""
        self.slug = slug
        self.promise = promise

    MESSAGE_KEPT = (
        "message-kept",
        "a message keeps its full name for ever: old records and old readers name it",
    )
    FIELD_KEPT = (
        "field-kept",
        "a field leaves only with its number and its name reserved, so neither comes back",
    )
    FIELD_NUMBER = (
        "field-number",
        "a field keeps its number: bytes know fields by number alone",
    )
    FIELD_NAME = (
        "field-name",
        "a field keeps its name: code, JSON and SQL know fields by name",
    )
    FIELD_TYPE = (
        "field-type",
        "a field keeps its type: add a new field beside it",
    )
    FIELD_LABEL = (
        "field-label",
        "a field stays repeated, optional or plain: each reads the others' bytes wrong",
    )
    FIELD_ONEOF = (
        "field-oneof",
        "a field stays in its oneof: setting one member clears the others",
    )
    FIELD_JSON_NAME = (
        "field-json-name",
        "a field keeps its JSON name",
    )
    ENUM_KEPT = (
        "enum-kept",
        "an enum keeps its full name for ever",
    )
    ENUM_VALUE_KEPT = (
        "enum-value-kept",
        "an enum keeps its values and their names: old records still hold them",
    )
    ENUM_VALUE_NUMBER = (
        "enum-value-number",
        "an enum value keeps its number",
    )
    RESERVED_KEPT = (
        "reserved-kept",
        "what was reserved stays reserved",
    )
    SYNTAX = (
        "syntax",
        "a message keeps its file's syntax: presence and defaults hang on it",
    )


@dataclass(frozen=True, slots=True)
class Break:
    """One broken promise: which rule, for what subject, and what was found."""

    rule: Rule
    subject: str
    found: str

    def __str__(self) -> str:
        """Return the break as the sentence that a developer reads."""
        return f"{self.subject}: {self.found} [{self.rule.slug}: {self.rule.promise}]"


@dataclass(frozen=True, slots=True)
class Contract:
    """A descriptor set, flattened: every message and enum under its full name."""

    messages: dict[str, DescriptorProto]
    enums: dict[str, EnumDescriptorProto]
    syntax: dict[str, str]


def flatten(descriptors: FileDescriptorSet) -> Contract:
    """Return the messages and enums of a descriptor set, nested ones included, by full name."""
    contract = Contract({}, {}, {})
    for file in descriptors.file:
        for name, message in _messages(file.package, file.message_type):
            contract.messages[name] = message
            contract.syntax[name] = _syntax(file)
            contract.enums.update({f"{name}.{e.name}": e for e in message.enum_type})
        contract.enums.update({_join(file.package, e.name): e for e in file.enum_type})
    return contract


def breaks(old: FileDescriptorSet, new: FileDescriptorSet) -> list[Break]:
    """Return every way in which `new` breaks what `old` promised, in the order of names."""
    before, after = flatten(old), flatten(new)
    return [*_message_breaks(before, after), *_enum_breaks(before, after)]


def _message_breaks(before: Contract, after: Contract) -> Iterator[Break]:
    for name, old in sorted(before.messages.items()):
        new = after.messages.get(name)
        if new is None:
            yield Break(Rule.MESSAGE_KEPT, name, "message is gone or has another name")
            continue
        if before.syntax[name] != after.syntax[name]:
            found = f"syntax was {before.syntax[name]} and is {after.syntax[name]}"
            yield Break(Rule.SYNTAX, name, found)
        yield from _reserved_breaks(name, old, new)
        for field in old.field:
            yield from _field_breaks(f"{name}.{field.name}", old, field, new)


def _field_breaks(
    subject: str, old: DescriptorProto, field: FieldDescriptorProto, new: DescriptorProto
) -> Iterator[Break]:
    same_name = next((f for f in new.field if f.name == field.name), None)
    same_number = next((f for f in new.field if f.number == field.number), None)
    if same_name is not None and same_name.number != field.number:
        found = f"number was {field.number} and is {same_name.number}"
        yield Break(Rule.FIELD_NUMBER, subject, found)
    if same_number is None:
        if same_name is None:
            yield from _removal_breaks(subject, field, new)
        return
    if same_number.name != field.name:
        found = f"number {field.number} is now called {same_number.name}"
        yield Break(Rule.FIELD_NAME, subject, found)
    yield from _meaning_breaks(subject, (old, field), (new, same_number))


def _removal_breaks(
    subject: str, field: FieldDescriptorProto, new: DescriptorProto
) -> Iterator[Break]:
    if not _is_reserved(field.number, new):
        yield Break(Rule.FIELD_KEPT, subject, f"gone, and number {field.number} is not reserved")
    if field.name not in new.reserved_name:
        yield Break(Rule.FIELD_KEPT, subject, f'gone, and name "{field.name}" is not reserved')


def _meaning_breaks(
    subject: str,
    before: tuple[DescriptorProto, FieldDescriptorProto],
    after: tuple[DescriptorProto, FieldDescriptorProto],
) -> Iterator[Break]:
    pairs = (
        (Rule.FIELD_TYPE, "type", _type(before[1]), _type(after[1])),
        (Rule.FIELD_LABEL, "label", _label(before[1]), _label(after[1])),
        (Rule.FIELD_ONEOF, "oneof", _oneof(*before), _oneof(*after)),
    )
    for rule, aspect, was, now in pairs:
        if was != now:
            yield Break(rule, subject, f"{aspect} was {was} and is {now}")
    renamed = before[1].name != after[1].name  # then the JSON name follows, and is no second break
    if not renamed and before[1].json_name != after[1].json_name:
        found = f"JSON name was {before[1].json_name} and is {after[1].json_name}"
        yield Break(Rule.FIELD_JSON_NAME, subject, found)


def _reserved_breaks(name: str, old: DescriptorProto, new: DescriptorProto) -> Iterator[Break]:
    for kept in old.reserved_range:
        if not any(r.start <= kept.start and kept.end <= r.end for r in new.reserved_range):
            found = f"numbers {kept.start} to {kept.end - 1} are no longer reserved"
            yield Break(Rule.RESERVED_KEPT, name, found)
    for lost in sorted(set(old.reserved_name) - set(new.reserved_name)):
        yield Break(Rule.RESERVED_KEPT, name, f'name "{lost}" is no longer reserved')


def _enum_breaks(before: Contract, after: Contract) -> Iterator[Break]:
    for name, old in sorted(before.enums.items()):
        new = after.enums.get(name)
        if new is None:
            yield Break(Rule.ENUM_KEPT, name, "enum is gone or has another name")
            continue
        now = {value.name: value.number for value in new.value}
        for value in old.value:
            subject = f"{name}.{value.name}"
            if value.name not in now:
                yield Break(
                    Rule.ENUM_VALUE_KEPT, subject, f"value {value.number} is gone or renamed"
                )
            elif now[value.name] != value.number:
                found = f"number was {value.number} and is {now[value.name]}"
                yield Break(Rule.ENUM_VALUE_NUMBER, subject, found)


def _messages(
    scope: str, found: Iterable[DescriptorProto]
) -> Iterator[tuple[str, DescriptorProto]]:
    for message in found:
        name = _join(scope, message.name)
        yield name, message
        yield from _messages(name, message.nested_type)


def _join(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope else name


def _syntax(file: FileDescriptorProto) -> str:
    return file.syntax or "proto2"  # the descriptor leaves the oldest syntax out


def _is_reserved(number: int, message: DescriptorProto) -> bool:
    return any(r.start <= number < r.end for r in message.reserved_range)


def _type(field: FieldDescriptorProto) -> str:
    scalar = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    return field.type_name.removeprefix(".") or scalar


def _label(field: FieldDescriptorProto) -> str:
    label = FieldDescriptorProto.Label.Name(field.label).removeprefix("LABEL_").lower()
    return "explicitly optional" if field.proto3_optional else label


def _oneof(message: DescriptorProto, field: FieldDescriptorProto) -> str:
    if field.proto3_optional or not field.HasField("oneof_index"):
        return "none"  # a proto3 `optional` is carried by a oneof of its own, which nobody wrote
    return message.oneof_decl[field.oneof_index].name
