# SPDX-License-Identifier: Apache-2.0
"""The upstream systems of a workload: what they still have to publish, and under which names."""

from datetime import date, timedelta
from functools import cache

from schemas.catalogue import BY_EVENT, Event
from schemas.codec import publish
from schemas.ids import JobId
from schemas.jobs import JobReport, JobResized, JobSubmitted
from schemas.records import Origin, Published
from streams.traces.workload import Arrival, Workload

Key = tuple[int, str, int]
"""(time, entity, sequence): the order of everything that the trace player publishes."""

_GENESIS_ENTITY = ""
_SUBMITTED = "submitted"
_GENESIS_ID = "genesis-"
_WORDS = {event: entry.ce_type.split(".")[-2] for event, entry in BY_EVENT.items()}


class Upstream:
    """Submissions and declarations yet to be published, in order.

    Changes only when it is told what the engine took or dropped. Items are numbered: the genesis
    first, then the arrivals.
    """

    def __init__(self, workload: Workload) -> None:
        """Begin with everything still to be published."""
        self._workload = workload
        self._genesis: dict[Event, int] = {e: number for number, e in enumerate(workload.genesis)}
        self._offset = len(workload.genesis)
        self._arrivals = {a.job.id: i for i, a in enumerate(workload.arrivals, self._offset)}
        self._jobs = tuple(self._arrivals)
        self._gone = bytearray(self._offset + len(workload.arrivals))
        self._next = 0

    def next_ms(self) -> int | None:
        """Return when the next item is to be published, or None after the last."""
        if self._next == len(self._gone):
            return None
        return self._time(self._next)

    def due(self, now_ms: int) -> list[tuple[Key, Published]]:
        """Return the items at or before `now_ms`, each with its key, in order."""
        found: list[tuple[Key, Published]] = []
        for number in range(self._next, len(self._gone)):
            if self._time(number) > now_ms:
                break
            if not self._gone[number]:
                found.append(self._item(number))
        return found

    def submitted(self, job: JobId) -> Arrival | None:
        """Forget a job's submission and return its arrival; None for a job of somebody else."""
        number = self._arrivals.get(job)
        if number is None:
            return None
        self._forget(number)
        return self._workload.arrivals[number - self._offset]

    def declared(self, event: Event) -> None:
        """Forget a declaration of the genesis; other events change nothing."""
        number = self._genesis.get(event)
        if number is not None:
            self._forget(number)

    def dropped(self, origin: Origin) -> None:
        """Forget what the engine did not take, named by its origin."""
        if origin.ce_id.startswith(_GENESIS_ID):
            self._forget(int(origin.ce_id.removeprefix(_GENESIS_ID)))
        elif origin.ce_id.endswith(f".{_SUBMITTED}"):
            self.submitted(JobId(origin.ce_subject))

    def _forget(self, number: int) -> None:
        self._gone[number] = 1
        while self._next < len(self._gone) and self._gone[self._next]:
            self._next += 1

    def _time(self, number: int) -> int:
        if number < self._offset:
            return self._workload.start_ms
        return self._workload.arrivals[number - self._offset].submit_ms

    def _item(self, number: int) -> tuple[Key, Published]:
        source = self._workload.source
        if number < self._offset:
            start_ms = self._workload.start_ms
            origin = Origin(f"{_GENESIS_ID}{number:05d}", source, ce_time=rfc3339(start_ms))
            key = (start_ms, _GENESIS_ENTITY, number)
            return key, publish(self._workload.genesis[number], origin)
        arrival = self._workload.arrivals[number - self._offset]
        job = self._jobs[number - self._offset]
        origin = Origin(
            ce_id=f"{job}.{_SUBMITTED}",
            ce_source=source,
            ce_subject=job,
            ce_time=rfc3339(arrival.submit_ms),
            correlation_id=job,
        )
        return (arrival.submit_ms, job, 0), publish(JobSubmitted(arrival.job), origin)


def report_origin(report: JobReport, node: str, time_ms: int, position: int) -> Origin:
    """Return the origin of a node agent's report on the directive of `position`."""
    return Origin(
        ce_id=report_id(report),
        ce_source=f"agent/{node}",
        ce_subject=report.job,
        ce_time=rfc3339(time_ms),
        correlation_id=report.job,
        causation_id=f"ledger/{position}",
    )


def report_id(report: JobReport) -> str:
    """Return the `ce_id` of a report: job, attempt, resize if it is one, and what happened."""
    number = f"{report.attempt}"
    if isinstance(report, JobResized):
        number = f"{report.attempt}.{report.resize}"
    return f"{report.job}.{number}.{_WORDS[type(report)]}"


def rfc3339(time_ms: int) -> str:
    """Return a time in milliseconds since 1970 as RFC 3339 text in UTC."""
    days, in_day_ms = divmod(time_ms, 86_400_000)
    seconds, millis = divmod(in_day_ms, 1_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{_date(days)}T{hour:02d}:{minute:02d}:{second:02d}.{millis:03d}Z"


@cache  # a run has few days and many events
def _date(days: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=days)).isoformat()
