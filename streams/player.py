# SPDX-License-Identifier: Apache-2.0
"""The trace player: the upstream systems and the node agents of a trace, under virtual time.

It sees directives and writes events, nothing else. What it does is a function of its workload and the ledger prefix alone: it learns that an
event counted only by seeing it admitted (`recall`), so playing on and starting again after a crash are the same path.
"""

import heapq
from collections.abc import Sequence
from datetime import UTC, datetime

from engine.world import Gang, GangPhase, WorldParameters, checkpoint_ms, transfer_ms
from schemas import fleet, jobs
from schemas.catalogue import Event
from schemas.codec import publish
from schemas.decisions import Slice
from schemas.directives import (
    Directive,
    LaunchDirective,
    ResizeDirective,
    StopDirective,
    SuspendDirective,
)
from schemas.ids import JobId
from schemas.jobs import Job
from schemas.records import Origin, Published
from streams.traces.workload import Hardware, Workload

_UPSTREAM, _AGENT = "trace/upstream", "trace/agent"
_REPORTS = (
    jobs.JobStarted,
    jobs.JobResumed,
    jobs.JobCheckpointed,
    jobs.JobSuspended,
    jobs.JobResized,
    jobs.JobFinished,
    jobs.JobStopped,
)


class TracePlayer:
    """Plays one workload. Mutable; starts again by recalling the ledger's prefix."""

    def __init__(self, workload: Workload, parameters: WorldParameters | None = None) -> None:
        """Start before the first event."""
        self._workload = workload
        self._parameters = parameters or WorldParameters()
        self._hardware = _hardware(workload)
        self._jobs: dict[JobId, Job] = {
            a.event.job.id: a.event.job
            for a in workload.arrivals
            if isinstance(a.event, jobs.JobSubmitted)
        }
        self._index = {_key(a.event): i for i, a in enumerate(workload.arrivals)}
        self._cursor = 0
        self._gangs: dict[JobId, Gang] = {}
        self._pending: list[tuple[int, str, int, Event]] = []
        """(time, job, gang version, report): a heap; entries of an older version are void."""

    def next_ms(self) -> int | None:
        """Return when the next event is due, or None when there is none."""
        self._drop_void()
        times = []
        if self._cursor < len(self._workload.arrivals):
            times.append(self._workload.arrivals[self._cursor].at_ms)
        if self._pending:
            times.append(self._pending[0][0])
        return min(times, default=None)

    def _drop_void(self) -> None:
        pending = self._pending
        while pending and self._gangs[JobId(pending[0][1])].version != pending[0][2]:
            heapq.heappop(pending)

    def due(self, now_ms: int) -> list[tuple[Published, Event]]:
        """Return the events due at `now_ms` or before, by (time, entity, sequence), upstream's before the agents'."""
        found = []
        arrivals = self._workload.arrivals
        while self._cursor < len(arrivals) and arrivals[self._cursor].at_ms <= now_ms:
            event = arrivals[self._cursor].event
            found.append((_published(event, arrivals[self._cursor].at_ms, _UPSTREAM), event))
            self._cursor += 1
        while self._pending and self._pending[0][0] <= now_ms:
            at_ms, job, version, event = heapq.heappop(self._pending)
            if self._gangs[JobId(job)].version == version:
                found.append((_published(event, at_ms, _AGENT), event))
        return found

    def recall(self, event: Event, recorded_ms: int) -> None:
        """Take note that an event was admitted; what follows from it is scheduled."""
        if isinstance(event, _REPORTS):
            self._report(event, recorded_ms)
            return
        index = self._index.get(_key(event))
        if index is not None:
            self._cursor = max(self._cursor, index + 1)

    def _report(self, event: jobs.JobReport, now_ms: int) -> None:
        gang = self._gangs[event.job]
        gang.version += 1
        match event:
            case jobs.JobStarted() | jobs.JobResumed():
                self._run(event.job, gang, now_ms, gang.workers)
            case jobs.JobResized():
                self._run(event.job, gang, now_ms, event.workers)
            case jobs.JobSuspended():
                gang.save()
                gang.phase = GangPhase.IDLE
            case jobs.JobStopped():
                gang.roll_back()
                gang.phase = GangPhase.IDLE
            case _:
                gang.halt(now_ms, GangPhase.IDLE)

    def _run(self, job: JobId, gang: Gang, now_ms: int, workers: int) -> None:
        spec = self._jobs[job]
        worker_milli = spec.worker.devices * spec.worker.device_milli
        done_ms = gang.run(now_ms, workers, worker_milli, self._speed_milli(spec))
        self._schedule(done_ms, gang, jobs.JobFinished(job, gang.attempt))

    def _speed_milli(self, spec: Job) -> int:
        """Return the speed of the job's class on the fleet's SKU; a trace with one SKU has one speed."""
        for sku in self._hardware.skus.values():
            for speed in sku.speeds:
                if speed.workload_class == spec.workload_class:
                    return speed.speed_milli
        return 1_000

    def _schedule(self, at_ms: int, gang: Gang, event: jobs.JobReport) -> None:
        gang.version += 1
        heapq.heappush(self._pending, (at_ms, str(event.job), gang.version, event))

    def observe(self, directives: Sequence[Directive], recorded_ms: int) -> None:
        """Do as told: each directive schedules the report that answers it."""
        for directive in directives:
            self._obey(directive, recorded_ms)

    def _obey(self, directive: Directive, now_ms: int) -> None:
        job = directive.job
        gang = self._gangs.get(job)
        if gang is None:
            gang = self._gangs[job] = Gang(self._workload.work[job])
        match directive:
            case LaunchDirective():
                self._launch(gang, directive, now_ms)
            case SuspendDirective():
                self._suspend(gang, job, now_ms)
            case ResizeDirective():
                gang.halt(now_ms, GangPhase.RESIZING)
                report = jobs.JobResized(
                    job, directive.attempt, directive.resize, directive.workers
                )
                self._schedule(now_ms + self._parameters.resize_ms, gang, report)
            case StopDirective():
                gang.halt(now_ms, GangPhase.STOPPING)
                report_ms = now_ms + self._parameters.stop_ms
                self._schedule(report_ms, gang, jobs.JobStopped(job, directive.attempt))

    def _launch(self, gang: Gang, directive: LaunchDirective, now_ms: int) -> None:
        cluster, storage_mbps, interconnect_mbps = self._site(directive.slices)
        wait_ms = self._parameters.start_ms
        if directive.resume:
            size_mib = self._jobs[directive.job].checkpoint_mib
            wait_ms += checkpoint_ms(size_mib, storage_mbps)
            if cluster != gang.cluster:
                wait_ms += transfer_ms(size_mib, interconnect_mbps)
        gang.attempt, gang.workers, gang.cluster = directive.attempt, directive.workers, cluster
        gang.storage_mbps = storage_mbps
        gang.phase = GangPhase.STARTING
        report: jobs.JobReport = (
            jobs.JobResumed(directive.job, directive.attempt, gang.checkpoint)
            if directive.resume
            else jobs.JobStarted(directive.job, directive.attempt)
        )
        self._schedule(now_ms + wait_ms, gang, report)

    def _site(self, slices: tuple[Slice, ...]) -> tuple[str, int, int]:
        """Return cluster, storage MB/s summed over the nodes, and the cluster's interconnect MB/s."""
        nodes = [self._hardware.nodes[piece.node] for piece in slices]
        cluster = self._hardware.clusters[self._hardware.domains[nodes[0].domain].cluster]
        return cluster.name, sum(n.storage_mbps for n in nodes), cluster.interconnect_mbps

    def _suspend(self, gang: Gang, job: JobId, now_ms: int) -> None:
        started = gang.phase is not GangPhase.STARTING
        gang.halt(now_ms, GangPhase.SUSPENDING)
        wait_ms = self._parameters.stop_ms
        if started:
            wait_ms += checkpoint_ms(self._jobs[job].checkpoint_mib, gang.storage_mbps)
        report = jobs.JobSuspended(job, gang.attempt, gang.checkpoint + 1)
        self._schedule(now_ms + wait_ms, gang, report)


def _key(event: Event) -> Event | JobId:
    return event.job.id if isinstance(event, jobs.JobSubmitted) else event


def _published(event: Event, at_ms: int, source: str) -> Published:
    stamp = datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat()
    subject = str(_subject(event))
    ce_id = f"{type(event).__name__}/{subject}/{getattr(event, 'attempt', '')}/{at_ms}"
    return publish(event, Origin(ce_id, source, subject, stamp))


def _subject(event: Event) -> str:
    if isinstance(event, jobs.JobSubmitted):
        return event.job.id
    return str(getattr(event, "job", ""))


def _hardware(workload: Workload) -> Hardware:
    events = [arrival.event for arrival in workload.arrivals]
    return Hardware(
        nodes={e.node.name: e.node for e in events if isinstance(e, fleet.NodeDeclared)},
        domains={e.domain.name: e.domain for e in events if isinstance(e, fleet.DomainDeclared)},
        clusters={
            e.cluster.name: e.cluster for e in events if isinstance(e, fleet.ClusterDeclared)
        },
        skus={e.sku.name: e.sku for e in events if isinstance(e, fleet.SkuDeclared)},
    )

