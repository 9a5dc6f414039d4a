# SPDX-License-Identifier: Apache-2.0
"""Virtual time that passes at a pace: two days of a trace in minutes, for all processes alike."""

import time

from msgspec import Struct

from schemas.errors import CallerError


class PaceError(CallerError):
    """A text that names no pace."""


class Pace(Struct, frozen=True):
    """How virtual time passes; all processes are handed the same, so that all have one clock.

    At `anchor_ms` of this machine's time it is `start_ms`; from there on, time is `speed` times as
    fast.
    """

    start_ms: int
    anchor_ms: int
    speed: int = 1

    def at(self, real_ms: int) -> int:
        """Return the virtual time at a moment of this machine's time of day."""
        return self.start_ms + (real_ms - self.anchor_ms) * self.speed

    def text(self) -> str:
        """Return it as a process is told."""
        return f"{self.start_ms},{self.anchor_ms},{self.speed}"


def parse_pace(text: str) -> Pace:
    """Return the pace that a text names. Raises `PaceError`."""
    try:
        start_ms, anchor_ms, speed = map(int, text.split(","))
    except ValueError as error:
        msg = f"{text!r} is no pace: give START_MS,ANCHOR_MS,SPEED"
        raise PaceError(msg) from error
    return Pace(start_ms, anchor_ms, speed)


class PacedClock:
    """A clock whose time of day is virtual; spans and rests are real, as are patience and load."""

    def __init__(self, pace: Pace) -> None:
        """Tell time at a pace."""
        self._pace = pace

    def wall_ms(self) -> int:
        """Return the virtual time of day."""
        return self._pace.at(time.time_ns() // 1_000_000)

    def steady_ms(self) -> int:
        """Return milliseconds since some moment of this machine's past."""
        return time.monotonic_ns() // 1_000_000

    def rest(self, ms: int) -> None:
        """Return after so many milliseconds."""
        time.sleep(ms / 1_000)
