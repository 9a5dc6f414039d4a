# SPDX-License-Identifier: Apache-2.0
"""The trace player: upstream systems and node agents of a trace, under virtual time.

It sees directives and writes events, nothing else. Three rules make what it does a function of the
workload and the ledger prefix alone:

1. *Only the ledger moves it.* `due` changes nothing; an event stops being due when `recall` sees it
   as a fact. Going on after a crash is therefore the same path as never having crashed: recall and
   observe what the ledger holds, in its order, and what remains is what is pending.
2. *The ledger's time is the world's time.* A gang starts, stops and ends when the ledger records
   that it did, so the player's account of work is the fold's.
3. *Ties have one order*: (time, entity, sequence). Genesis has the empty entity and comes first;
   everything else is ordered by job id, and a job never has two events pending.
"""

from bisect import bisect_left, insort
from typing import assert_never

from engine import world
from engine.world import NOWHERE, GangPhase, GangState, Site, WorldParameters
from schemas import jobs
from schemas.catalogue import Event
from schemas.codec import publish
from schemas.directives import (
    Directive,
    LaunchDirective,
    ResizeDirective,
    StopDirective,
    SuspendDirective,
)
from schemas.ids import JobId
from schemas.records import Published
from streams.places import Places
from streams.traces.workload import Workload
from streams.upstream import Upstream, report_id, report_origin

DEFAULT_PARAMETERS = WorldParameters()
_ELASTIC = frozenset({GangPhase.RUNNING, GangPhase.RESIZING})
_MOVING = frozenset({*_ELASTIC, GangPhase.STARTING})
_ALIVE = frozenset({*_MOVING, GangPhase.SAVING})
_UNSAVED = "suspended, and its work cannot be checkpointed"

_Key = tuple[int, JobId, int]
"""(time, entity, sequence): when a report is due and its place among ties."""


class _Agent:
    """The node agents of one job's gang, as one. At most one report is pending at any time."""

    __slots__ = (
        "attempt",
        "gang",
        "job",
        "node",
        "position",
        "spec",
        "target",
        "workers",
    )

    def __init__(self, job: JobId, spec: jobs.Job, work_device_ms: int) -> None:
        self.job = job
        self.spec = spec
        self.gang: GangState = world.awaiting(work_device_ms)
        self.attempt = 0
        self.workers = 0
        self.node = ""
        self.target = NOWHERE  # of a resize that is going on
        self.position = -1  # of the last directive acted on


class TracePlayer:
    """Plays a workload against an engine that it knows only by directives and accepted facts.

    The loop: take `due(now)` to the engine; `recall` each fact of the player's that it admitted,
    and `dropped` each event that it did not; then `observe` the directives that came of it.
    """

    def __init__(
        self, workload: Workload, parameters: WorldParameters = DEFAULT_PARAMETERS
    ) -> None:
        """Begin before the first event: nothing is submitted, nothing runs."""
        self._parameters = parameters
        self._upstream = Upstream(workload)
        self._places = Places(parameters)
        self._agents: dict[JobId, _Agent] = {}
        self._pending: list[_Key] = []  # sorted
        self._reports: dict[JobId, tuple[_Key, jobs.JobReport]] = {}  # what is pending, by job

    # --- what is to come ----------------------------------------------------------------------

    def next_ms(self) -> int | None:
        """Return when the next event is due, or None if nothing is pending."""
        upstream_ms = self._upstream.next_ms()
        if not self._pending:
            return upstream_ms
        report_ms = self._pending[0][0]
        return report_ms if upstream_ms is None else min(report_ms, upstream_ms)

    def due(self, now_ms: int) -> list[Published]:
        """Return the events due at or before `now_ms`, in order of (time, entity, sequence).

        Changes nothing: the same call gives the same answer until `recall`, `dropped` or `observe`.
        """
        found = self._upstream.due(now_ms)
        for key in self._pending:
            if key[0] > now_ms:
                break
            report, agent = self._reports[key[1]][1], self._agents[key[1]]
            origin = report_origin(report, agent.node, key[0], agent.position)
            found.append((key, publish(report, origin)))
        found.sort(key=lambda item: item[0])
        return [published for _, published in found]

    # --- what the ledger says -----------------------------------------------------------------

    def recall(self, event: Event, recorded_ms: int) -> None:
        """Take in a fact that the ledger holds; facts of others change nothing.

        Called for each admitted event while live, for the ledger's facts in order after a crash.
        """
        if isinstance(event, jobs.JobSubmitted):
            job = event.job.id
            arrival = self._upstream.submitted(job)
            if arrival is not None:
                self._agents[job] = _Agent(job, event.job, arrival.work_device_ms)
        elif isinstance(event, jobs.JobReport):
            agent = self._agents.get(event.job)
            if agent is not None:
                self._reported(agent, event, recorded_ms)
        else:
            self._upstream.declared(event)
            self._places.learn(event)

    def dropped(self, published: Published) -> None:
        """Forget an event that the engine refused, parked or knew already: it is not due again."""
        job = JobId(published.origin.ce_subject)
        pending = self._reports.get(job)
        if pending is None:
            self._upstream.dropped(published.origin)
        elif report_id(pending[1]) == published.origin.ce_id:
            self._unschedule(job)

    def _reported(self, agent: _Agent, report: jobs.JobReport, now_ms: int) -> None:
        """Move the gang as its report says, now that the report is on the ledger."""
        gang = agent.gang
        match report:
            case jobs.JobStarted() | jobs.JobResumed():
                pace = _pace(agent, agent.workers, gang.site)
                self._run(agent, world.began(gang, now_ms, pace))
            case jobs.JobResized():
                pace = _pace(agent, report.workers, agent.target)
                self._run(agent, world.resized(gang, now_ms, pace, agent.target))
            case jobs.JobSuspended():
                self._rest(agent, world.suspended(gang, report.checkpoint))
            case jobs.JobStopped():
                self._rest(agent, world.released(gang))
            case jobs.JobFailed(retryable=True):
                self._rest(agent, world.released(world.rolled_back(gang, GangPhase.STOPPING)))
            case jobs.JobFinished() | jobs.JobFailed():
                self._unschedule(agent.job)
                del self._agents[agent.job]
            case jobs.JobCheckpointed():
                agent.gang = world.checkpointed(gang, now_ms, report.checkpoint)
            case jobs.JobProgressed():
                pass
            case _:
                assert_never(report)

    def _run(self, agent: _Agent, gang: GangState) -> None:
        agent.gang = gang
        end_ms = world.finish_ms(gang)
        if end_ms is None:
            self._unschedule(agent.job)
        else:
            self._schedule(agent, end_ms, jobs.JobFinished(agent.job, agent.attempt))

    def _rest(self, agent: _Agent, gang: GangState) -> None:
        agent.gang = gang
        self._unschedule(agent.job)

    # --- what the engine orders ---------------------------------------------------------------

    def observe(self, directive: Directive, recorded_ms: int) -> None:
        """Act on a directive, recorded at `recorded_ms`, by scheduling the report it leads to.

        Ignored: a directive for a job of somebody else, one not newer than the last acted on, and
        one for an attempt that is over.
        """
        agent = self._agents.get(directive.job)
        if agent is None or directive.position <= agent.position:
            return
        match directive:
            case LaunchDirective():
                if agent.gang.phase is GangPhase.WAITING and directive.attempt > agent.attempt:
                    self._launch(agent, directive, recorded_ms)
            case SuspendDirective():
                if agent.gang.phase in _MOVING and directive.attempt == agent.attempt:
                    self._suspend(agent, directive, recorded_ms)
            case ResizeDirective():
                if agent.gang.phase in _ELASTIC and directive.attempt == agent.attempt:
                    self._resize(agent, directive, recorded_ms)
            case StopDirective():
                if agent.gang.phase in _ALIVE and directive.attempt == agent.attempt:
                    self._stop(agent, directive, recorded_ms)
            case _:
                assert_never(directive)

    def _launch(self, agent: _Agent, order: LaunchDirective, now_ms: int) -> None:
        site = self._places.site(order.slices, agent.spec.workload_class)
        wait_ms = world.launch_ms(
            agent.spec.checkpoint_mib, site, agent.gang.home, self._parameters
        )
        agent.gang = world.launched(agent.gang, site, order.checkpoint)
        agent.attempt, agent.workers = order.attempt, order.workers
        agent.node, agent.position = order.slices[0].node, order.position
        report = (
            jobs.JobResumed(agent.job, order.attempt, order.checkpoint)
            if order.resume
            else jobs.JobStarted(agent.job, order.attempt)
        )
        self._schedule(agent, now_ms + wait_ms, report)

    def _suspend(self, agent: _Agent, order: SuspendDirective, now_ms: int) -> None:
        gang = world.paused(agent.gang, now_ms, GangPhase.SAVING)
        agent.gang, agent.position = gang, order.position
        if not world.unsaved(gang) or (agent.spec.checkpoint_mib and gang.site.checkpointable):
            wait_ms = world.save_ms(gang, agent.spec.checkpoint_mib, self._parameters)
            number = gang.checkpoint + 1
            report: jobs.JobReport = jobs.JobSuspended(agent.job, agent.attempt, number)
        else:
            wait_ms = self._parameters.stop_ms
            report = jobs.JobFailed(agent.job, agent.attempt, retryable=True, detail=_UNSAVED)
        self._schedule(agent, now_ms + wait_ms, report)

    def _resize(self, agent: _Agent, order: ResizeDirective, now_ms: int) -> None:
        agent.gang = world.paused(agent.gang, now_ms, GangPhase.RESIZING)
        agent.position = order.position
        agent.target = self._places.site(order.slices, agent.spec.workload_class)
        report = jobs.JobResized(agent.job, agent.attempt, order.resize, order.workers)
        self._schedule(agent, now_ms + self._parameters.resize_ms, report)

    def _stop(self, agent: _Agent, order: StopDirective, now_ms: int) -> None:
        agent.gang = world.rolled_back(agent.gang, GangPhase.STOPPING)
        agent.position = order.position
        report = jobs.JobStopped(agent.job, agent.attempt)
        self._schedule(agent, now_ms + self._parameters.stop_ms, report)

    # --- what is pending ----------------------------------------------------------------------

    def _schedule(self, agent: _Agent, time_ms: int, report: jobs.JobReport) -> None:
        """Make this the one report that the agent has pending."""
        self._unschedule(agent.job)
        key = (time_ms, agent.job, agent.position)
        self._reports[agent.job] = key, report
        insort(self._pending, key)

    def _unschedule(self, job: JobId) -> None:
        pending = self._reports.pop(job, None)
        if pending is not None:
            del self._pending[bisect_left(self._pending, pending[0])]


def _pace(agent: _Agent, workers: int, site: Site) -> int:
    worker = agent.spec.worker
    return world.pace_micro(workers, worker.devices, worker.device_milli, site.speed_milli)
