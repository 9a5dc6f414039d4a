# SPDX-License-Identifier: Apache-2.0
"""Which partitions stand still: looked at now and then, by where reading is and where they end."""

from msgspec import Struct

from streams.kafka.topics import Place


class _Stand(Struct, frozen=True):
    """Where reading was, and what was to be read, when this was first seen."""

    expected: int
    end: int
    since_s: float


class Standstills:
    """What was seen of each partition the last time that anything had moved there."""

    def __init__(self) -> None:
        """Have seen none."""
        self._seen: dict[Place, _Stand] = {}

    def clear(self) -> None:
        """Begin anew: the silence up to now says nothing."""
        self._seen.clear()

    def see(
        self, place: Place, expected: int, end: int, at_s: float, patience_s: float
    ) -> int | None:
        """Look at a partition; return the end that reading has not come to for too long, if any.

        It is the end as it was when reading began to stand, with which patience began: what came
        only a moment ago is nothing to be impatient for.
        """
        seen = self._seen.get(place)
        if seen is None or seen.expected != expected or expected >= seen.end:
            self._seen[place] = _Stand(expected, end, at_s)
        elif at_s - seen.since_s > patience_s:
            return seen.end
        return None
