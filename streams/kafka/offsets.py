# SPDX-License-Identifier: Apache-2.0
"""Where in a partition a position lies: a sparse index, and the search that fills it.

Every record takes at least one offset, and what is no record (markers, aborted records, notes)
takes some between. So offsets rise with positions, at a pace that changes slowly: the search
guesses by the pace between what it knows, and halves where that does not get it on.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from enum import Enum
from itertools import cycle

from msgspec import Struct

NEAR = 2_048
"""So many offsets are read rather than searched: a fetch brings them at once."""


_ASIDE = NEAR // 2 - 1


class Landmark(Struct, frozen=True):
    """Records from `offset` on have positions from `position` on."""

    position: int
    offset: int


class Landmarks:
    """Some landmarks of a partition that only ever grows at its end."""

    def __init__(self) -> None:
        """Know none."""
        self._positions: list[int] = []
        self._offsets: list[int] = []

    def add(self, landmark: Landmark) -> None:
        """Remember one."""
        at = bisect_left(self._positions, landmark.position)
        if at == len(self._positions) or self._positions[at] != landmark.position:
            self._positions.insert(at, landmark.position)
            self._offsets.insert(at, landmark.offset)

    def before(self, position: int, begin: Landmark) -> Landmark:
        """Return the last known landmark that is not behind a position, or the beginning."""
        at = bisect_right(self._positions, position) - 1
        return begin if at < 0 else Landmark(self._positions[at], self._offsets[at])

    def after(self, position: int, end: Landmark) -> Landmark:
        """Return the first known landmark behind a position, or the end."""
        at = bisect_right(self._positions, position)
        if at == len(self._positions) or self._offsets[at] >= end.offset:
            return end
        return Landmark(self._positions[at], self._offsets[at])


def locate(
    position: int,
    begin: Landmark,
    end: Landmark,
    index: Landmarks,
    first_at: Callable[[int], Landmark],
) -> int:
    """Return an offset from which a position is read on: at most `NEAR` offsets before it.

    `first_at` returns the landmark of what lies first at an offset or behind it; `end` is behind
    the position, and nothing lies there yet.
    """
    low, high = index.before(position, begin), index.after(position, end)
    for aim in cycle(_Aim):
        if high.offset - low.offset <= NEAR or low.position == position:
            break
        asked = _guess(position, low, high, aim)
        found = first_at(asked)
        if found.position <= position and found.offset < high.offset:
            low = found
            index.add(found)
        else:  # what lies from there on is behind the position
            high = Landmark(max(found.position, position + 1), asked)
    return low.offset


class _Aim(Enum):
    """Just before where a position should lie, just behind it, or in the middle of what is left.

    The first two close in at once where the pace is even, the third where it is not.
    """

    BEFORE = 1
    BEHIND = 2
    MIDDLE = 3


def _guess(position: int, low: Landmark, high: Landmark, aim: _Aim) -> int:
    """Return an offset between two landmarks."""
    gap = high.offset - low.offset
    if aim is _Aim.MIDDLE:
        return low.offset + gap // 2
    pace = gap * (position - low.position) // max(1, high.position - low.position)
    aside = -_ASIDE if aim is _Aim.BEFORE else _ASIDE
    return min(max(low.offset + pace + aside, low.offset + 1), high.offset - 1)
