# SPDX-License-Identifier: Apache-2.0
"""Several gangs on the same nodes, all of them or none.

One gang alone is placed exactly by counting. Several compete: one after the other may fail although
a packing of all exists. Then CP-SAT decides how many nodes of each kind take which pattern of
workers (the cutting-stock formulation over classes of alike nodes of Gilmore and Gomory), which is
exact: what it finds is a packing, and what it refutes has none.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from ortools.sat.python import cp_model

from solvers.packing.gang import place_gang
from solvers.packing.nodes import (
    DEVICE_MILLI,
    IntArray,
    NodeArrays,
    PackingReason,
    Slice,
    WorkerDemand,
    commit,
    copied,
)
from solvers.packing.patterns import (
    Counts,
    Filling,
    NodeKind,
    PatternLimitError,
    Shape,
    covering,
    fillings,
    patterns,
)

_WHOLE = -1
"""Stands for all shapes that take whole devices."""


class Gang(Struct, frozen=True):
    """So many workers of one shape, to be placed together."""

    demand: WorkerDemand
    workers: int


class SetLimits(Struct, frozen=True):
    """How far the exact search goes: patterns of one kind of node, and deterministic time."""

    patterns: int = 2_000
    deterministic_effort: float = 2.0
    seed: int = 1


class GangSetPlacement(Struct, frozen=True):
    """The slices of each gang in the order asked, or none and why."""

    gangs: tuple[tuple[Slice, ...], ...]
    reason: PackingReason


@dataclass(frozen=True, slots=True)
class _Model:
    """Alike nodes together, and what each kind of them can take."""

    gangs: tuple[Gang, ...]
    shapes: tuple[Shape, ...]
    shape_of: tuple[int, ...]
    rows: dict[NodeKind, list[int]]
    patterns: dict[NodeKind, list[Counts]]


def place_gangs(
    nodes: NodeArrays, rows: IntArray, gangs: tuple[Gang, ...], limits: SetLimits
) -> GangSetPlacement:
    """Return where all gangs go together among `rows` (sorted node indices), or why they do not.

    Changes nothing. Largest workers and gangs first, each by `place_gang`; where that fails, by
    CP-SAT with one worker, a fixed seed and a deterministic limit. DOES_NOT_FIT is proven.
    """
    in_turn = _in_turn(nodes, rows, gangs)
    if in_turn is not None:
        return GangSetPlacement(in_turn, PackingReason.PLACED)
    try:
        model = _model(nodes, rows, gangs, limits)
    except PatternLimitError:
        return GangSetPlacement((), PackingReason.LIMIT_REACHED)
    taken = _solved(model, limits)
    if isinstance(taken, PackingReason):
        return GangSetPlacement((), taken)
    return GangSetPlacement(_dealt(nodes, model, taken, limits), PackingReason.PLACED)


def _in_turn(
    nodes: NodeArrays, rows: IntArray, gangs: tuple[Gang, ...]
) -> tuple[tuple[Slice, ...], ...] | None:
    scratch = copied(nodes)
    placed: list[tuple[Slice, ...]] = [()] * len(gangs)
    order = sorted(range(len(gangs)), key=lambda at: (*_largest(gangs[at]), at))
    for at in order:
        found = place_gang(scratch, rows, gangs[at].demand, gangs[at].workers)
        if found.reason is not PackingReason.PLACED:
            return None
        commit(scratch, found.slices, gangs[at].demand)
        placed[at] = found.slices
    return tuple(placed)


def _largest(gang: Gang) -> tuple[int, int, int]:
    demand = gang.demand
    return -demand.total_milli, -demand.cpu_milli, -gang.workers


def _model(nodes: NodeArrays, rows: IntArray, gangs: tuple[Gang, ...], limits: SetLimits) -> _Model:
    wanted: Counter[tuple[WorkerDemand, int]] = Counter()
    keys = [(g.demand, at if g.demand.shared else -1) for at, g in enumerate(gangs)]
    for key, gang in zip(keys, gangs, strict=True):
        wanted[key] += gang.workers
    index = {key: at for at, key in enumerate(wanted)}
    shapes = tuple(Shape(key[0], count) for key, count in wanted.items())
    by_kind: dict[NodeKind, list[int]] = defaultdict(list)
    for row in rows.tolist():
        if nodes.usable[row]:
            by_kind[_kind(nodes, row)].append(row)
    return _Model(
        gangs=gangs,
        shapes=shapes,
        shape_of=tuple(index[key] for key in keys),
        rows=dict(by_kind),
        patterns={kind: patterns(kind, shapes, limits.patterns) for kind in by_kind},
    )


def _kind(nodes: NodeArrays, row: int) -> NodeKind:
    free = sorted((n for n in nodes.free_milli[row].tolist() if n > 0), reverse=True)
    host = (
        int(nodes.cpu_free_milli[row]),
        int(nodes.memory_free_mib[row]),
        int(nodes.storage_free_mbps[row]),
        int(nodes.network_free_mbps[row]),
    )
    return NodeKind(tuple(free), host)


def _solved(model: _Model, limits: SetLimits) -> dict[NodeKind, list[Counts]] | PackingReason:
    """Return the patterns that nodes of each kind take, one per node used, on fewest nodes.

    Or why there are none: proven impossible, or not found within the limit.
    """
    cp = cp_model.CpModel()
    uses: list[tuple[NodeKind, Counts, cp_model.IntVar]] = []
    for number, (kind, found) in enumerate(model.patterns.items()):
        size = len(model.rows[kind])
        columns = [cp.new_int_var(0, size, f"{number}/{at}") for at in range(len(found))]
        cp.add(_sum(columns) <= size)
        uses.extend((kind, counts, var) for counts, var in zip(found, columns, strict=True))
    for at, shape in enumerate(model.shapes):
        giving = [counts[at] * var for _, counts, var in uses if counts[at]]
        cp.add(_sum(giving) >= shape.wanted)
    cp.minimize(_sum([var for _, counts, var in uses if any(counts)]))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = limits.seed
    solver.parameters.max_deterministic_time = limits.deterministic_effort
    status = solver.solve(cp)
    if status == cp_model.INFEASIBLE:
        return PackingReason.DOES_NOT_FIT
    if status not in {cp_model.OPTIMAL, cp_model.FEASIBLE}:
        return PackingReason.LIMIT_REACHED
    taken: dict[NodeKind, list[Counts]] = defaultdict(list)
    for kind, counts, var in uses:
        taken[kind].extend([counts] * solver.value(var))
    return taken


def _sum(terms: Sequence[cp_model.LinearExprT]) -> cp_model.LinearExprT:
    expression: Any = cp_model.LinearExpr  # its stubs leave the terms' type open
    total: cp_model.LinearExprT = expression.sum(terms)
    return total


def _dealt(
    nodes: NodeArrays, model: _Model, taken: dict[NodeKind, list[Counts]], limits: SetLimits
) -> tuple[tuple[Slice, ...], ...]:
    """Deal the workers of each gang over the nodes that take its shape, in order."""
    waiting: list[deque[tuple[int, int]]] = [deque() for _ in model.shapes]
    for at, gang in enumerate(model.gangs):
        waiting[model.shape_of[at]].append((at, gang.workers))
    placed: list[list[Slice]] = [[] for _ in model.gangs]
    for kind, used in taken.items():
        found = fillings(kind, model.shapes, limits.patterns)
        for row, counts in zip(model.rows[kind], used, strict=False):
            slots = _slots(nodes, row, covering(found, model.shapes, counts))
            for shape, count in enumerate(counts):
                for at, workers in _next(waiting[shape], count):
                    demand = model.gangs[at].demand
                    free = slots[shape if demand.shared else _WHOLE]
                    held = tuple(sorted(free.pop() for _ in range(workers * demand.devices)))
                    placed[at].append(Slice(row, held, demand.device_milli, workers))
    return tuple(tuple(sorted(slices, key=_node)) for slices in placed)


def _slots(nodes: NodeArrays, row: int, filling: Filling) -> dict[int, list[int]]:
    """Return the slots of a node that each shared shape goes on, and those left for whole ones."""
    free = nodes.free_milli[row].tolist()
    falling = sorted((slot for slot in range(len(free)) if free[slot] > 0), key=lambda s: -free[s])
    slots: dict[int, list[int]] = defaultdict(list)
    for slot, held in zip(falling, filling.held, strict=True):
        for shape in held:
            slots[shape].insert(0, slot)
        if not held and free[slot] >= DEVICE_MILLI:
            slots[_WHOLE].insert(0, slot)
    return slots


def _next(waiting: deque[tuple[int, int]], count: int) -> Iterator[tuple[int, int]]:
    """Yield gangs and how many of their workers come next, `count` together or all there are."""
    while count and waiting:
        at, left = waiting.popleft()
        workers = min(left, count)
        count -= workers
        if workers < left:
            waiting.appendleft((at, left - workers))
        yield at, workers


def _node(piece: Slice) -> int:
    return piece.node
