# SPDX-License-Identifier: Apache-2.0
"""The form in which `engine.stored` writes a state.

A field is called as the one it is stored from. What there are many of is written as lists without
names; everything stands in the order in which the fold came to know it.
"""

from msgspec import Struct

from engine.job_state import Claim, Resize
from engine.phases import Phase
from engine.state import Kind
from schemas.decisions import EventParked, Policy, Slice
from schemas.fleet import Cluster, Domain, Node, Region, Sku
from schemas.ids import JobId, TenantName
from schemas.kinds import NodeHealth, Tier
from schemas.tenants import Reservation, Team, Tenant

VERSION = 1
"""Raised whenever a stored field comes, goes or changes its type or meaning."""


class StoredSpec(Struct, array_like=True, frozen=True, gc=False):
    """A job as it was submitted; `kind` is the number of what it has in common with others."""

    kind: int
    tenant: TenantName
    name: str
    generation: int
    team: str
    tier: Tier
    priority: int
    workers_min: int
    workers_max: int
    checkpoint_mib: int


class StoredTime(Struct, array_like=True, frozen=True, gc=False):
    """A job's device time."""

    since_ms: int
    due_milli: int
    received_milli: int
    due: int
    received: int
    due_ring: list[int]
    received_ring: list[int]


class StoredProgress(Struct, array_like=True, frozen=True, gc=False):
    """All of a job but its spec and its device time."""

    position: int
    tier: Tier
    priority: int
    phase: Phase
    phase_since_ms: int
    reason: str
    submitted_ms: int
    first_started_ms: int
    ended_ms: int
    stopped_ms: int
    suspended_ms: int
    attempt: int
    workers: int
    slices: tuple[Slice, ...]
    claim: Claim | None
    resize: Resize | None
    resize_number: int
    checkpoint: int
    work: int
    work_since_ms: int
    checkpointed_work: int
    lost_work: int
    moves: int
    failures: int
    cancelled: bool
    change_sequence: int
    progress_sequence: int
    progress_ppm: int
    progress_milli: int
    breach_ms: int


class StoredJob(Struct, array_like=True, frozen=True, gc=False):
    """One job, over or not."""

    spec: StoredSpec
    time: StoredTime
    progress: StoredProgress


class StoredNode(Struct, array_like=True, frozen=True, gc=False):
    """One node, gone or not; `place` are the numbers of its domain and its pool."""

    place: tuple[int, ...]
    spec: Node
    health: NodeHealth
    health_sequence: int
    device_sequence: int
    gone: bool
    unusable: tuple[int, ...]


class StoredTotals(Struct, array_like=True, frozen=True, gc=False):
    """A tier's totals."""

    due: int
    received: int
    lost_work: int
    moves: int
    launches: int
    waited_ms: int
    suspended_ms: int
    ended: int
    failed: int


class StoredMemory(Struct, array_like=True, frozen=True, gc=False):
    """What the planner remembers."""

    cycle: int
    planned_ms: int
    solved_ms: int
    prices: tuple[int, ...]
    price_keys: tuple[str, ...]


class StoredState(Struct, frozen=True):
    """A state at a valid cut, without what is derived."""

    head: int
    now_ms: int
    rules: int
    policy: Policy
    cycle_due: bool
    memory: StoredMemory
    tiers: dict[Tier, StoredTotals]
    skus: tuple[Sku, ...]
    regions: tuple[Region, ...]
    clusters: tuple[Cluster, ...]
    domains: tuple[Domain, ...]
    nodes: tuple[StoredNode, ...]
    removed: dict[str, int]
    tenants: tuple[Tenant, ...]
    teams: tuple[Team, ...]
    reservations: tuple[Reservation, ...]
    kinds: tuple[Kind, ...]
    jobs: tuple[StoredJob, ...]
    parked: dict[int, EventParked]
    index_names: dict[str, list[str]]
    waiters: dict[JobId, tuple[JobId, ...]]
    cancelled_holding: tuple[JobId, ...]
