# SPDX-License-Identifier: Apache-2.0
"""Whether all who are promised a share of one thing can have it, in whatever order others release.

The thing is a device slot or a host amount of a node. A claimant starts once all that it waits for
have released. At no moment may more have started than there is room for; by Gale's theorem (D.
Gale, *A theorem on flows in networks*, 1957) that is so exactly when each claimant can be given its
amount out of what is free and out of what those it waits for release. So claimants draw one after
the other, and what was drawn before is rearranged where that helps.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise

from schemas.ids import JobId

FREE = JobId("")
"""The source that everyone may draw on."""


class Room:
    """What there is of one thing while claimants draw on it. Mutable, lives for one judgement."""

    __slots__ = ("_drawn", "_left", "asked", "supply")

    def __init__(self, free: int, releases: Mapping[JobId, int]) -> None:
        """Start with what is free and what will be released by whom.

        A negative `free`, on a node that became smaller, is charged to the releases in their order.
        """
        self._left = {FREE: max(free, 0), **releases}
        owed = max(-free, 0)
        for job in releases if owed else ():
            paid = min(owed, self._left[job])
            self._left[job] -= paid
            owed -= paid
        self._drawn: list[dict[JobId, int]] = []
        self.supply = free + sum(releases.values())
        self.asked = 0

    def draw(self, waits_for: Iterable[JobId], amount: int) -> int:
        """Give a claimant its amount and return 0, or nothing and return what is missing."""
        self.asked += amount
        mine = dict.fromkeys([job for job in waits_for if job in self._left], 0)
        mine[FREE] = 0
        self._drawn.append(mine)
        short = amount
        while short > 0:
            path = self._path()
            if not path:
                self._give_back()
                return short
            short -= self._shift(path, short)
        return 0

    def _path(self) -> list[tuple[int, JobId]]:
        """Return (claimant, source to draw more on) back to the last claimant; empty if none.

        The first source has something left; each claimant then draws less on the next one's source.
        """
        last = len(self._drawn) - 1
        reached_by: dict[JobId, int] = {}
        gives_up: dict[int, JobId] = {last: FREE}
        queue = [last]
        for claimant in queue:
            for source in self._drawn[claimant]:
                if source in reached_by:
                    continue
                reached_by[source] = claimant
                if self._left[source] > 0:
                    return _trace(source, reached_by, gives_up, last)
                for other, drawn in enumerate(self._drawn):
                    if other not in gives_up and drawn.get(source, 0) > 0:
                        gives_up[other] = source
                        queue.append(other)
        return []

    def _shift(self, path: list[tuple[int, JobId]], most: int) -> int:
        """Draw along a path as much as it bears, and return how much that is."""
        amount = min(most, self._left[path[0][1]])
        for (claimant, _), (_, given) in pairwise(path):
            amount = min(amount, self._drawn[claimant][given])
        self._left[path[0][1]] -= amount
        for place, (claimant, source) in enumerate(path):
            self._drawn[claimant][source] += amount
            if place + 1 < len(path):
                self._drawn[claimant][path[place + 1][1]] -= amount
        return amount

    def _give_back(self) -> None:
        for source, amount in self._drawn.pop().items():
            self._left[source] += amount


def _trace(
    source: JobId, reached_by: Mapping[JobId, int], gives_up: Mapping[int, JobId], last: int
) -> list[tuple[int, JobId]]:
    path = [(reached_by[source], source)]
    while path[-1][0] != last:
        source = gives_up[path[-1][0]]
        path.append((reached_by[source], source))
    return path
