# SPDX-License-Identifier: Apache-2.0
"""Where a partition begins and ends when a worker comes by it, against what is known of it.

Cells that include records which lie ahead of the partition's end are of another log: the topic was
made anew, or its end was lost. They would let nothing below count. Records whose time was over
before the group had read them are gone for everybody: that is said, and work goes on behind them.
"""

from collections.abc import Mapping, Sequence

from structlog.typing import FilteringBoundLogger

from streams.intake.lost import IntakeLostError
from streams.intake.worker import Worker
from streams.kafka.ends import Ends
from streams.kafka.topics import Place


class Bounds:
    """What was asked of the broker about the partitions of one worker. Mutable; one thread."""

    def __init__(self, ends: Ends, worker: Worker, log: FilteringBoundLogger) -> None:
        """Have seen none yet."""
        self._ends = ends
        self._worker = worker
        self._log = log
        self._unsure: dict[Place, int] = {}
        self._told: dict[Place, int] = {}
        self.expired = 0
        """Offsets that were never read, as their time was over."""

    def look(self, committed: Mapping[Place, int]) -> None:
        """Look at partitions that are owned now; `committed` is below 0 where nothing is.

        Raises `IntakeLostError` where kept cells are of another log. Of whom the broker says
        nothing yet is asked again by `make_sure`.
        """
        self._unsure.update(committed)
        self._ask(tuple(committed))

    def make_sure(self, place: Place) -> None:
        """Let no record of an owned partition be taken in before its bounds were seen.

        Raises `IntakeLostError` where they are wrong, or still cannot be had.
        """
        if place not in self._unsure:
            return
        self._ask((place,))
        if place in self._unsure:
            msg = f"no broker says where {place[0]}, partition {place[1]}, begins and ends"
            raise IntakeLostError(msg)

    def _ask(self, places: Sequence[Place]) -> None:
        begins, ends = self._ends.begins(places), self._ends.of(places)
        for place in places:
            if place in begins and place in ends:
                self._hold_cells_to(place, ends[place])
                self._tell_expired(place, self._unsure.pop(place), begins[place])

    def _hold_cells_to(self, place: Place, end: int) -> None:
        included = self._worker.included(place)
        if included > end:
            msg = (
                f"kept cells include {place[0]}, partition {place[1]}, up to offset {included}, and"
                f" it ends at {end}: its topic was made anew or has lost records. "
                "docs/intake.md says how to forget the cells"
            )
            raise IntakeLostError(msg)

    def _tell_expired(self, place: Place, committed: int, begin: int) -> None:
        read = max(committed, self._told.get(place, 0))
        if committed < 0 or read >= begin:
            return
        self._told[place] = begin
        self.expired += begin - read
        self._log.error(
            "expired unread", topic=place[0], partition=place[1], from_offset=read, to_offset=begin
        )
