# SPDX-License-Identifier: Apache-2.0
"""Check a ledger against itself: fold it, and plan sampled cycles again from the state they saw.

Decisions on the ledger are facts: the fold applies them and never re-solves. This module re-solves,
and names the first record that differs. On the build that made a plan the whole batch must come out
the same; on another, the problem's digest must match, objective and bound must re-derive, and the
judge must accept.
"""

from collections.abc import Callable, Iterable

from msgspec import Struct

from engine.digest import Digest
from engine.evolve import advance
from engine.judging import judge_plan, lawful, objections
from engine.minutes import minutes
from engine.planning import Plan, Rederived, plan, rederive
from engine.rebase import Rebased
from engine.snapshot import Snapshot, cut
from engine.state import State
from schemas.catalogue import Event
from schemas.decisions import Action, CycleOpened, PlanCommitted
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


class _Pending(Struct, frozen=True):
    """A plan made again on its cut; its batch is yet to come."""

    snapshot: Snapshot
    planned: Plan
    state_digest: bytes


class _Expected(Struct, frozen=True):
    """What a cycle's batch should be, as worked out just before it."""

    pending: _Pending
    batch: tuple[Event, ...]


class Verifier:
    """Folds records and checks the plans of sampled cycles. Mutable, lives for one check.

    A plan is made on a cut, and facts may be recorded between the cut and the batch. So records are
    held back until the opening of the next cycle says where its cut was: at most what came since
    the last one.
    """

    def __init__(self, build: str, sampled: Callable[[int], bool]) -> None:
        """Check the cycles for which `sampled(cycle)` holds, as planner build `build`."""
        self.state = State()
        self._build = build
        self._sampled = sampled
        self._digest = Digest()
        self._ahead: list[Record | None] = []
        self._pending: _Pending | None = None
        self._expected: _Expected | None = None
        self._batch: list[Record] = []
        self._cycles = self._same = self._other = self._diverged = 0
        self._first: Divergence | None = None

    def run(self, records: Iterable[Record | None]) -> Verification:
        """Fold and check all records; None stands for one that may be skipped."""
        for record in records:
            if record is not None and isinstance(record.event, CycleOpened):
                self._catch_up(record, record.event)
            self._ahead.append(record)
        self._fold_ahead()
        self._fold_batch()  # a ledger that was cut inside a batch
        return Verification(
            records=self.state.head,
            cycles=self._cycles,
            same_build=self._same,
            other_build=self._other,
            diverged=self._diverged,
            first=self._first,
            digest=self._digest.update(self.state),
        )

    def _catch_up(self, record: Record, opened: CycleOpened) -> None:
        """Fold up to a cycle's opening, and on the way plan again on its cut."""
        self._cycles += 1
        if not self._sampled(opened.cycle):
            self._fold_ahead()
            return
        before = opened.cut - self.state.head
        ahead, self._ahead = self._ahead, []
        for held in ahead[:before]:
            self._take(held)
        self._plan_again(opened.cut_ms or record.recorded_ms)
        for held in ahead[before:]:
            self._take(held)
        self._expect(record.recorded_ms)

    def _fold_ahead(self) -> None:
        ahead, self._ahead = self._ahead, []
        for record in ahead:
            self._take(record)

    def _take(self, record: Record | None) -> None:
        """Fold a record; those of a batch that is checked are kept until it can be compared."""
        if self._expected is None or record is None:
            self._fold(record)
            return
        self._batch.append(record)
        if isinstance(record.event, PlanCommitted):
            self._compare(self._expected, record.event)
            self._expected = None
            self._fold_batch()

    def _fold_batch(self) -> None:
        batch, self._batch = self._batch, []
        for record in batch:
            self._fold(record)

    def _fold(self, record: Record | None) -> None:
        advance(self.state, record)
        self.state.directives.clear()

    def _plan_again(self, cut_ms: int) -> None:
        digest = self._digest.update(self.state)
        snapshot = cut(self.state, cut_ms)
        self._pending = _Pending(snapshot, plan(snapshot), digest)

    def _expect(self, now_ms: int) -> None:
        """Work out the batch that should follow: the plan, rebased and judged on the head."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        planned = pending.planned
        rebased = lawful(self.state, planned, now_ms).rebased
        entries = minutes(self.state, planned, rebased, pending.state_digest, self._build)
        self._expected = _Expected(pending, tuple(entry.event for entry in entries))

    # --- the comparison -------------------------------------------------------------------------

    def _compare(self, expected: _Expected, commit: PlanCommitted) -> None:
        first, recorded = self._batch[0].position, tuple(record.event for record in self._batch)
        if commit.build != self._build:
            self._other += 1
            self._compare_proof(expected.pending, commit, recorded)
            return
        self._same += 1
        derived = expected.batch
        for step, (was, now) in enumerate(zip(recorded, derived, strict=False)):
            if was != now:
                self._note(first + step, commit.cycle, was, now)
                return
        if len(recorded) != len(derived):
            counts = (f"{len(batch)} records" for batch in (recorded, derived))
            self._note(first, commit.cycle, *counts)

    def _compare_proof(
        self, pending: _Pending, commit: PlanCommitted, recorded: tuple[Event, ...]
    ) -> None:
        """Check another build's plan by what must follow from its record on every build.

        Its problem, its bound, its value (of all that was proposed, so only where nothing was
        dropped), and that the judge accepts what was applied.
        """
        last = self._batch[-1]
        actions = tuple(event for event in recorded if isinstance(event, Action))
        again = rederive(pending.snapshot, actions, commit.prices)
        objective = commit.objective if commit.dropped else again.objective
        said = Rederived(commit.problem_digest, commit.objective, commit.bound)
        derived = Rederived(again.problem_digest, objective, again.bound)
        if said != derived:
            self._note(last.position, commit.cycle, said, derived)
            return
        applied = Rebased(actions, (), ())
        broken = objections(judge_plan(self.state, pending.planned, applied, last.recorded_ms))
        if broken:
            self._note(last.position, commit.cycle, "accepted by the judge", str(broken[0]))

    def _note(self, position: int, cycle: int, was: object, now: object) -> None:
        self._diverged += 1
        if self._first is None:
            self._first = Divergence(position, cycle, type(was).__name__, str(was), str(now))
