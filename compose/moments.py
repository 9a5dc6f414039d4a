# SPDX-License-Identifier: Apache-2.0
"""A moment as a user writes it: a position of the ledger, or a recorded time.

A whole number below `FIRST_TIME` is a position, from there on milliseconds since 1970: a ledger of
a thousand records a second needs three years to get there, and no fleet's history is from before
March 1973. Everything else is RFC 3339, UTC where it names no zone, so that a time can be copied
from any table.
"""

import datetime as dt

from msgspec import Struct

from compose.exits import NotFoundError

FIRST_TIME = 100_000_000_000


class Position(Struct, frozen=True):
    """The moment after the first `records` records."""

    records: int


class Time(Struct, frozen=True):
    """The moment when all records up to a recorded time were in."""

    recorded_ms: int


Moment = Position | Time


def parse_moment(text: str) -> Moment:
    """Return the moment that a text names. Raises `ValueError`, which says what is understood."""
    digits = text.strip().replace(",", "").replace("_", "")
    if digits.isascii() and digits.isdigit():
        number = int(digits)
        return Position(number) if number < FIRST_TIME else Time(number)
    try:
        found = dt.datetime.fromisoformat(text.strip())
    except ValueError as error:
        msg = f"{text!r} is no moment: give a position (50000), a time (2017-10-01T12:00:00Z), or "
        raise ValueError(msg + "milliseconds since 1970 (1506859200000)") from error
    zoned = found if found.tzinfo else found.replace(tzinfo=dt.UTC)
    moment_ms = (zoned - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
    if moment_ms < 0:
        msg = f"{text!r} is before 1970, and no ledger is that old"
        raise ValueError(msg)
    return Time(moment_ms)


def written(recorded_ms: int) -> str:
    """Return a recorded time as RFC 3339 in UTC."""
    time = dt.datetime.fromtimestamp(recorded_ms / 1000, dt.UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z").replace(".000", "")


def check_within(moment: Moment, records: int, first_ms: int) -> None:
    """Raise `NotFoundError` where a history of so many records does not reach the moment."""
    match moment:
        case Position(position) if position > records:
            msg = f"there is no position {position:,}: this history ends at {records:,}"
            raise NotFoundError(msg)
        case Time(recorded_ms) if recorded_ms < first_ms:
            msg = f"nothing is recorded by {written(recorded_ms)}: this history begins at "
            raise NotFoundError(msg + written(first_ms))
        case _:
            pass
