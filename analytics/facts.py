# SPDX-License-Identifier: Apache-2.0
"""One typed view per event type, made from the contract: `fact.job_submitted` and so on.

A record's `data` is JSON; these views give it back with the types of the domain struct, so the
documented views never parse anything. Enumerations stay numbers here; `tier_name(n)` and its like
give their names.
"""

import re
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from schemas.catalogue import RECORDED, EventType
from schemas.kinds import ApiKind, IoProfile, NodeHealth, SkuKind, Span, Tier
from schemas.reasons import WORDING, Drop, Reason, Rejection, Rule

NAMED_KINDS: Mapping[str, type[IntEnum]] = MappingProxyType(
    {
        "tier_name": Tier,
        "health_name": NodeHealth,
        "sku_kind_name": SkuKind,
        "io_name": IoProfile,
        "span_name": Span,
        "api_name": ApiKind,
    }
)
"""Macros that turn a number of the contract into its name."""

_QUESTIONS: Mapping[type[StrEnum], str] = MappingProxyType(
    {
        Reason: "why a job does not run",
        Rejection: "why an event was refused",
        Drop: "why an action was dropped",
        Rule: "why a node was excluded",
    }
)


def fact_name(entry: EventType) -> str:
    """Return the name of an event type's view, in the schema `fact`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", entry.message).lower()


def fact_statements() -> list[str]:
    """Return the statements that create the typed views, over the table `records`."""
    return [_fact_statement(entry) for entry in RECORDED]


def _fact_statement(entry: EventType) -> str:
    structure = msgspec.json.encode(_structure(entry.event)).decode()
    return (
        f"CREATE VIEW fact.{fact_name(entry)} AS "  # noqa: S608  # names of the contract
        f"SELECT position, recorded_ms, cause, unnest(from_json(data, '{structure}')) "
        f"FROM records WHERE ce_type = '{entry.ce_type}'"
    )


def _structure(hint: Any) -> object:  # noqa: ANN401  # a type hint has no static type
    """Return what DuckDB's `from_json` wants to know of a type."""
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    if get_origin(hint) is tuple:
        return [_structure(get_args(hint)[0])]
    if issubclass(hint, Struct):
        hints = get_type_hints(hint)
        return {name: _structure(hints[name]) for name in hint.__struct_fields__}
    if issubclass(hint, bool):
        return "BOOLEAN"
    return "BIGINT" if issubclass(hint, int) else "VARCHAR"


def name_statements() -> list[str]:
    """Return the macros that name the contract's numbers, and the table of reasons."""
    macros: list[str] = []
    for macro, kind in NAMED_KINDS.items():
        cases = " ".join(f"WHEN {int(m)} THEN '{m.name.lower()}'" for m in kind)
        macros.append(f"CREATE MACRO {macro}(number) AS CASE number {cases} END")
    rows = ", ".join(
        f"('{_QUESTIONS[type(code)]}', '{code.value}', '{wording.replace(chr(39), chr(39) * 2)}')"
        for code, wording in WORDING.items()
    )
    reasons = f"CREATE TABLE reasons AS FROM (VALUES {rows}) AS r(question, code, wording)"
    return [*macros, reasons]
