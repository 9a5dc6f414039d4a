# SPDX-License-Identifier: Apache-2.0
"""The rules of the contract, each on a small descriptor set that keeps it or breaks it."""

from collections.abc import Callable

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from tools.breaking import Rule, breaks

Change = Callable[[FileDescriptorProto], None]


CONTRACT = """
name: "order.proto" package: "pool.v1" syntax: "proto3"
message_type {
  name: "Order"
  field { name: "job" json_name: "job" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "slots" json_name: "slots" number: 2 type: TYPE_INT64 label: LABEL_REPEATED }
  field {
    name: "tier" json_name: "tier" number: 3 type: TYPE_ENUM type_name: ".pool.v1.Tier"
    label: LABEL_OPTIONAL
  }
  field {
    name: "node" json_name: "node" number: 4 type: TYPE_STRING label: LABEL_OPTIONAL
    oneof_index: 0
  }
  field {
    name: "region" json_name: "region" number: 5 type: TYPE_STRING label: LABEL_OPTIONAL
    oneof_index: 0
  }
  field {
    name: "cause" json_name: "cause" number: 6 type: TYPE_STRING label: LABEL_OPTIONAL
    oneof_index: 1 proto3_optional: true
  }
  oneof_decl { name: "place" }
  oneof_decl { name: "_cause" }
  nested_type {
    name: "Part"
    field { name: "name" json_name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  }
  enum_type { name: "Mood" value { name: "MOOD_NONE" number: 0 } }
  reserved_range { start: 8 end: 10 }
  reserved_name: "old"
}
enum_type {
  name: "Tier"
  value { name: "TIER_NONE" number: 0 }
  value { name: "TIER_HIGH" number: 1 }
}
"""


def contract() -> FileDescriptorProto:
    """Return a file with one of everything: each kind of field, nesting, enums, reservations."""
    return text_format.Parse(CONTRACT, FileDescriptorProto())


def field(name: str, number: int) -> FieldDescriptorProto:
    return FieldDescriptorProto(
        name=name,
        json_name=name,
        number=number,
        type=FieldDescriptorProto.TYPE_STRING,
        label=FieldDescriptorProto.LABEL_OPTIONAL,
    )


def message(file: FileDescriptorProto) -> DescriptorProto:
    return file.message_type[0]


def remove_field(name: str, *, number: int = 0, reserve_name: bool = False) -> Change:
    def change(file: FileDescriptorProto) -> None:
        order = message(file)
        order.field.remove(next(f for f in order.field if f.name == name))
        if number:
            order.reserved_range.add(start=number, end=number + 1)
        if reserve_name:
            order.reserved_name.append(name)

    return change


def edit(chosen_name: str, /, **attributes: object) -> Change:
    def change(file: FileDescriptorProto) -> None:
        chosen = next(f for f in message(file).field if f.name == chosen_name)
        for attribute, value in attributes.items():
            setattr(chosen, attribute, value)

    return change


def leave_oneof(name: str) -> Change:
    def change(file: FileDescriptorProto) -> None:
        next(f for f in message(file).field if f.name == name).ClearField("oneof_index")

    return change


def on_file(act: Callable[[FileDescriptorProto], object]) -> Change:
    def change(file: FileDescriptorProto) -> None:
        act(file)

    return change


def rename(file: FileDescriptorProto) -> None:
    message(file).name = "Command"


def rename_package(file: FileDescriptorProto) -> None:
    file.package = "pool.v2"


def rename_nested(file: FileDescriptorProto) -> None:
    message(file).nested_type[0].name = "Piece"


def rename_enum(file: FileDescriptorProto) -> None:
    file.enum_type[0].name = "Rank"


def rename_value(file: FileDescriptorProto) -> None:
    file.enum_type[0].value[1].name = "TIER_TOP"


def renumber_value(file: FileDescriptorProto) -> None:
    file.enum_type[0].value[1].number = 2


def change_syntax(file: FileDescriptorProto) -> None:
    file.syntax = "proto2"


def shrink_reserved(file: FileDescriptorProto) -> None:
    message(file).reserved_range[0].end = 9


def make_cause_plain(file: FileDescriptorProto) -> None:
    edit("cause", proto3_optional=False)(file)
    leave_oneof("cause")(file)


def reuse_number(file: FileDescriptorProto) -> None:
    remove_field("job")(file)
    message(file).field.append(field("owner", 1))


int64, double = FieldDescriptorProto.TYPE_INT64, FieldDescriptorProto.TYPE_DOUBLE
repeated = FieldDescriptorProto.LABEL_REPEATED

REFUSED: dict[str, tuple[Change, set[Rule]]] = {
    "message removed": (
        on_file(lambda f: f.message_type.pop()),
        {Rule.MESSAGE_KEPT, Rule.ENUM_KEPT},
    ),
    "message renamed": (rename, {Rule.MESSAGE_KEPT, Rule.ENUM_KEPT}),
    "nested message renamed": (rename_nested, {Rule.MESSAGE_KEPT}),
    "nested enum removed": (on_file(lambda f: message(f).enum_type.pop()), {Rule.ENUM_KEPT}),
    "package renamed": (rename_package, {Rule.MESSAGE_KEPT, Rule.ENUM_KEPT}),
    "field removed": (remove_field("job"), {Rule.FIELD_KEPT}),
    "field removed, number reserved only": (remove_field("job", number=1), {Rule.FIELD_KEPT}),
    "field removed, name reserved only": (
        remove_field("job", reserve_name=True),
        {Rule.FIELD_KEPT},
    ),
    "field renumbered": (edit("job", number=7), {Rule.FIELD_NUMBER}),
    "field renamed": (edit("job", name="owner", json_name="owner"), {Rule.FIELD_NAME}),
    "number used again": (reuse_number, {Rule.FIELD_NAME}),
    "field retyped": (edit("job", type=int64), {Rule.FIELD_TYPE}),
    "integers become floats": (edit("slots", type=double), {Rule.FIELD_TYPE}),
    "field of another enum": (edit("tier", type_name=".pool.v1.Order.Mood"), {Rule.FIELD_TYPE}),
    "plain becomes repeated": (edit("job", label=repeated), {Rule.FIELD_LABEL}),
    "optional becomes plain": (
        make_cause_plain,
        {Rule.FIELD_LABEL},
    ),
    "field enters a oneof": (edit("job", oneof_index=0), {Rule.FIELD_ONEOF}),
    "field leaves its oneof": (leave_oneof("node"), {Rule.FIELD_ONEOF}),
    "JSON name changed": (edit("job", json_name="jobId"), {Rule.FIELD_JSON_NAME}),
    "enum removed": (on_file(lambda f: f.enum_type.pop()), {Rule.ENUM_KEPT}),
    "enum renamed": (rename_enum, {Rule.ENUM_KEPT}),
    "enum value removed": (on_file(lambda f: f.enum_type[0].value.pop()), {Rule.ENUM_VALUE_KEPT}),
    "enum value renamed": (rename_value, {Rule.ENUM_VALUE_KEPT}),
    "enum value renumbered": (renumber_value, {Rule.ENUM_VALUE_NUMBER}),
    "reserved numbers freed": (shrink_reserved, {Rule.RESERVED_KEPT}),
    "reserved name freed": (
        on_file(lambda f: message(f).reserved_name.pop()),
        {Rule.RESERVED_KEPT},
    ),
    "syntax changed": (change_syntax, {Rule.SYNTAX}),
}

ACCEPTED: dict[str, Change] = {
    "nothing": on_file(lambda _: None),
    "field added": on_file(lambda f: message(f).field.append(field("team", 7))),
    "message added": on_file(lambda f: f.message_type.add(name="Report")),
    "nested message added": on_file(lambda f: message(f).nested_type.add(name="Side")),
    "enum added": on_file(lambda f: f.enum_type.add(name="Span")),
    "enum value added": on_file(lambda f: f.enum_type[0].value.add(name="TIER_LOW", number=2)),
    "field removed with number and name reserved": remove_field("job", number=1, reserve_name=True),
    "more reserved": on_file(lambda f: message(f).reserved_range.add(start=20, end=30)),
    "reserved range widened": on_file(lambda f: setattr(message(f).reserved_range[0], "end", 20)),
    "fields in another order": on_file(lambda f: message(f).field.reverse()),
    "file renamed": on_file(lambda f: setattr(f, "name", "other.proto")),
}


def after(change: Change) -> FileDescriptorSet:
    changed = contract()
    change(changed)
    return FileDescriptorSet(file=[changed])


@pytest.mark.parametrize("name", REFUSED)
def test_a_change_that_breaks_a_reader_is_refused(name: str) -> None:
    """Each break is named by its rule, and by no other."""
    change, rules = REFUSED[name]
    found = breaks(FileDescriptorSet(file=[contract()]), after(change))
    assert {each.rule for each in found} == rules


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_change_that_breaks_nobody_passes(name: str) -> None:
    """The contract may grow, and may be laid out otherwise."""
    assert breaks(FileDescriptorSet(file=[contract()]), after(ACCEPTED[name])) == []


def test_every_rule_has_a_change_that_it_refuses() -> None:
    """No rule is without its test."""
    assert set().union(*(rules for _, rules in REFUSED.values())) == set(Rule)


def test_a_break_says_subject_finding_and_reason() -> None:
    """What a developer reads names the field, what was and is, and why it matters."""
    [found] = breaks(FileDescriptorSet(file=[contract()]), after(edit("job", type=int64)))
    assert str(found) == (
        "pool.v1.Order.job: type was string and is int64 "
        "[field-type: a field keeps its type: add a new field beside it]"
    )
