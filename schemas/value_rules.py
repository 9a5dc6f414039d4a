# SPDX-License-Identifier: Apache-2.0
"""What a single value of an event must be: one rule, one unit, each with its sentence.

Upper limits are such that what the engine multiplies stays inside int64, and what a JSON reader
sees is exact: counters and times end at 2**53, sizes at 2**40, devices and workers at 2**20.
"""

import re
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from msgspec import Struct

from schemas.reasons import Drop, Reason, Rejection, Rule

COUNT_LIMIT = 2**53
SIZE_LIMIT = 2**40
CROWD_LIMIT = 2**20
PRIORITY_LIMIT = 2**31
SPEED_LIMIT = 1_000_000
WEIGHT_LIMIT = 1_000_000
WHOLE_PPM = 1_000_000
WHOLE_MILLI = 1_000
NAME_LENGTH = 128
PATH_LENGTH = 253
SOURCE_LENGTH = 512
TEXT_LENGTH = 4_096
ATTRIBUTE_LENGTH = 1_024
DIGEST_BYTES = 32


class ValueRule(Struct, frozen=True):
    """A rule on one field: its sentence, and whether a value keeps it.

    `element` is set where the rule is about each element of a tuple, so that a refusal can name the
    one that breaks it. `Any`, because `schemas.event_rules` gives each rule values of its own type.
    """

    sentence: str
    holds: Callable[[Any], object]
    element: Callable[[Any], object] | None = None


# --- integers -------------------------------------------------------------------------------------


def between(least: int, most: int) -> ValueRule:
    """An integer from `least` to `most`, both included."""
    return ValueRule(f"must be {least} to {most}", lambda value: least <= value <= most)


COUNTED = between(1, COUNT_LIMIT)
"""Generations, attempts, sequences, cycles: numbered from 1."""
INDEX = between(0, COUNT_LIMIT)
"""Positions, times, tallies: from 0."""
AMOUNT = between(0, SIZE_LIMIT)
POSITIVE_AMOUNT = between(1, SIZE_LIMIT)
DEVICES = between(0, CROWD_LIMIT)
SOME_DEVICES = between(1, CROWD_LIMIT)
WORKERS = between(1, CROWD_LIMIT)
MILLI = between(1, WHOLE_MILLI)
HELD_MILLI = between(0, WHOLE_MILLI)
PPM = between(0, WHOLE_PPM)
SPEED = between(1, SPEED_LIMIT)
WEIGHT = between(1, WEIGHT_LIMIT)
PRIORITY = between(-PRIORITY_LIMIT, PRIORITY_LIMIT)
INT64 = between(-(2**63), 2**63 - 1)

# --- text -----------------------------------------------------------------------------------------


def spelled(pattern: str, sentence: str) -> ValueRule:
    """Text that is all of a pattern."""
    return ValueRule(sentence, re.compile(pattern).fullmatch)


_NAME = f"[A-Za-z0-9._:-]{{1,{NAME_LENGTH}}}"
_NAME_SENTENCE = f"1 to {NAME_LENGTH} letters, digits and . _ : -"
_ID_SENTENCE = "tenant/name@generation, as in acme/train-7@1"
_ID = f"{_NAME}/{_NAME}@[1-9][0-9]{{0,15}}"

NAME = spelled(_NAME, f"must be {_NAME_SENTENCE}")
NAME_OR_NONE = spelled(f"(?:{_NAME})?", f"must be empty or {_NAME_SENTENCE}")
JOB_ID = spelled(_ID, f"must be {_ID_SENTENCE}")
JOB_ID_OR_NONE = spelled(f"(?:{_ID})?", f"must be empty or {_ID_SENTENCE}")
DEPLOYMENT_ID = spelled(_ID, "must be tenant/name@generation, as in acme/chat@1")
PATH = spelled(
    f"[A-Za-z0-9._:/-]{{1,{PATH_LENGTH}}}",
    f"must be 1 to {PATH_LENGTH} letters, digits and . _ : / -",
)
"""Names that outsiders make up with slashes in them: label keys, model names."""
SOURCE = spelled(
    f"[A-Za-z0-9._:/-]{{1,{SOURCE_LENGTH}}}",
    f"must be 1 to {SOURCE_LENGTH} letters, digits and . _ : / -",
)
"""Who counted: a topic, a partition and a gateway, each of its full length."""
TEXT = spelled(
    rf"[^\x00-\x08\x0b-\x1f\x7f]{{0,{TEXT_LENGTH}}}",
    f"must be at most {TEXT_LENGTH} characters, with no control characters but tab and newline",
)
SHORT_TEXT = spelled(
    rf"[^\x00-\x1f\x7f]{{0,{PATH_LENGTH}}}",
    f"must be at most {PATH_LENGTH} characters on one line",
)
ATTRIBUTE = spelled(
    rf"[^\x00-\x1f\x7f\ud800-\udfff]{{0,{ATTRIBUTE_LENGTH}}}",
    f"must be at most {ATTRIBUTE_LENGTH} characters of UTF-8 on one line",
)
"""CloudEvents attributes: theirs to fill, ours to store and show."""
POLICY_ID = spelled(
    rf"(?:{_NAME}@[1-9][0-9]{{0,15}})?", "must be empty or name@version, as in pool@1"
)
WAITED_FOR = spelled(r"[a-z]+:.{1,400}", "must be kind:id, as in node:n-1")


def one_of(members: type[Reason | Rejection | Drop | Rule]) -> ValueRule:
    """Text that is one of a closed set of codes."""
    codes = tuple(member.value for member in members)
    return ValueRule(f"must be one of {', '.join(codes)}", frozenset(codes).__contains__)


# --- bytes and tuples -----------------------------------------------------------------------------

DIGEST = ValueRule(
    f"must be a SHA-256 of {DIGEST_BYTES} bytes", lambda value: len(value) == DIGEST_BYTES
)
ANYTHING = ValueRule("may be anything", lambda _: True)
NOT_EMPTY = ValueRule("must name at least one", bool)


def each(rule: ValueRule) -> ValueRule:
    """Every element keeps a rule."""
    return ValueRule(rule.sentence, lambda values: all(map(rule.holds, values)), rule.holds)


def unique(key: Callable[[Any], Hashable] = lambda value: value, *, by: str = "") -> ValueRule:
    """No two elements are the same, or the same by a key that `by` names."""

    def holds(values: Sequence[Any]) -> bool:
        return len(values) < 2 or len({key(v) for v in values}) == len(values)  # noqa: PLR2004  # two

    return ValueRule(f"must not name the same {by or 'thing'} twice", holds)
