# SPDX-License-Identifier: Apache-2.0
"""Histories that nobody would write by hand: whatever the state model allows next, at random.

The engine's own fold says what is possible; no plan is made, so moves are as senseless as chance
has them: claims on devices that others give up, resizes, losses of nodes, cancellations in every
phase.
"""

from collections.abc import Callable, Iterator
from random import Random

from engine.evolve import evolve
from engine.job_state import JobState
from engine.phases import HOLDING, RELEASING, WAITING, Phase
from engine.state import State
from schemas import decisions, fleet, jobs
from schemas.catalogue import Event
from schemas.codec import decode_record
from schemas.decisions import Slice
from schemas.ids import JobId, NodeName
from schemas.kinds import NodeHealth, Tier
from tests.analytics.ledgers import LedgerBuilder, declare_fleet, declare_team, node, submit

NODES = ("a", "b", "c")
DEVICES = 4
FREE_MILLI, TAKEN_MILLI = 1_000, 0


class RandomWorld:
    """Grows a ledger step by step, and folds it as it goes."""

    def __init__(self, rng: Random, rules: int) -> None:
        """Begin with a fleet, two teams and a version of the rules, at minute 1."""
        self.ledger = LedgerBuilder()
        self.state = State()
        self._rng = rng
        self._sequence = 0
        self._minute = 1
        self.ledger.at(1).put(decisions.RulesActivated(rules))
        declare_fleet(self.ledger, NODES, DEVICES)
        declare_team(self.ledger, "vision", reserved=4)
        declare_team(self.ledger, "speech")
        self._fold()

    def step(self) -> None:
        """Let some time pass, or none, and one thing happen."""
        self._minute += self._rng.choice((0, 0, 1, 2, 7, 30))
        self.ledger.at(self._minute)
        event = self._rng.choice(_HAPPENINGS)(self)
        if event is not None:
            self.ledger.put(event)
        self._fold()

    def _fold(self) -> None:
        for data in self.ledger.records[self.state.head :]:
            record = decode_record(data)
            assert record is not None
            evolve(self.state, record)
        self.state.take_directives()

    def _any(self, fits: Callable[[JobState], bool]) -> JobState | None:
        found = [job for job in self.state.jobs.values() if not job.ended and fits(job)]
        return self._rng.choice(found) if found else None

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def submit(self) -> None:
        """A new job, elastic or not."""
        fewest = self._rng.randint(1, 2)
        submit(
            self.ledger,
            f"job{self._next()}",
            self._rng.choice(("vision", "speech")),
            self._rng.choice(list(Tier)),
            (fewest, fewest + self._rng.randint(0, 2)),
            self._rng.randint(1, 2),
        )

    def launch(self) -> Event | None:
        """A waiting job is placed, on free devices or on such as others are giving up."""
        job = self._any(lambda j: j.phase in WAITING and j.claim is None and not j.cancelled)
        if job is None:
            return None
        found = self._place(job, job.spec.workers_min, waiting=self._rng.random() < 0.5)
        if found is None:
            return None
        slices, holders = found
        resume = job.first_started_ms > 0
        workers = sum(s.workers for s in slices)
        return decisions.LaunchOrdered(job.id, job.attempt + 1, workers, slices, holders, resume)

    def _place(
        self, job: JobState, workers: int, *, waiting: bool
    ) -> tuple[tuple[Slice, ...], tuple[JobId, ...]] | None:
        """Return slices for so many workers, and whom they wait for."""
        need = job.spec.worker.devices
        slices: list[Slice] = []
        holders: set[JobId] = set()
        for name in self._rng.sample(NODES, len(NODES)):
            open_slots = list(self._open_slots(NodeName(name), waiting=waiting))
            fit = min(len(open_slots) // need, workers - sum(s.workers for s in slices))
            if fit > 0:
                taken = open_slots[: fit * need]
                slots = tuple(sorted(slot for slot, _ in taken))
                slices.append(Slice(NodeName(name), slots, FREE_MILLI, fit))
                holders |= {holder for _, holder in taken if holder is not None}
        if sum(s.workers for s in slices) < workers:
            return None
        return tuple(slices), tuple(sorted(holders))

    def _open_slots(self, name: NodeName, *, waiting: bool) -> Iterator[tuple[int, JobId | None]]:
        """Yield slots that may be taken, each with the job that gives it up, if one does."""
        node_state = self.state.nodes[name]
        if node_state.health is not NodeHealth.HEALTHY:
            return
        milli = self.state.node_table.milli[node_state.row]
        for slot in range(DEVICES):
            if slot in node_state.unusable:
                continue
            if milli[slot] == FREE_MILLI:
                yield slot, None
            elif waiting and milli[slot] == TAKEN_MILLI:
                for holder, held in node_state.holders.items():
                    if slot in held.slots and self.state.jobs[holder].phase in RELEASING:
                        yield slot, holder

    def started(self) -> Event | None:
        """An attempt's gang makes progress."""
        job = self._any(lambda j: j.phase is Phase.STARTING)
        if job is None:
            return None
        if job.first_started_ms:
            return jobs.JobResumed(job.id, job.attempt, job.checkpoint)
        return jobs.JobStarted(job.id, job.attempt)

    def report(self) -> Event | None:
        """A running gang checkpoints, resizes as told, fails or finishes."""
        job = self._any(lambda j: j.phase is Phase.RUNNING)
        if job is None:
            return None
        if job.resize is not None and self._rng.random() < 0.8:
            return jobs.JobResized(job.id, job.attempt, job.resize.number, job.resize.workers)
        match self._rng.randint(0, 5):
            case 0 | 1 | 2:
                return jobs.JobCheckpointed(job.id, job.attempt, job.checkpoint + 1)
            case 3:
                return jobs.JobFailed(job.id, job.attempt, retryable=self._rng.random() < 0.8)
            case _:
                return jobs.JobFinished(job.id, job.attempt)

    def release(self) -> Event | None:
        """A gang that was told to leave has left."""
        job = self._any(lambda j: j.phase in RELEASING)
        if job is None:
            return None
        if job.phase is Phase.STOPPING:
            return jobs.JobStopped(job.id, job.attempt)
        return jobs.JobSuspended(job.id, job.attempt, job.checkpoint + 1)

    def displace(self) -> Event | None:
        """A running gang is suspended, migrated or resized."""
        job = self._any(lambda j: j.phase is Phase.RUNNING and not j.resize and not j.cancelled)
        if job is None:
            return None
        gains = self._rng.choice([JobId(""), *self.state.jobs])
        match self._rng.randint(0, 2):
            case 0:
                return decisions.SuspendOrdered(job.id, job.attempt, gains)
            case 1:
                found = self._place(job, job.workers, waiting=self._rng.random() < 0.5)
                if found is None:
                    return None
                slices, holders = found
                return decisions.MigrateOrdered(
                    job.id, job.attempt, job.workers, slices, holders, gains
                )
            case _:
                return self._resize(job, gains)

    def _resize(self, job: JobState, gains: JobId) -> Event | None:
        number = job.resize_number + 1
        if len(job.slices) > 1 and job.workers - job.slices[-1].workers >= job.spec.workers_min:
            kept = job.slices[:-1]
            workers = sum(s.workers for s in kept)
            return decisions.ResizeOrdered(job.id, job.attempt, number, workers, kept, gains)
        grown = self._place(job, 1, waiting=False)
        there = {s.node for s in job.slices}
        if grown is None or job.workers >= job.spec.workers_max or grown[0][0].node in there:
            return None
        slices = (*job.slices, *grown[0])
        return decisions.ResizeOrdered(
            job.id, job.attempt, number, job.workers + 1, slices, JobId("")
        )

    def cancel(self) -> Event | None:
        """A tenant gives a job up, or a cancelled gang is told to stop."""
        told = self._any(lambda j: j.cancelled and j.phase in HOLDING and j.phase not in RELEASING)
        if told is not None:
            return decisions.StopOrdered(told.id, told.attempt)
        job = self._any(lambda j: not j.cancelled)
        return jobs.JobCancelled(job.id) if job and self._rng.random() < 0.3 else None

    def change_tier(self) -> Event | None:
        """A job gets another tier."""
        job = self._any(lambda _: True)
        if job is None:
            return None
        return jobs.JobTierChanged(job.id, self._next(), self._rng.choice(list(Tier)))

    def change_fleet(self) -> Event | None:
        """A node or a device falls ill, gets well, or is stated anew."""
        name = NodeName(self._rng.choice(NODES))
        if self._is_unsettled(name):
            return None
        match self._rng.randint(0, 5):
            case 0:
                return fleet.NodeHealthReported(name, self._next(), NodeHealth.QUARANTINED)
            case 1:
                slot, usable = self._rng.randrange(DEVICES), self._rng.random() < 0.5
                return fleet.DeviceChanged(name, slot, self._next(), usable=usable)
            case 2:
                return fleet.NodeChanged(node(name, DEVICES, 1 + self._next()))
            case _:
                return fleet.NodeHealthReported(name, self._next(), NodeHealth.HEALTHY)

    def _is_unsettled(self, name: NodeName) -> bool:
        """Whether a gang is growing onto the node, or was told to stop there.

        What a loss means to those is the fold's own affair; the views count the first loss only.
        """
        for job in self.state.jobs.values():
            pieces = (*job.slices, *(job.resize.slices if job.resize else ()))
            touched = any(piece.node == name for piece in pieces)
            if touched and (job.resize is not None or job.phase is Phase.STOPPING):
                return True
        return False


_HAPPENINGS: tuple[Callable[[RandomWorld], Event | None], ...] = (
    *[RandomWorld.submit] * 3,
    *[RandomWorld.launch] * 6,
    *[RandomWorld.started] * 6,
    *[RandomWorld.report] * 4,
    *[RandomWorld.release] * 4,
    *[RandomWorld.displace] * 4,
    RandomWorld.cancel,
    RandomWorld.change_tier,
    RandomWorld.change_fleet,
)
