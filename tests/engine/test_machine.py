# SPDX-License-Identifier: Apache-2.0
"""A state machine drives events, plans and reports in any order; every invariant holds."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from engine.digest import Digest
from engine.evolve import evolve
from engine.invariants import broken
from engine.state import State
from engine.verify import Verifier
from schemas import fleet, jobs
from schemas.catalogue import Event
from schemas.codec import decode_record
from schemas.ids import JobId, NodeName
from schemas.kinds import NodeHealth, Tier
from tests.engine.stage import TEAMS, Stage, genesis, job

NODES = ("a0", "a1", "b0", "b1")


class EngineMachine(RuleBasedStateMachine):
    """The engine under any order of submissions, reports, failures, late and false events.

    The stage checks the invariants after every step; at the end the ledger is folded again and
    every plan is made again.
    """

    @initialize(reserved=st.integers(1, 16))
    def begin(self, reserved: int) -> None:
        """A fleet, a tenant, and a reservation of some size."""
        self.stage = Stage()
        self.stage.tell(*genesis(reserved))
        self.count = 0
        self.sequence = 0
        self.said: list[Event] = []
        self.stage.submit(*(job(f"old{i}", 4, least=2) for i in range(3)))
        self.stage.wait(2 * 3_600_000)

    def tell(self, event: Event, after_ms: int = 1_000) -> None:
        """Say something and remember that it was said."""
        self.said.append(event)
        self.stage.tell(event, after_ms=after_ms)

    @rule(
        workers=st.integers(1, 8),
        shrinks=st.booleans(),
        tier=st.sampled_from(Tier),
        team=st.sampled_from(TEAMS),
    )
    def submit(self, workers: int, shrinks: bool, tier: Tier, team: str) -> None:  # noqa: FBT001
        """A new job of any tier and size comes."""
        self.count += 1
        least = max(1, workers // 2) if shrinks else workers
        spec = job(f"j{self.count}", workers, least=least, tier=tier, team=team)
        self.tell(jobs.JobSubmitted(spec))

    @rule(minutes=st.sampled_from([1, 5, 90]))
    def wait(self, minutes: int) -> None:
        """Time passes."""
        self.stage.wait(minutes * 60_000)

    @rule()
    def plan_aside(self) -> None:
        """A plan is begun on the state as it is, and events go on."""
        self.stage.plan_aside()

    @rule(seconds=st.sampled_from([0, 1, 600]))
    def land(self, seconds: int) -> None:
        """The plan meets what has happened since."""
        self.stage.land(seconds * 1_000)

    @rule(data=st.data())
    def answer_one(self, data: st.DataObject) -> None:
        """One agent answers what it was told."""
        if self.stage.told:
            name = data.draw(st.sampled_from(sorted(self.stage.told)))
            report = self.stage.answer(name)
            if report is not None:
                self.tell(report)

    @rule()
    def answer_all(self) -> None:
        """All agents answer, until nothing new is said to them."""
        self.stage.settle()

    def _live(self, data: st.DataObject) -> JobId | None:
        live = sorted(j.id for j in self.stage.state.live_jobs())
        return data.draw(st.sampled_from(live)) if live else None

    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """Some gang says that it is done, whether or not it could be."""
        name = self._live(data)
        if name is not None:
            self.tell(jobs.JobFinished(name, self.stage.state.jobs[name].attempt or 1))

    @rule(data=st.data(), retryable=st.booleans())
    def fail(self, data: st.DataObject, retryable: bool) -> None:  # noqa: FBT001
        """Some gang dies."""
        name = self._live(data)
        if name is not None:
            attempt = self.stage.state.jobs[name].attempt or 1
            self.tell(jobs.JobFailed(name, attempt, retryable))

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """A tenant changes its mind."""
        name = self._live(data)
        if name is not None:
            self.tell(jobs.JobCancelled(name))

    @rule(data=st.data(), name=st.sampled_from(NODES), slot=st.integers(0, 3))
    def trouble(self, data: st.DataObject, name: str, slot: int) -> None:
        """A node or a device breaks or is mended; mending is likelier, so that work goes on."""
        self.sequence += 1
        node, well = NodeName(name), data.draw(st.integers(0, 2)) > 0
        if data.draw(st.booleans()):
            self.tell(fleet.DeviceChanged(node, slot, self.sequence, well))
        else:
            ill = data.draw(st.sampled_from(NodeHealth))
            health = NodeHealth.HEALTHY if well else ill
            self.tell(fleet.NodeHealthReported(node, self.sequence, health))

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Something is said again, late."""
        if self.said:
            self.stage.tell(data.draw(st.sampled_from(self.said)))

    @rule(attempt=st.integers(1, 9), name=st.sampled_from(["j1", "j2", "nobody"]))
    def false_report(self, attempt: int, name: str) -> None:
        """Somebody reports what may never have been."""
        self.tell(jobs.JobSuspended(JobId(f"acme/{name}@1"), attempt, attempt))

    def teardown(self) -> None:
        """Fold again from zero, and plan every cycle again: both give what was recorded.

        Every invariant holds after every record, also inside a batch.
        """
        if not hasattr(self, "stage"):
            return
        state = State()
        records = [decode_record(data) for data in self.stage.ledger]
        for record in records:
            assert record is not None
            evolve(state, record)
            assert broken(state) == (), record
        assert Digest().update(state) == self.stage.host.digest.update(self.stage.state)
        assert Verifier("stage", lambda _: True).run(records).first is None


TestEngineMachine = EngineMachine.TestCase
