# SPDX-License-Identifier: Apache-2.0
"""`reduce(state, item, now_ms)`: what one record of an upstream topic, or its absence, comes to.

The state is of one partition. It changes in place and has one owner. What comes out is forwarded or
refused, and follows from the records alone, with one exception: silence. That is noticed as time
passes, by the times of the partition's own records, and by the host's clock only once the host says
that nothing waits behind them (`Quiet`): whoever reads late never takes its own delay for a node's
silence.

Folding is at least once with the effect of once. A cell includes records up to an offset and lets
none of them count again; what is forwarded twice is the same twice, and its natural key makes it a
duplicate.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from schemas.catalogue import Event
from schemas.codec import publish
from schemas.fleet import NodeHealthReported, NodeHeartbeat, NodeRemoved
from schemas.reasons import Rejection
from schemas.records import Origin, Published
from schemas.serving import RequestProfile, RequestProfileObserved, RequestServed
from streams.intake.beats import (
    fell_silent,
    fold_beat,
    fold_report,
    forget_node,
    forget_old_nodes,
)
from streams.intake.cells import CELLS, Cell, cell_of
from streams.intake.fold_rules import FOLD, FoldRules
from streams.intake.judging import Accepted, Refused, intake
from streams.intake.requests import closed, fold_request, forget_old_windows
from streams.kafka.keys import key_of
from streams.sources import SourceRules


class Arrived(Struct, frozen=True):
    """A record of the state's partition: its offset, when the broker got it, what it holds."""

    offset: int
    timestamp_ms: int
    published: Published | Refused


class Quiet(Struct, frozen=True):
    """Nothing waits in the state's partition: all that came has been reduced."""


class Forwarded(Struct, frozen=True):
    """An event for the engine, under the key of the entity that it is about."""

    key: bytes
    published: Published


Output = Forwarded | Refused


class IntakeState(Struct):
    """What intake knows of one partition. Only the cells are kept when a worker ends.

    `rules` say who may speak by this topic. `changed` holds the numbers of cells that differ from
    what was kept. `clock_ms` is how far time has passed here, `watched_ms` since when without a
    hole.
    """

    topic: str
    partition: int
    rules: SourceRules
    fold: FoldRules = FOLD
    cells: list[Cell] = field(default_factory=lambda: [Cell() for _ in range(CELLS)])
    changed: set[int] = field(default_factory=set)
    clock_ms: int = 0
    watched_ms: int = 0
    swept_ms: int = 0

    @property
    def counter(self) -> str:
        """Who counts here: no other topic or partition has the same."""
        return f"{self.topic}/{self.partition}"


def reduce(state: IntakeState, item: Arrived | Quiet, now_ms: int) -> Sequence[Output]:
    """Return what comes of an item. Never raises for what upstream may send.

    Time never runs backwards in a partition, and a record is no later than `now_ms`, whatever its
    timestamp says: a clock that runs ahead would age everybody else.
    """
    if isinstance(item, Quiet):
        return _pass_time(state, now_ms)
    heard_ms = state.clock_ms = max(state.clock_ms, min(item.timestamp_ms, now_ms))
    outputs = _judge(state, item, heard_ms)
    if heard_ms >= state.swept_ms + state.fold.sweep_ms:
        return (*outputs, *_pass_time(state, heard_ms))
    return outputs


# --- one record -----------------------------------------------------------------------------------


def _judge(state: IntakeState, item: Arrived, heard_ms: int) -> Sequence[Output]:
    published = item.published
    if isinstance(published, Refused):
        return (published,)
    judged = intake(published, state.rules, topic=state.topic)
    if isinstance(judged, Refused):
        return (judged,)
    match judged.event:
        case NodeHeartbeat() as beat:
            return _fold_beat(state, item.offset, judged, beat, heard_ms)
        case RequestServed() as served:
            return _fold_request(state, item.offset, judged, served, heard_ms)
        case NodeHealthReported() as report:
            cell = _open(state, report.node, item.offset)
            if cell is not None:
                fold_report(cell, report, heard_ms)
        case NodeRemoved() as removed:
            cell = _open(state, removed.name, item.offset)
            if cell is not None:
                forget_node(cell, removed)
        case _:
            pass
    return (Forwarded(key_of(judged.event), published),)


def _fold_beat(
    state: IntakeState, offset: int, judged: Accepted, beat: NodeHeartbeat, heard_ms: int
) -> Sequence[Output]:
    cell = _open(state, beat.node, offset)
    report = fold_beat(cell, beat, heard_ms, state.fold) if cell is not None else None
    if report is None:
        return ()
    return (_derived(state, report, report.node, report.sequence, judged.published.origin.ce_id),)


def _fold_request(
    state: IntakeState, offset: int, judged: Accepted, served: RequestServed, heard_ms: int
) -> Sequence[Output]:
    cell = _open(state, served.gateway, offset)
    if cell is None:
        return ()
    why = fold_request(cell, served, heard_ms, state.fold)
    if why is None:
        return ()
    wrong = (why.field, why.value, why.rule)
    return (Refused(judged.published, Rejection.INVALID_VALUE, *wrong, state.topic),)


def _open(state: IntakeState, entity: str, offset: int) -> Cell | None:
    """Return the cell that is to fold the record at `offset`, or None where it has done so."""
    number = cell_of(entity)
    cell = state.cells[number]
    if offset < cell.included:
        return None
    cell.included = offset + 1
    state.changed.add(number)
    return cell


# --- time -----------------------------------------------------------------------------------------


def _pass_time(state: IntakeState, clock_ms: int) -> Sequence[Output]:
    """Let time pass up to `clock_ms`, and return what falls due by it.

    Where it makes a jump, nobody was listening, and watching begins anew.
    """
    state.clock_ms = max(state.clock_ms, clock_ms)
    if state.clock_ms > state.swept_ms + state.fold.hole_ms:
        state.watched_ms = state.clock_ms
    state.swept_ms = state.clock_ms
    return tuple(_due(state))


def _due(state: IntakeState) -> Iterator[Output]:
    clock_ms, rules = state.clock_ms, state.fold
    for number, cell in enumerate(state.cells):
        for report in fell_silent(cell, clock_ms, state.watched_ms, rules):
            state.changed.add(number)
            yield _derived(state, report, report.node, report.sequence)
        for profile in closed(cell, clock_ms, state.counter, rules):
            state.changed.add(number)
            yield _observed(state, profile)
        if forget_old_nodes(cell, clock_ms, rules) | forget_old_windows(cell, clock_ms, rules):
            state.changed.add(number)


def _observed(state: IntakeState, profile: RequestProfile) -> Forwarded:
    window = f"{profile.deployment}/{profile.origin_region}/{profile.window_start_ms}"
    return _derived(
        state, RequestProfileObserved(profile), f"{profile.source}/{window}", profile.requests
    )


def _derived(
    state: IntakeState, event: Event, about: str, step: int, causation_id: str = ""
) -> Forwarded:
    """Return an event that intake says itself; the same again has the same id."""
    origin = Origin(
        ce_id=f"{about}/{step}",
        ce_source=f"intake/{state.counter}",
        ce_subject=about,
        causation_id=causation_id,
    )
    return Forwarded(key_of(event), publish(event, origin))
