# SPDX-License-Identifier: Apache-2.0
"""What the judge is told: the part of the world that a plan touches, and the plan.

Whoever asks fills in, for one moment of the ledger, the jobs acted on, gained for or waited for;
the nodes in any slice of an action, and those held by a job that moves for its own sake; the teams
and reservations of those jobs. What no rule looks at may be left out.
"""

from collections.abc import Mapping
from enum import IntEnum

from msgspec import Struct

from schemas.decisions import Action, Slice
from schemas.fleet import Label
from schemas.ids import (
    ClusterName,
    DomainName,
    JobId,
    NodeName,
    RegionName,
    ReservationId,
    SkuName,
    TeamId,
)
from schemas.jobs import Job, WorkerShape
from schemas.kinds import Tier
from schemas.tenants import Reservation

DEVICE_MILLI = 1000
"""Thousandths of a device slot that is usable."""


class Phase(IntEnum):
    """Where a job stands, as far as a plan may care."""

    QUEUED = 1
    CLAIMED = 2
    STARTING = 3
    RUNNING = 4
    SUSPENDING = 5
    SUSPENDED = 6
    STOPPING = 7
    ENDED = 8


class Holding(Struct, frozen=True):
    """Workers that a job has on a node, and `milli` of each of `slots`.

    `releasing`: told before this plan to give them up, and not yet done so. A gang that is being
    shrunk has two holdings on a node, what it keeps and what it gives up; what a pending growth
    takes is a holding too.
    """

    job: JobId
    attempt: int
    slots: tuple[int, ...]
    milli: int
    workers: int
    shape: WorkerShape
    releasing: bool = False


class Claim(Struct, frozen=True):
    """What a job's next attempt was promised on a node, once all of `waits_for` have released.

    The next attempt of a job that migrates waits for its own release as well, named or not.
    """

    job: JobId
    attempt: int
    slots: tuple[int, ...]
    milli: int
    workers: int
    shape: WorkerShape
    waits_for: tuple[JobId, ...] = ()


class NodeFacts(Struct, frozen=True):
    """A node with all who hold or claim something on it.

    `slots` holds the capacity of each device slot: 1000 thousandths, or 0 where it is unusable.
    Host amounts are the allocatable ones.
    """

    name: NodeName
    domain: DomainName
    cluster: ClusterName
    region: RegionName
    sku: SkuName
    slots: tuple[int, ...]
    cpu_milli: int
    memory_mib: int
    storage_mbps: int
    network_mbps: int
    labels: tuple[Label, ...] = ()
    healthy_for_new_work: bool = True
    attested_until_ms: int = 0
    sku_shareable: bool = False
    sku_confidential: bool = False
    holders: tuple[Holding, ...] = ()
    claims: tuple[Claim, ...] = ()


class JobFacts(Struct, frozen=True):
    """A job as it stands.

    `tier` is the current one. `slices` is what it holds, with `workers` workers in all.
    `resize_number` is that of the last resize of the attempt, which is pending while `resizing`.
    `reservation` is the one that it counts inside of, as premium work. `restorable`: a resume has
    something to start from. `running_since_ms`: when its present run began.
    """

    spec: Job
    tier: Tier
    phase: Phase
    attempt: int = 0
    workers: int = 0
    slices: tuple[Slice, ...] = ()
    resize_number: int = 0
    resizing: bool = False
    cancelled: bool = False
    reservation: ReservationId | None = None
    restorable: bool = False
    running_since_ms: int = 0

    @property
    def worker_milli(self) -> int:
        """Milli-devices of one worker."""
        return self.spec.worker.devices * self.spec.worker.device_milli


class TeamFacts(Struct, frozen=True):
    """A team's limit in devices (0: none), and the milli-devices its jobs hold or claim.

    A job counts once, and not at all while it releases without a claim elsewhere.
    """

    limit_devices: int
    used_milli: int


class ReservationFacts(Struct, frozen=True):
    """A reservation, and the milli-devices that premium work inside it holds or claims."""

    spec: Reservation
    inside_milli: int


class PoolFacts(Struct, frozen=True):
    """Milli-devices of the whole fleet: usable, reserved, used outside reservations.

    Use is counted as for a team.
    """

    capacity_milli: int
    reserved_milli: int
    outside_milli: int


class Snapshot(Struct, frozen=True):
    """The facts at `position`, at recorded time `now_ms`, and the policy's limits on moves."""

    position: int
    now_ms: int
    nodes: Mapping[NodeName, NodeFacts]
    jobs: Mapping[JobId, JobFacts]
    teams: Mapping[TeamId, TeamFacts]
    reservations: Mapping[ReservationId, ReservationFacts]
    pool: PoolFacts
    lends: bool = True
    moves: bool = True
    min_run_ms: int = 0


class Proposal(Struct, frozen=True):
    """A plan before the judge, made or rebased on position `cut`: actions in the ledger's order.

    `claims_due` are the premium jobs inside their reservation that must be placed by it.
    """

    cut: int
    actions: tuple[Action, ...]
    claims_due: tuple[JobId, ...] = ()
