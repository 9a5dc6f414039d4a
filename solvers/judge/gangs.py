# SPDX-License-Identifier: Apache-2.0
"""Rules on a gang by itself: it is placed whole, and its slices are what its shape says."""

from collections.abc import Iterator

from schemas.decisions import ResizeOrdered, Slice
from schemas.jobs import WorkerShape
from solvers.judge.touched import Touched
from solvers.judge.violation import PlanRule, Violation


def gang_size(seen: Touched) -> Iterator[Violation]:
    """A gang has between its fewest and its most workers."""
    for act, action in seen.placements:
        spec = act.job.spec
        if not spec.workers_min <= action.workers <= spec.workers_max:
            sentence = (
                f"{action.job} gets {action.workers} workers, "
                f"asked are {spec.workers_min} to {spec.workers_max}"
            )
            yield Violation(PlanRule.GANG_SIZE, act.index, action.job, sentence)


def gang_parts(seen: Touched) -> Iterator[Violation]:
    """The slices of a gang, one per node and none empty, hold all its workers."""
    for act, action in seen.placements:
        placed = sum([piece.workers for piece in action.slices])
        nodes = {piece.node for piece in action.slices}
        whole = placed == action.workers and len(nodes) == len(action.slices)
        if not whole or not nodes or min([piece.workers for piece in action.slices]) <= 0:
            sentence = (
                f"{action.job} has {action.workers} workers, of which {placed} are placed "
                f"in {len(action.slices)} slices on {len(nodes)} nodes"
            )
            yield Violation(PlanRule.GANG_PARTS, act.index, action.job, sentence)


def slice_shape(seen: Touched) -> Iterator[Violation]:
    """A slice names each slot once, as many as its workers need, and holds what one needs."""
    for act, action in seen.placements:
        shape = act.job.spec.worker
        for piece in action.slices:
            if not _in_shape(piece, shape):
                sentence = (
                    f"{action.job} holds {piece.milli} milli of slots {piece.slots} on "
                    f"{piece.node} for {piece.workers} workers of {shape.devices} x "
                    f"{shape.device_milli} milli"
                )
                yield Violation(PlanRule.SLICE_SHAPE, act.index, action.job, sentence)


def _in_shape(piece: Slice, shape: WorkerShape) -> bool:
    slots = piece.slots
    if len(slots) != piece.workers * shape.devices:
        return False
    if not slots:
        return True
    return piece.milli == shape.device_milli and len(set(slots)) == len(slots)


def resize_moves(seen: Touched) -> Iterator[Violation]:
    """A resize changes the number of workers; growth keeps all it holds, a shrink takes nothing."""
    for act, action in seen.placements:
        if not isinstance(action, ResizeOrdered):
            continue
        job = act.job
        taken = sum([piece.workers for piece, _ in act.taken])
        slots = sum([len(piece.slots) for piece, _ in act.taken])
        more = action.workers - job.workers
        if more == 0 or taken != max(more, 0) or slots != taken * job.spec.worker.devices:
            sentence = (
                f"{action.job} goes from {job.workers} to {action.workers} workers "
                f"and takes {slots} new slots for {taken}"
            )
            yield Violation(PlanRule.RESIZE_MOVES, act.index, action.job, sentence)
