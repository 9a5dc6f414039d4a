# SPDX-License-Identifier: Apache-2.0
"""Arithmetic on the slices of one gang."""

from schemas.decisions import Slice


def added(before: tuple[Slice, ...], after: tuple[Slice, ...]) -> tuple[Slice, ...]:
    """Return what a gang that grows from `before` to `after` takes beyond what it has."""
    had = {piece.node: piece for piece in before}
    more: list[Slice] = []
    for piece in after:
        known = had.get(piece.node)
        if known is None:
            more.append(piece)
            continue
        slots = tuple(slot for slot in piece.slots if slot not in known.slots)
        if slots or piece.workers > known.workers:
            more.append(Slice(piece.node, slots, piece.milli, piece.workers - known.workers))
    return tuple(more)


def shrunk(
    slices: tuple[Slice, ...], devices: int, workers: int
) -> tuple[tuple[Slice, ...], tuple[Slice, ...]]:
    """Return what a gang keeps and what it gives up when it shrinks to `workers`.

    `devices` are those of one worker, whole. Gives up from the nodes where it has fewest workers,
    so that what stays is close together.
    """
    excess = sum(piece.workers for piece in slices) - workers
    kept: list[Slice] = []
    given: list[Slice] = []
    for piece in sorted(slices, key=lambda s: (s.workers, s.node)):
        gone = min(excess, piece.workers)
        excess -= gone
        cut = len(piece.slots) - gone * devices
        if gone:
            given.append(Slice(piece.node, piece.slots[cut:], piece.milli, gone))
        if gone < piece.workers:
            kept.append(Slice(piece.node, piece.slots[:cut], piece.milli, piece.workers - gone))
    return tuple(sorted(kept, key=_node)), tuple(sorted(given, key=_node))


def merged(first: tuple[Slice, ...], second: tuple[Slice, ...]) -> tuple[Slice, ...]:
    """Return two sets of slices of one gang as one, a slice per node."""
    by_node = {piece.node: piece for piece in first}
    for piece in second:
        known = by_node.get(piece.node)
        if known is None:
            by_node[piece.node] = piece
        else:
            slots = tuple(sorted((*known.slots, *piece.slots)))
            by_node[piece.node] = Slice(
                piece.node, slots, piece.milli, known.workers + piece.workers
            )
    return tuple(sorted(by_node.values(), key=_node))


def _node(piece: Slice) -> str:
    return piece.node
