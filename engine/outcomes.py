# SPDX-License-Identifier: Apache-2.0
"""What `decide` can say of an event."""

from msgspec import Struct

from schemas.reasons import Rejection


class Fact(Struct, frozen=True):
    """It holds: append it."""


class Duplicate(Struct, frozen=True):
    """It is known already, or late: it has no effect and is not appended."""


class Parked(Struct, frozen=True):
    """It is early: it waits for `waits_for` (kind:name) and is decided again when that arrives."""

    waits_for: str


class Rejected(Struct, frozen=True):
    """It cannot hold: `field` holds `value`, which breaks `rule`."""

    rejection: Rejection
    field: str
    value: str
    rule: str


Outcome = Fact | Duplicate | Parked | Rejected

FACT = Fact()
DUPLICATE = Duplicate()


def reject(rejection: Rejection, field: str, value: object, rule: str) -> Rejected:
    """Return a refusal that names field, value and rule."""
    return Rejected(rejection, field, str(value), rule)
