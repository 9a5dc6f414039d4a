# SPDX-License-Identifier: Apache-2.0
"""`rebase(state, plan)`: what of a plan, made on a cut, still holds at the head.

A plan is optimistic: events go on while it is made. An action is dropped when its job changed in a
way that matters to placement, when a device it wants is no longer there, or when the judge bars it;
with it falls everything that needed the room it would have made. A verdict on a job that no longer
waits is left out.
"""

from collections.abc import Collection, Mapping

from msgspec import Struct, structs

from engine.job_state import JobState
from engine.phases import WAITING, Phase
from engine.planning import Plan
from engine.slices import added
from engine.state import NodeState, State, takes_new_work
from schemas.decisions import (
    Action,
    ActionDropped,
    LaunchOrdered,
    MigrateOrdered,
    ResizeOrdered,
    Slice,
    StopOrdered,
    SuspendOrdered,
    VerdictReached,
)
from schemas.ids import JobId
from schemas.reasons import Drop


class Rebased(Struct, frozen=True):
    """The actions and verdicts that hold at the head, and the actions that no longer do."""

    applied: tuple[Action, ...]
    dropped: tuple[ActionDropped, ...]
    verdicts: tuple[VerdictReached, ...]


def rebase(state: State, plan: Plan, barred: Collection[JobId] = ()) -> Rebased:
    """Return what of the plan holds at the state's moment, without actions on `barred` jobs."""
    if state.head == plan.position and not barred:
        return Rebased(plan.actions, (), plan.verdicts)
    applied: list[Action] = []
    dropped: dict[JobId, ActionDropped] = {}
    leaving: set[JobId] = set()
    taken: dict[tuple[str, int], int] = {}
    for action in plan.actions:
        reason = (
            Drop.NOT_ALLOWED
            if action.job in barred
            else _why_not(state, action, dropped, leaving, taken)
        )
        if reason is not None:
            name = type(action).__name__
            dropped[action.job] = ActionDropped(action.job, name, reason.value)
            continue
        held = _with_current_waits(state, action, leaving)
        _note(held, leaving, taken)
        applied.append(held)
    verdicts = tuple(v for v in plan.verdicts if _still_waits(state.jobs[v.job]))
    return structs.replace(_without_idle_moves(applied, dropped), verdicts=verdicts)


def _still_waits(job: JobState) -> bool:
    return job.phase in WAITING and not job.cancelled


def _note(action: Action, leaving: set[JobId], taken: dict[tuple[str, int], int]) -> None:
    match action:
        case SuspendOrdered() | StopOrdered():
            leaving.add(action.job)
        case MigrateOrdered():
            leaving.add(action.job)
            _count(action.slices, taken)
        case ResizeOrdered():
            leaving.add(action.job)
        case LaunchOrdered():
            _count(action.slices, taken)


def _count(slices: tuple[Slice, ...], taken: dict[tuple[str, int], int]) -> None:
    for piece in slices:
        for slot in piece.slots:
            taken[piece.node, slot] = taken.get((piece.node, slot), 0) + piece.milli


def _why_not(
    state: State,
    action: Action,
    dropped: Mapping[JobId, ActionDropped],
    leaving: set[JobId],
    taken: Mapping[tuple[str, int], int],
) -> Drop | None:
    job = state.jobs[action.job]
    if not _subject_holds(job, action):
        return Drop.SUBJECT_CHANGED
    if isinstance(action, LaunchOrdered | MigrateOrdered):
        if any(holder in dropped for holder in action.waits_for):
            return Drop.DEPENDS_ON_DROPPED
        if not _devices_there(state, action, leaving, taken):
            return Drop.DEVICES_TAKEN
    grown = added(job.slices, action.slices) if isinstance(action, ResizeOrdered) else ()
    return None if _free(state, grown, taken) else Drop.DEVICES_TAKEN


def _subject_holds(job: JobState, action: Action) -> bool:
    match action:
        case LaunchOrdered():
            return _still_waits(job) and action.attempt == job.attempt + 1
        case StopOrdered():
            holds = job.phase in {Phase.STARTING, Phase.RUNNING}
            return holds and job.cancelled and action.attempt == job.attempt
        case ResizeOrdered():
            same = job.phase is Phase.RUNNING and action.attempt == job.attempt
            return same and job.resize is None and action.resize == job.resize_number + 1
        case SuspendOrdered() | MigrateOrdered():
            runs = job.phase in {Phase.RUNNING, Phase.STARTING} and job.resize is None
            return runs and action.attempt == job.attempt and not job.cancelled


def _devices_there(
    state: State,
    action: LaunchOrdered | MigrateOrdered,
    leaving: set[JobId],
    taken: Mapping[tuple[str, int], int],
) -> bool:
    """Whether every slot is free, or held only by who leaves and claimed by nobody."""
    for piece in action.slices:
        node = state.nodes.get(piece.node)
        if node is None or not takes_new_work(node):
            return False
        for slot in piece.slots:
            free = _will_be_free(state, node, slot, leaving) - taken.get((piece.node, slot), 0)
            if free < piece.milli:
                return False
    return True


def _will_be_free(state: State, node: NodeState, slot: int, leaving: set[JobId]) -> int:
    free = int(state.node_table.milli[node.row, slot])
    for holder, piece in node.holders.items():
        if slot in piece.slots and (holder in leaving or state.jobs[holder].releasing):
            free += piece.milli
    return free


def _free(state: State, slices: tuple[Slice, ...], taken: Mapping[tuple[str, int], int]) -> bool:
    return all(
        int(state.node_table.milli[state.nodes[piece.node].row, slot])
        - taken.get((piece.node, slot), 0)
        >= piece.milli
        for piece in slices
        for slot in piece.slots
    )


def _with_current_waits(state: State, action: Action, leaving: set[JobId]) -> Action:
    """Return the action without waiting for jobs that have released since."""
    if not isinstance(action, LaunchOrdered | MigrateOrdered):
        return action
    waits = tuple(
        holder for holder in action.waits_for if holder in leaving or state.jobs[holder].releasing
    )
    return action if waits == action.waits_for else structs.replace(action, waits_for=waits)


def _without_idle_moves(applied: list[Action], dropped: dict[JobId, ActionDropped]) -> Rebased:
    """Drop moves whose gainer was dropped: nobody would use the room."""
    awaited = {
        holder
        for action in applied
        if isinstance(action, LaunchOrdered | MigrateOrdered)
        for holder in action.waits_for
    }
    kept: list[Action] = []
    for action in applied:
        gains = getattr(action, "gains", None)
        idle = gains is not None and gains != action.job and gains in dropped
        if idle and action.job not in awaited:
            name = type(action).__name__
            dropped[action.job] = ActionDropped(action.job, name, Drop.DEPENDS_ON_DROPPED.value)
        else:
            kept.append(action)
    return Rebased(tuple(kept), tuple(dropped.values()), ())
