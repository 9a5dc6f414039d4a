# SPDX-License-Identifier: Apache-2.0
"""Whether an event's values make sense by themselves, whatever the state: `validate`.

The tables of `schemas.event_rules` are compiled once into a flat list of checks per event type, as
every event that arrives passes through here.
"""

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any, get_args, get_origin, get_type_hints

from msgspec import Struct

from schemas.catalogue import CATALOGUE, Event
from schemas.event_rules import FIELDS, TOGETHER, Together
from schemas.value_rules import ValueRule

LONGEST_VALUE = 120
"""A refusal shows at most so many characters of a value."""


class Refusal(Struct, frozen=True):
    """Which field holds which value, and the rule that it breaks."""

    field: str
    value: str
    rule: str

    @property
    def sentence(self) -> str:
        """What a publisher reads."""
        return f"{self.field} is {self.value or 'empty'}: {self.rule}"


def validate(event: Event) -> Refusal | None:
    """Return the first rule that an event breaks, or None."""
    checks, lists = _COMPILED[type(event)]
    for get, holds, field, rule in checks:
        if not holds(get(event)):
            return _refusal(event, field, rule)
    for get, path, element_checks in lists:
        for number, element in enumerate(get(event)):
            for get_part, holds, field, rule in element_checks:
                if not holds(get_part(element)):
                    return _refusal(element, field, rule, f"{path}[{number}].")
    return None


def shown(value: object) -> str:
    """Return a value as a refusal shows it: on one line, printable, not too long."""
    text = str(value)
    if not text.isprintable():
        text = repr(text)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def _refusal(value: object, field: str, rule: ValueRule | Together, prefix: str = "") -> Refusal:
    found: Any = attrgetter(field)(value)
    if isinstance(rule, ValueRule) and rule.element is not None:
        number = next(i for i, element in enumerate(found) if not rule.element(element))
        field, found = f"{field}[{number}]", found[number]
    return Refusal(prefix + field, shown(found), rule.sentence)


# --- compilation ----------------------------------------------------------------------------------

# Values of all types pass through the compiled checks; Any stays inside this module.
_Get = Callable[[Any], Any]
_Check = tuple[_Get, Callable[[Any], object], str, ValueRule | Together]
"""What to look at, whether it holds, the field to name, the rule."""
_List = tuple[_Get, str, tuple[_Check, ...]]
"""A tuple of values, its path, and the checks of each."""


def _compile(event: type[Struct]) -> tuple[tuple[_Check, ...], tuple[_List, ...]]:
    checks = tuple(_checks(event, ""))
    lists = tuple(
        (attrgetter(path), path, tuple(_checks(element, ""))) for path, element in _lists(event, "")
    )
    return checks, lists


def _checks(struct: type[Struct], prefix: str) -> Iterator[_Check]:
    """Yield the checks of a value and of the values nested in it, by path from the outermost."""
    for name, rules in FIELDS.get(struct, {}).items():
        for rule in rules:
            yield attrgetter(prefix + name), rule.holds, prefix + name, rule
    for name, nested in _nested(struct):
        yield from _checks(nested, f"{prefix}{name}.")
    whole: _Get = attrgetter(prefix.removesuffix(".")) if prefix else _itself
    for together in TOGETHER.get(struct, ()):
        yield whole, together.holds, prefix + together.field, together


def _itself(value: Any) -> Any:  # noqa: ANN401  # the identity keeps whatever type it gets
    return value


def _nested(struct: type[Struct]) -> Iterator[tuple[str, type[Struct]]]:
    for name, hint in get_type_hints(struct).items():
        if isinstance(hint, type) and issubclass(hint, Struct):
            yield name, hint


def _lists(struct: type[Struct], prefix: str) -> Iterator[tuple[str, type[Struct]]]:
    """Yield path and element type of each tuple of values."""
    for name, hint in get_type_hints(struct).items():
        element: Any = get_args(hint)[0] if get_origin(hint) is tuple else None
        if isinstance(element, type) and issubclass(element, Struct):
            yield prefix + name, element
    for name, nested in _nested(struct):
        yield from _lists(nested, f"{prefix}{name}.")


_COMPILED: Mapping[type[Event], tuple[tuple[_Check, ...], tuple[_List, ...]]] = MappingProxyType(
    {entry.event: _compile(entry.event) for entry in CATALOGUE}
)
