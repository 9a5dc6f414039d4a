# SPDX-License-Identifier: Apache-2.0
"""Everything that one node can take of several shapes at once: its maximal patterns, exactly.

A pattern is a number of workers per shape. What the device slots hold is found first, slot by slot,
keeping only what nothing else covers; what the host holds beside it is then enumerated.
"""

from collections.abc import Iterator
from itertools import combinations

from msgspec import Struct

from solvers.packing.nodes import DEVICE_MILLI, WorkerDemand

Counts = tuple[int, ...]


class PatternLimitError(Exception):
    """A node has more patterns than the caller allows."""


class Shape(Struct, frozen=True):
    """Workers that are alike and how many of them are wanted.

    Those that share devices are alike only inside one gang, because no gang holds a slot twice.
    """

    demand: WorkerDemand
    wanted: int


class NodeKind(Struct, frozen=True):
    """What is free on a node: slots by falling thousandths (none empty) and the host's amounts.

    `host` is CPU, memory, storage and network in `WorkerDemand`'s order.
    """

    slots: tuple[int, ...]
    host: tuple[int, int, int, int]


class Filling(Struct, frozen=True):
    """One way to use the slots: `counts` per shape (whole devices for shapes that take them).

    `held` names, slot by slot, the shared shapes on it; a slot left alone is free for whole ones.
    """

    counts: Counts
    whole: int
    held: tuple[tuple[int, ...], ...]


def fillings(kind: NodeKind, shapes: tuple[Shape, ...], most: int) -> list[Filling]:
    """Return the ways to use a node's slots that no other way covers.

    Raises:
        PatternLimitError: There are more than `most` of them, on the way or in the end.
    """
    found = [Filling((0,) * len(shapes), 0, ())]
    needs_whole = any(_takes_whole(shape.demand) for shape in shapes)
    for free in kind.slots:
        options = list(_slot_options(free, shapes))
        grown: dict[tuple[Counts, int], Filling] = {}
        for filling in found:
            for held in options:
                counts = _added(filling.counts, held)
                if any(n > s.wanted for n, s in zip(counts, shapes, strict=True)):
                    continue
                whole = filling.whole + (not held and needs_whole and free >= DEVICE_MILLI)
                grown.setdefault((counts, whole), Filling(counts, whole, (*filling.held, held)))
        if len(grown) > most:
            raise PatternLimitError
        found = _uncovered(list(grown.values()))
    return found


def _takes_whole(demand: WorkerDemand) -> bool:
    return demand.devices > 0 and not demand.shared


def _slot_options(free: int, shapes: tuple[Shape, ...]) -> Iterator[tuple[int, ...]]:
    """Yield which shared shapes go on one slot together, each at most once."""
    shared = [i for i, s in enumerate(shapes) if s.demand.shared and s.demand.device_milli <= free]
    for size in range(len(shared) + 1):
        some = False
        for held in combinations(shared, size):
            if sum(shapes[i].demand.device_milli for i in held) <= free:
                some = True
                yield held
        if not some:
            return


def _added(counts: Counts, held: tuple[int, ...]) -> Counts:
    return tuple(n + (i in held) for i, n in enumerate(counts))


def _uncovered(found: list[Filling]) -> list[Filling]:
    """Drop each filling that another one covers; the earlier of equal ones stays."""
    order = sorted(found, key=_amount, reverse=True)
    kept: list[Filling] = []
    for filling in order:
        if not any(_covers(other, filling.counts, filling.whole) for other in kept):
            kept.append(filling)
    return kept


def _amount(filling: Filling) -> tuple[int, Counts, int]:
    return sum(filling.counts) + filling.whole, filling.counts, filling.whole


def _covers(filling: Filling, counts: Counts, whole: int) -> bool:
    return filling.whole >= whole and all(
        has >= n for has, n in zip(filling.counts, counts, strict=True)
    )


def covering(found: list[Filling], shapes: tuple[Shape, ...], counts: Counts) -> Filling:
    """Return the first filling with slots for so many workers of each shape.

    Raises:
        StopIteration: None has; a pattern of the same node always has one.
    """
    return next(f for f in found if _covers(f, *_of_slots(shapes, counts)))


def _of_slots(shapes: tuple[Shape, ...], counts: Counts) -> tuple[Counts, int]:
    """Return workers of shared shapes, and devices of those that take whole ones."""
    whole = sum(
        n * s.demand.devices for n, s in zip(counts, shapes, strict=True) if _takes_whole(s.demand)
    )
    shared = tuple(n if s.demand.shared else 0 for n, s in zip(counts, shapes, strict=True))
    return shared, whole


def patterns(kind: NodeKind, shapes: tuple[Shape, ...], most: int) -> list[Counts]:
    """Return the maximal numbers of workers per shape that a node takes together.

    Raises:
        PatternLimitError: There are more than `most`.
    """
    found = fillings(kind, shapes, most)
    whole: list[Counts] = []
    looked = 0

    def fits(counts: Counts) -> bool:
        asked = _of_slots(shapes, counts)
        return _host_fits(kind, shapes, counts) and any(_covers(f, *asked) for f in found)

    def grow(counts: Counts, at: int) -> None:
        nonlocal looked
        looked += 1
        if looked > most * len(shapes):
            raise PatternLimitError
        if at == len(shapes):
            if not any(fits(_added(counts, (i,))) for i in _short(counts, shapes)):
                whole.append(counts)
            return
        grown = counts
        while True:
            grow(grown, at + 1)
            if grown[at] == shapes[at].wanted or not fits(_added(grown, (at,))):
                return
            grown = _added(grown, (at,))

    grow((0,) * len(shapes), 0)
    return whole


def _short(counts: Counts, shapes: tuple[Shape, ...]) -> list[int]:
    return [i for i, shape in enumerate(shapes) if counts[i] < shape.wanted]


def _host_fits(kind: NodeKind, shapes: tuple[Shape, ...], counts: Counts) -> bool:
    for at, has in enumerate(kind.host):
        asked = sum(n * s.demand.amounts()[2 + at] for n, s in zip(counts, shapes, strict=True))
        if asked > max(has, 0):
            return False
    return True
