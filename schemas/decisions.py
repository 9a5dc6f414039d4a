# SPDX-License-Identifier: Apache-2.0
"""What the engine itself puts on the ledger."""

from msgspec import Struct

from schemas.ids import JobId, NodeName
from schemas.kinds import Tier


class Slice(Struct, frozen=True):
    """Workers of one gang on one node, and `milli` of each device slot they hold."""

    node: NodeName
    slots: tuple[int, ...]
    milli: int
    workers: int


class CycleOpened(Struct, frozen=True):
    """A cycle begins; its plan was made on the state at position `cut`, seen at `cut_ms`.

    A `cut_ms` of 0 stands for the time of the record itself.
    """

    cycle: int
    cut: int
    cut_ms: int = 0


class LaunchOrdered(Struct, frozen=True):
    """An attempt takes its slices, once every job in `waits_for` has released."""

    job: JobId
    attempt: int
    workers: int
    slices: tuple[Slice, ...]
    waits_for: tuple[JobId, ...] = ()
    resume: bool = False


class SuspendOrdered(Struct, frozen=True):
    """A gang is checkpointed and gives its devices up, for the sake of `gains`."""

    job: JobId
    attempt: int
    gains: JobId


class MigrateOrdered(Struct, frozen=True):
    """A gang leaves its devices and its next attempt takes `slices`."""

    job: JobId
    attempt: int
    workers: int
    slices: tuple[Slice, ...]
    waits_for: tuple[JobId, ...]
    gains: JobId


class ResizeOrdered(Struct, frozen=True):
    """A gang goes on with `workers` workers on `slices`."""

    job: JobId
    attempt: int
    resize: int
    workers: int
    slices: tuple[Slice, ...]
    gains: JobId


class StopOrdered(Struct, frozen=True):
    """A cancelled gang gives its devices up."""

    job: JobId
    attempt: int


class Exclusion(Struct, frozen=True):
    """How many nodes one rule excludes, counted in the order of the rules."""

    rule: str
    nodes: int


class VerdictReached(Struct, frozen=True):
    """Why a job does not run; `reason` is a value of `schemas.reasons.Reason`."""

    job: JobId
    reason: str
    needed_devices: int
    free_devices: int
    exclusions: tuple[Exclusion, ...] = ()


class ActionDropped(Struct, frozen=True):
    """An action of the plan that no longer held at the head."""

    job: JobId
    action: str
    reason: str


class PlanCommitted(Struct, frozen=True):
    """Closes a cycle's batch with the plan's certificate."""

    cycle: int
    proposed: int
    applied: int
    dropped: int
    actions_digest: bytes
    policy: str
    rules: int
    build: str
    problem_digest: bytes
    reason: str
    objective: int
    bound: int
    gap_ppm: int
    full_solve: bool
    prices: tuple[int, ...]
    state_digest: bytes
    price_keys: tuple[str, ...] = ()


class TierPolicy(Struct, frozen=True):
    """What a tier's device time is worth and what is promised of it."""

    tier: Tier
    weight: int
    fresh_weight: int
    promise_ppm: int


class Policy(Struct, frozen=True):
    """Weights and limits of planning; activated by a record."""

    name: str
    version: int
    period_ms: int
    fresh_device_ms: int
    tiers: tuple[TierPolicy, ...]
    lends: bool
    moves: bool
    reclaim_ms: int
    park_ms: int
    failure_buffer_ppm: int
    gap_target_ppm: int
    solve_interval_ms: int
    min_run_ms: int
    move_penalty_ms: int
    queue_limit: int


class PolicyActivated(Struct, frozen=True):
    """Planning follows this policy from here on."""

    policy: Policy


class RulesActivated(Struct, frozen=True):
    """Folding and planning follow this version of the rules from here on."""

    rules: int


class EventParked(Struct, frozen=True):
    """An event that came before what it names, kept with all it carried."""

    ce_type: str
    payload: bytes
    waits_for: str
    deadline_ms: int
    ce_id: str
    ce_source: str
    ce_subject: str
    ce_time: str
    correlation_id: str
    causation_id: str


class ParkedReleased(Struct, frozen=True):
    """A parked event was admitted by a following record, or refused with a reason."""

    parked: int
    admitted: bool
    reason: str = ""


Action = LaunchOrdered | SuspendOrdered | MigrateOrdered | ResizeOrdered | StopOrdered
DecisionEvent = (
    CycleOpened
    | Action
    | VerdictReached
    | ActionDropped
    | PlanCommitted
    | PolicyActivated
    | RulesActivated
    | EventParked
    | ParkedReleased
)
