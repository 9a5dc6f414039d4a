# SPDX-License-Identifier: Apache-2.0
"""The trace player against a live engine: upstream systems and node agents, under a virtual clock.

It publishes what is due, reads the ledger for what counted and when, and the directives that nodes
are told. It keeps no truth of its own: a new player folds the ledger, and is where the old one was.

An event is under way from when it is published until the ledger holds it. One that is under way
when a player dies is published again by the next, which has no second effect.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.evolve import evolve, skip
from engine.state import State
from schemas.codec import decode_record
from schemas.directives import Directive
from schemas.ledger import CHUNK, LedgerTail, RejectedEvent
from schemas.records import Published
from streams.live.ports import Clock
from streams.player import TracePlayer
from streams.traces.workload import Workload

_WAIT_MS = 20
_REFUSED_EACH_MS = 1_000
_AT_ONCE = 1_000


class Orders(Protocol):
    """Directives as node agents get them, in order per node."""

    def take(self) -> Sequence[Directive]:
        """Return what came since the last call, without waiting; one may come more than once."""
        ...


class Outlet(Protocol):
    """Where upstream publishes."""

    def publish(self, events: Sequence[Published]) -> None:
        """Publish events; they are there when this returns."""
        ...


class RefusedEvents(Protocol):
    """What intake and engine refused."""

    def rejected(self, start: int, limit: int) -> Sequence[tuple[int, RejectedEvent]]:
        """Return up to `limit` refused events, numbered from 1, from number `start` on."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """All that a player touches of the world. `orders` must be open before the ledger is read."""

    ledger: LedgerTail
    orders: Orders
    outlet: Outlet
    refused: RefusedEvents
    clock: Clock


class LivePlayer:
    """Plays one workload up to a moment of virtual time. Made anew after any error."""

    def __init__(self, stage: Stage, workload: Workload, until_ms: int) -> None:
        """Recall from the ledger what was played already."""
        self._stage, self._until_ms = stage, until_ms
        self._player = TracePlayer(workload)
        self._recorded_ms = array("q")  # by position: when each record was recorded
        self._held: list[Directive] = []
        self._under_way: frozenset[str] = frozenset()
        self._refused = 0
        self._refused_at_ms = stage.clock.steady_ms() - _REFUSED_EACH_MS
        self.published = 0
        self._recall()

    @property
    def head(self) -> int:
        """How many records of the ledger it has seen."""
        return len(self._recorded_ms)

    @property
    def under_way(self) -> int:
        """How many events were published and are not on the ledger yet."""
        return len(self._under_way)

    @property
    def now_ms(self) -> int:
        """The virtual time, which ends where the play does."""
        return min(self._stage.clock.wall_ms(), self._until_ms)

    @property
    def done(self) -> bool:
        """Whether the play's time is over and the ledger holds all that was to happen by then."""
        now_ms = self.now_ms
        return now_ms == self._until_ms and not self.due(now_ms)

    def due(self, now_ms: int) -> list[Published]:
        """Return what is to be on the ledger by a moment and is not, whatever is under way."""
        return self._player.due(now_ms)

    def turn(self) -> None:
        """Take in what was decided, and publish what is due."""
        # 1. What counted, and what nodes were told.
        self._follow(self._stage.ledger.wait(self.head, _WAIT_MS))
        self._obey()
        self._forget_refused()
        # 2. What is due and not yet under way.
        due = self.due(self.now_ms)
        fresh = [event for event in _in_order(due) if event.origin.ce_id not in self._under_way]
        if fresh:
            self._stage.outlet.publish(fresh)
            self.published += len(fresh)
        published = self._under_way | {event.origin.ce_id for event in fresh}
        self._under_way = published & {event.origin.ce_id for event in due}

    # --- what the ledger says -------------------------------------------------------------------

    def _recall(self) -> None:
        """Fold what is there, and act again on each directive at its place."""
        state, ledger = State(), self._stage.ledger
        head = ledger.head()
        while state.head < head:
            for data in ledger.read(state.head, min(CHUNK, head - state.head)):
                record = decode_record(data)
                if record is None:
                    skip(state)
                    self._recorded_ms.append(self._recorded_ms[-1])
                    continue
                evolve(state, record)
                self._recorded_ms.append(record.recorded_ms)
                self._player.recall(record.event, record.recorded_ms)
                for directive in state.take_directives():
                    self._player.observe(directive, record.recorded_ms)

    def _follow(self, head: int) -> None:
        while self.head < head:
            for data in self._stage.ledger.read(self.head, min(CHUNK, head - self.head)):
                record = decode_record(data)
                if record is None:
                    self._recorded_ms.append(self._recorded_ms[-1])
                    continue
                self._recorded_ms.append(record.recorded_ms)
                self._player.recall(record.event, record.recorded_ms)

    def _obey(self) -> None:
        """Act on directives whose record was seen; the ledger says when that was."""
        self._held.extend(self._stage.orders.take())
        self._held.sort(key=lambda directive: directive.position)
        seen = [d for d in self._held if d.position < self.head]
        self._held = self._held[len(seen) :]
        for directive in seen:
            self._player.observe(directive, self._recorded_ms[directive.position])

    def _forget_refused(self) -> None:
        """Let go, now and then, of what was refused: it will not be on the ledger."""
        now_ms = self._stage.clock.steady_ms()
        if now_ms < self._refused_at_ms + _REFUSED_EACH_MS:
            return
        self._refused_at_ms = now_ms
        for number, event in self._stage.refused.rejected(self._refused + 1, _AT_ONCE):
            self._refused = number
            self._player.dropped(event.published)


def _in_order(due: list[Published]) -> list[Published]:
    """Return what may be published at once.

    Topics and partitions keep no order among each other. So of the genesis, which comes first, only
    one kind is under way at a time: whatever the next kind names is on the ledger by then.
    """
    if not due or not _of_genesis(due[0]):
        return due
    return [event for event in due if _of_genesis(event) and event.ce_type == due[0].ce_type]


def _of_genesis(event: Published) -> bool:
    return not event.origin.ce_subject
