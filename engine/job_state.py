# SPDX-License-Identifier: Apache-2.0
"""What the fold knows of one job."""

from operator import attrgetter

from msgspec import Struct

from engine.device_time import NEVER_MS, DeviceTime
from engine.phases import ENDED, RELEASING, Phase
from schemas.decisions import Slice
from schemas.ids import JobId
from schemas.jobs import Job


class Claim(Struct, frozen=True):
    """Devices promised to the job's next attempt; `waits_for` are the jobs yet to release."""

    attempt: int
    workers: int
    slices: tuple[Slice, ...]
    waits_for: tuple[JobId, ...]


class Resize(Struct, frozen=True):
    """A resize that was ordered and not yet reported."""

    number: int
    workers: int
    slices: tuple[Slice, ...]


class JobState:
    """One job, from its submission on. Mutable, private to the fold."""

    __slots__ = (
        "attempt",
        "breach_ms",
        "cancelled",
        "change_sequence",
        "checkpoint",
        "checkpointed_work",
        "claim",
        "ended_ms",
        "failures",
        "first_started_ms",
        "id",
        "key",
        "kind_index",
        "lost_work",
        "moves",
        "phase",
        "phase_since_ms",
        "position",
        "priority",
        "progress_milli",
        "progress_ppm",
        "progress_sequence",
        "reason",
        "resize",
        "resize_number",
        "row",
        "slices",
        "spec",
        "stopped_ms",
        "submitted_ms",
        "suspended_ms",
        "team_index",
        "tier",
        "time",
        "work",
        "work_since_ms",
        "worker_milli",
        "workers",
    )

    def __init__(self, spec: Job, position: int, now_ms: int, reason: str) -> None:
        """Take a submitted job in, queued for a reason."""
        self.id: JobId = spec.id
        self.spec = spec
        self.position = position
        self.tier = spec.tier
        self.priority = spec.priority
        self.phase = Phase.QUEUED
        self.phase_since_ms = now_ms
        self.reason = reason
        self.submitted_ms = now_ms
        self.first_started_ms = 0
        self.ended_ms = 0
        self.stopped_ms = 0  # when progress last ended without the job being over
        self.suspended_ms = 0
        self.attempt = 0
        self.workers = 0
        self.slices: tuple[Slice, ...] = ()
        self.claim: Claim | None = None
        self.resize: Resize | None = None
        self.resize_number = 0
        self.checkpoint = 0
        self.work = 0
        self.work_since_ms = 0
        self.checkpointed_work = 0
        self.lost_work = 0
        self.moves = 0
        self.failures = 0
        self.cancelled = False
        self.change_sequence = 0
        self.progress_sequence = 0
        self.progress_ppm = 0
        self.progress_milli = 0
        self.breach_ms = NEVER_MS
        self.time = DeviceTime()
        # Derived; never hashed.
        self.key = f"job:{self.id}"
        """What the digest calls it."""
        self.worker_milli = spec.worker.devices * spec.worker.device_milli
        self.row = self.team_index = self.kind_index = -1

    @property
    def releasing(self) -> bool:
        """Whether it holds devices that it was told to give up, all or some."""
        if self.phase in RELEASING:
            return True
        return self.resize is not None and self.resize.workers < self.workers

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.phase in ENDED


_DERIVED = {"time", "key", "row", "team_index", "kind_index", "worker_milli"}
_PLAIN = tuple(name for name in JobState.__slots__ if name not in _DERIVED)
_job_fields = attrgetter(*_PLAIN)
_time_fields = attrgetter(*DeviceTime.__slots__)


def freeze(job: JobState) -> tuple[object, ...]:
    """Return all of a job as plain values: what the digest hashes and a snapshot stores."""
    return (*_job_fields(job), _time_fields(job.time))
