# SPDX-License-Identifier: Apache-2.0
"""Jobs, and what is asked and reported of them."""

from msgspec import Struct

from schemas.fleet import Label
from schemas.ids import JobId, RegionName, SkuName, TeamId, TenantName, job_id, team_id
from schemas.kinds import Span, Tier


class WorkerShape(Struct, frozen=True):
    """What one worker needs.

    `devices` 0 is CPU-only work; `device_milli` below 1000 shares one device.
    """

    devices: int
    device_milli: int = 1000
    cpu_milli: int = 0
    memory_mib: int = 0
    storage_mbps: int = 0
    network_mbps: int = 0


class Constraints(Struct, frozen=True):
    """Where a job may run; an empty tuple means anywhere."""

    skus: tuple[SkuName, ...] = ()
    regions: tuple[RegionName, ...] = ()
    labels: tuple[Label, ...] = ()
    confidential: bool = False
    span: Span = Span.CLUSTER


class Job(Struct, frozen=True):
    """A gang of alike workers that start and stop together."""

    tenant: TenantName
    name: str
    generation: int
    team: str
    tier: Tier
    priority: int
    workers_min: int
    workers_max: int
    worker: WorkerShape
    constraints: Constraints
    workload_class: str = ""
    checkpoint_mib: int = 0

    @property
    def id(self) -> JobId:
        """Canonical text of the job's id."""
        return job_id(self.tenant, self.name, self.generation)

    @property
    def team_id(self) -> TeamId:
        """Canonical text of the id of the job's team."""
        return team_id(self.tenant, self.team)


class JobSubmitted(Struct, frozen=True):
    """A tenant asks for a job."""

    job: Job


class JobCancelled(Struct, frozen=True):
    """A tenant no longer wants a job."""

    job: JobId
    reason: str = ""


class JobTierChanged(Struct, frozen=True):
    """A job's tier is now as stated; `sequence` rises per job."""

    job: JobId
    sequence: int
    tier: Tier


class JobPriorityChanged(Struct, frozen=True):
    """A job's priority is now as stated; `sequence` rises per job, shared with tier changes."""

    job: JobId
    sequence: int
    priority: int


class JobStarted(Struct, frozen=True):
    """The gang of an attempt makes progress, from nothing."""

    job: JobId
    attempt: int


class JobResumed(Struct, frozen=True):
    """The gang of an attempt makes progress, from a checkpoint."""

    job: JobId
    attempt: int
    checkpoint: int


class JobCheckpointed(Struct, frozen=True):
    """Work up to now is safe; checkpoint numbers rise per job."""

    job: JobId
    attempt: int
    checkpoint: int


class JobSuspended(Struct, frozen=True):
    """The gang is checkpointed and has released its devices."""

    job: JobId
    attempt: int
    checkpoint: int


class JobResized(Struct, frozen=True):
    """The gang runs with so many workers; resize numbers rise per attempt."""

    job: JobId
    attempt: int
    resize: int
    workers: int


class JobProgressed(Struct, frozen=True):
    """How far the work is, in millionths, as the job itself says."""

    job: JobId
    attempt: int
    sequence: int
    progress_ppm: int


class JobFailed(Struct, frozen=True):
    """The gang died; a retryable failure goes back to its last checkpoint."""

    job: JobId
    attempt: int
    retryable: bool
    detail: str = ""


class JobFinished(Struct, frozen=True):
    """The gang is done and has released its devices."""

    job: JobId
    attempt: int


class JobStopped(Struct, frozen=True):
    """The gang of a cancelled job has released its devices."""

    job: JobId
    attempt: int


JobRequest = JobSubmitted | JobCancelled | JobTierChanged | JobPriorityChanged
JobReport = (
    JobStarted
    | JobResumed
    | JobCheckpointed
    | JobSuspended
    | JobResized
    | JobProgressed
    | JobFailed
    | JobFinished
    | JobStopped
)
JobEvent = JobRequest | JobReport
