# SPDX-License-Identifier: Apache-2.0
"""Check a ledger against itself: fold it, and plan sampled cycles again from the state they saw.

Decisions on the ledger are facts: the fold applies them and never re-solves. This module re-solves,
and names the first record that differs. On the build that made a plan the whole batch must come out
the same; on another, the problem's digest must match and objective and bound must re-derive.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from engine.digest import Digest
from engine.evolve import evolve, skip
from engine.minutes import Entry, minutes
from engine.planning import Plan, plan
from engine.rebase import Rebased
from engine.snapshot import cut
from engine.state import State
from schemas.catalogue import Event
from schemas.decisions import (
    Action,
    ActionDropped,
    CycleOpened,
    PlanCommitted,
)
from schemas.records import Record


class Divergence(Struct, frozen=True):
    """The first place where planning again gave something else."""

    position: int
    cycle: int
    what: str
    recorded: str
    derived: str


class Verification(Struct, frozen=True):
    """What a check proved: how many plans came out the same, and where the first did not."""

    records: int
    cycles: int
    same_build: int
    other_build: int
    diverged: int
    first: Divergence | None
    digest: bytes


class Verifier:
    """Folds records and checks the plans of sampled cycles. Mutable, lives for one check."""

    def __init__(self, build: str, sampled: Callable[[int], bool]) -> None:
        """Check the cycles for which `sampled(cycle)` holds, as planner build `build`."""
        self.state = State()
        self._build = build
        self._sampled = sampled
        self._digest = Digest()
        self._open: tuple[Record, Plan, bytes] | None = None
        self._batch: list[Record] = []
        self._cycles = self._same = self._other = self._diverged = 0
        self._first: Divergence | None = None

    def run(self, records: Iterable[Record | None]) -> Verification:
        """Fold and check all records; None stands for one that may be skipped."""
        for record in records:
            if record is None:
                skip(self.state)
            else:
                self._take(record)
        return Verification(
            records=self.state.head,
            cycles=self._cycles,
            same_build=self._same,
            other_build=self._other,
            diverged=self._diverged,
            first=self._first,
            digest=self._digest.update(self.state),
        )

    def _take(self, record: Record) -> None:
        event = record.event
        if isinstance(event, CycleOpened):
            self._cycles += 1
            self._batch.clear()
            if self._sampled(event.cycle):
                self._plan_again(record)
        if self._open is not None:
            self._batch.append(record)
        if isinstance(event, PlanCommitted) and self._open is not None:
            self._compare(event)
        evolve(self.state, record)
        self.state.directives.clear()

    def _plan_again(self, record: Record) -> None:
        digest = self._digest.update(self.state)
        self._open = (record, plan(cut(self.state, record.recorded_ms)), digest)

    def _compare(self, commit: PlanCommitted) -> None:
        if self._open is None:
            return
        opened, planned, digest = self._open
        self._open = None
        events = [record.event for record in self._batch]
        again = self._derive(planned, digest, events)
        recorded: Sequence[Event | Proof] = events
        derived: Sequence[Event | Proof] = again
        if commit.build == self._build:
            self._same += 1
        else:
            recorded, derived = _proofs(events), _proofs(again)
            self._other += 1
        for step, (was, now) in enumerate(zip(recorded, derived, strict=False)):
            if was != now:
                self._note(opened.position + step, commit.cycle, was, now)
                return
        if len(recorded) != len(derived):
            self._note(
                opened.position, commit.cycle, f"{len(recorded)} records", f"{len(derived)} records"
            )

    def _derive(self, planned: Plan, digest: bytes, recorded: list[Event]) -> list[Event]:
        dropped = tuple(e for e in recorded if isinstance(e, ActionDropped))
        gone = {d.job for d in dropped}
        applied: tuple[Action, ...] = tuple(a for a in planned.actions if a.job not in gone)
        entries: tuple[Entry, ...] = minutes(
            self.state, planned, Rebased(applied, dropped), digest, self._build
        )
        return [entry.event for entry in entries]

    def _note(self, position: int, cycle: int, was: object, now: object) -> None:
        self._diverged += 1
        if self._first is None:
            self._first = Divergence(position, cycle, type(was).__name__, str(was), str(now))


class Proof(Struct, frozen=True):
    """What must match between builds: the problem, its bound and the value of the plan."""

    problem_digest: bytes
    objective: int
    bound: int


def _proofs(events: list[Event]) -> list[Proof]:
    return [
        Proof(event.problem_digest, event.objective, event.bound)
        for event in events
        if isinstance(event, PlanCommitted)
    ]
