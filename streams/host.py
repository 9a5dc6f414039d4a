# SPDX-License-Identifier: Apache-2.0
"""The engine's host: the one writer of a ledger.

It carries what the pure core decides, and decides nothing itself.

One step is one atomic append: admit what has arrived, cut a snapshot, plan, rebase on the head,
judge, record.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.decide import arrivals, decide
from engine.digest import Digest
from engine.evolve import evolve
from engine.judging import lawful
from engine.minutes import minutes
from engine.outcomes import Duplicate, Fact, Parked, Rejected, reject
from engine.planning import Plan, plan
from engine.snapshot import Snapshot, cut
from engine.state import State
from engine.wakeup import anything_to_plan, cycle_due, someone_must_leave, someone_waits
from schemas.catalogue import Event
from schemas.codec import decode_event, encode_record, publish
from schemas.decisions import EventParked, ParkedReleased, PolicyActivated, RulesActivated
from schemas.directives import Directive
from schemas.ledger import RejectedEvent
from schemas.reasons import Rejection
from schemas.records import Origin, Published, Record


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that the engine refused, with all that is needed to publish it again after a fix."""

    published: Published
    outcome: Rejected


@dataclass(slots=True)
class Batch:
    """What one step appends, atomically: records, and beside them what was refused.

    `entries` are the records as values.
    """

    start: int
    records: list[bytes] = field(default_factory=list)
    entries: list[Record] = field(default_factory=list)
    facts: list[tuple[Published, Event]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    duplicates: int = 0
    planned: bool = False
    directives: tuple[Directive, ...] = ()


@dataclass(frozen=True, slots=True)
class PendingCycle:
    """A cut that a plan is being made on, and the state's digest at it."""

    snapshot: Snapshot
    state_digest: bytes


class Host:
    """Holds the state as of the ledger's head and turns what arrives into the next batch.

    The caller appends each batch durably before it shows its directives to anyone. If that fails,
    the host is ahead of the ledger and must be thrown away.
    """

    def __init__(self, state: State, build: str, digest: Digest | None = None) -> None:
        """Go on from a state that is a valid cut, and from its digest where one was kept."""
        self.state = state
        self.digest = Digest() if digest is None else digest
        self.claims_missed = 0
        self._build = build
        self._batch = Batch(state.head)

    def step(
        self, arrived: Sequence[tuple[Published, Event]], now_ms: int, *, retry: bool = False
    ) -> Batch:
        """Return the batch of one step at `now_ms`: admit, and plan where a cycle is due.

        `retry` looks again at who waits though nothing changed.
        """
        batch = self._begin()
        self._take(arrived, now_ms)
        pending = self.open_cycle(now_ms, retry=retry)
        if pending is not None:
            self._record_plan(pending, plan(pending.snapshot), now_ms)
        return self._end(batch)

    # A host that must not block while a plan is made takes the same step in three calls.

    def admit(self, arrived: Sequence[tuple[Published, Event]], now_ms: int) -> Batch:
        """Return the batch that takes in what has arrived, and plans nothing."""
        batch = self._begin()
        self._take(arrived, now_ms)
        return self._end(batch)

    def open_cycle(self, now_ms: int, *, retry: bool = False) -> PendingCycle | None:
        """Return a cut to plan on, or None where no cycle is due. Only between batches."""
        state = self.state
        again = retry and (someone_waits(state) or someone_must_leave(state, now_ms))
        if not ((cycle_due(state, now_ms) or again) and anything_to_plan(state, now_ms)):
            return None
        return PendingCycle(cut(self.state, now_ms), self.digest.update(self.state))

    def close_cycle(self, pending: PendingCycle, planned: Plan, now_ms: int) -> Batch:
        """Return the batch of a plan: rebased on the head, judged, as records."""
        batch = self._begin()
        self._record_plan(pending, planned, now_ms)
        return self._end(batch)

    def _begin(self) -> Batch:
        self._batch = Batch(self.state.head)
        return self._batch

    def _end(self, batch: Batch) -> Batch:
        """Hand over what node agents are to be told once the batch is durable."""
        batch.directives = self.state.take_directives()
        return batch

    def _take(self, arrived: Sequence[tuple[Published, Event]], now_ms: int) -> None:
        """Refuse what waited too long for what it needs, then admit what has arrived."""
        self._expire(now_ms)
        for published, event in arrived:
            self._admit(published, event, now_ms, cause=None)

    def activate(self, events: Sequence[PolicyActivated | RulesActivated], now_ms: int) -> Batch:
        """Return the batch that puts a policy or rules in force, as an operator asked."""
        batch = self._begin()
        for event in events:
            self.record_own(event, now_ms)
        return batch

    # --- facts ----------------------------------------------------------------------------------

    def _admit(self, published: Published, event: Event, now_ms: int, cause: int | None) -> None:
        outcome = decide(self.state, event)
        match outcome:
            case Fact():
                position = self._record(published, event, now_ms, cause)
                self._batch.facts.append((published, event))
                self._unpark(event, position, now_ms)
            case Duplicate():
                self._batch.duplicates += 1
            case Parked():
                self._park(published, outcome, now_ms)
            case Rejected():
                self._batch.refused.append(Refusal(published, outcome))

    def _record(
        self, published: Published, event: Event, now_ms: int, cause: int | None = None
    ) -> int:
        position = self.state.head
        record = Record(position, now_ms, event, cause)
        self._batch.records.append(encode_record(position, now_ms, published, cause))
        self._batch.entries.append(record)
        evolve(self.state, record)
        return position

    def record_own(self, event: Event, now_ms: int, cause: int | None = None) -> int:
        """Record an event that the engine or its operator says, and return its position."""
        return self._record(publish(event), event, now_ms, cause)

    def _park(self, published: Published, outcome: Parked, now_ms: int) -> None:
        policy = self.state.policy
        if policy is None:
            rule = f"{outcome.waits_for} is not known and no policy says how long to wait for it"
            refusal = reject(Rejection.UNKNOWN_ENTITY, "", outcome.waits_for, rule)
            self._batch.refused.append(Refusal(published, refusal))
            return
        if self._is_parked(published, outcome.waits_for):
            self._batch.duplicates += 1
            return
        origin = published.origin
        parked = EventParked(
            published.ce_type,
            published.payload,
            outcome.waits_for,
            now_ms + policy.park_ms,
            *(getattr(origin, name) for name in Origin.__struct_fields__),
        )
        self.record_own(parked, now_ms)

    def _is_parked(self, published: Published, waits_for: str) -> bool:
        same = (self.state.parked[p] for p in self.state.waiting_events.get(waits_for, ()))
        return any(p.payload == published.payload and p.ce_type == published.ce_type for p in same)

    def _unpark(self, event: Event, position: int, now_ms: int) -> None:
        """Decide again what waited for what this event made known."""
        for key in arrivals(event):
            for parked in tuple(self.state.waiting_events.get(key, ())):
                self._decide_again(parked, position, now_ms)

    def _decide_again(self, parked: int, cause: int, now_ms: int) -> None:
        kept = self.state.parked[parked]
        published = _published(kept)
        event = decode_event(kept.ce_type, kept.payload)
        outcome = decide(self.state, event)
        match outcome:
            case Fact():
                self.record_own(ParkedReleased(parked, admitted=True), now_ms, cause)
                self._admit(published, event, now_ms, parked)
            case Parked():
                if outcome.waits_for != kept.waits_for:
                    self.record_own(ParkedReleased(parked, admitted=True), now_ms, cause)
                    self._park(published, outcome, now_ms)
            case Duplicate():
                self.record_own(ParkedReleased(parked, admitted=True), now_ms, cause)
            case Rejected():
                reason = outcome.rejection.value
                released = ParkedReleased(parked, admitted=False, reason=reason)
                self.record_own(released, now_ms, cause)
                self._batch.refused.append(Refusal(published, outcome))

    def _expire(self, now_ms: int) -> None:
        for position, kept in tuple(self.state.parked.items()):
            if kept.deadline_ms > now_ms:
                continue
            reason = Rejection.UNKNOWN_ENTITY
            released = ParkedReleased(position, admitted=False, reason=reason.value)
            self.record_own(released, now_ms, position)
            rule = f"{kept.waits_for} did not arrive in time"
            refusal = reject(reason, kept.waits_for.partition(":")[0], kept.waits_for, rule)
            self._batch.refused.append(Refusal(_published(kept), refusal))

    # --- decisions ------------------------------------------------------------------------------

    def _record_plan(self, pending: PendingCycle, planned: Plan, now_ms: int) -> None:
        """Record what the judge accepts of a plan at the head; a plan of nothing is no cycle."""
        if not planned.actions and not planned.verdicts:
            return
        allowed = lawful(self.state, planned, now_ms)
        self.claims_missed += allowed.claims_missed
        entries = minutes(self.state, planned, allowed.rebased, pending.state_digest, self._build)
        for entry in entries:
            self.record_own(entry.event, now_ms, entry.cause)
        self._batch.planned = True


def _published(kept: EventParked) -> Published:
    origin = Origin(*(getattr(kept, name) for name in Origin.__struct_fields__))
    return Published(kept.ce_type, kept.payload, origin)


def rejected_event(refusal: Refusal, recorded_ms: int) -> RejectedEvent:
    """Return the entry of a ledger's rejected store."""
    outcome = refusal.outcome
    return RejectedEvent(
        refusal.published,
        outcome.rejection,
        outcome.field,
        outcome.value,
        outcome.rule,
        recorded_ms,
    )
