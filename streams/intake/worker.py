# SPDX-License-Identifier: Apache-2.0
"""What both hosts of the reducer share: the partitions that a worker owns, and what is to be kept.

A host calls `take` for each record and `quiet` where nothing waits, sends what they return, and now
and then makes a checkpoint, in this order:

1. `changed` takes the cells that differ from what is kept, as they are now.
2. Everything that was sent is delivered.
3. The cells are kept, and that is delivered too.
4. The input's offsets are committed.

A crash between any two steps reads records again that cells may include: those count no second
time, and what is sent again is the same.
"""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from schemas.errors import InternalError
from streams.intake.cells import CELLS, decode_cell, encode_cell
from streams.intake.fold_rules import FOLD, FoldRules
from streams.intake.reducer import Arrived, IntakeState, Output, Quiet, reduce
from streams.kafka.headers import Headers, from_record
from streams.kafka.topics import Place
from streams.sources import SourceRules

SESSION_S = 10.0
"""How long a worker may be silent before the group gives its partitions to others: what a kill
costs, as nobody reads them until then. A broker takes no less than 6 s unless it is told so."""


class KeptCell(Struct, frozen=True):
    """A cell as it is kept: its key, its bytes, and the partition that it belongs beside."""

    key: bytes
    data: bytes
    partition: int


def cell_key(place: Place, number: int) -> bytes:
    """Return the key under which a cell is kept."""
    return f"{place[0]}/{place[1]}/{number}".encode()


class Worker:
    """The partitions of one process. Mutable; one thread."""

    def __init__(self, rules: Mapping[str, SourceRules], fold: FoldRules = FOLD) -> None:
        """Own nothing yet; `rules` say for each upstream topic who speaks by it."""
        self._rules = rules
        self._fold = fold
        self._states: dict[Place, IntakeState] = {}

    @property
    def places(self) -> Sequence[Place]:
        """The partitions that are owned."""
        return tuple(self._states)

    def owns(self, place: Place) -> bool:
        """Tell whether a partition is owned."""
        return place in self._states

    def assign(self, place: Place, kept: Callable[[bytes], bytes | None]) -> None:
        """Own a partition; `kept` returns the bytes of the cell under a key, if there are any.

        Raises `DecodeError` for bytes that are no cell.
        """
        topic, partition = place
        state = IntakeState(topic, partition, self._rules[topic], self._fold)
        for number in range(CELLS):
            data = kept(cell_key(place, number))
            if data is not None:
                state.cells[number] = decode_cell(data)
        self._states[place] = state

    def included(self, place: Place) -> int:
        """Return the offset up to which the cells of an owned partition include its records."""
        return max(cell.included for cell in self._states[place].cells)

    def revoke(self, place: Place) -> None:
        """Own a partition no more; whoever owns it next goes on from what was kept."""
        self._states.pop(place, None)

    def take(
        self,
        place: Place,
        record: tuple[int, int, Headers | None, bytes | None],
        now_ms: int,
    ) -> Sequence[Output]:
        """Return what comes of a record (offset, timestamp, headers, value) of an owned place.

        Raises `InternalError` where intake itself fails on it; the message says where it lies.
        """
        offset, timestamp_ms, headers, value = record
        try:
            published = from_record(headers, value, topic=place[0])
            return reduce(self._states[place], Arrived(offset, timestamp_ms, published), now_ms)
        except Exception as error:
            msg = f"intake failed on {place[0]}, partition {place[1]}, offset {offset}: {error!r}"
            raise InternalError(msg) from error

    def quiet(self, place: Place, now_ms: int) -> Sequence[Output]:
        """Return what falls due in an owned partition in which nothing waits.

        Raises `InternalError` where intake itself fails on it; the message says where.
        """
        try:
            return reduce(self._states[place], Quiet(), now_ms)
        except Exception as error:
            msg = f"intake failed as time passed in {place[0]}, partition {place[1]}: {error!r}"
            raise InternalError(msg) from error

    def changed(self) -> Sequence[KeptCell]:
        """Return the cells that changed since the last call, as they are now."""
        found: list[KeptCell] = []
        for place, state in self._states.items():
            found.extend(
                KeptCell(cell_key(place, n), encode_cell(state.cells[n]), place[1])
                for n in sorted(state.changed)
            )
            state.changed.clear()
        return found
