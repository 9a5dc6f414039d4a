# SPDX-License-Identifier: Apache-2.0
"""A plan as the records of its batch.

The opening, the actions, the changed verdicts, the commit that closes it.
"""

from hashlib import sha256

from msgspec import Struct, msgpack

from engine.planning import Plan
from engine.rebase import Rebased
from engine.state import State
from schemas.catalogue import Event
from schemas.decisions import (
    Action,
    ActionDropped,
    CycleOpened,
    LaunchOrdered,
    PlanCommitted,
    StopOrdered,
)

_encode = msgpack.Encoder().encode


class Entry(Struct, frozen=True):
    """An event that the engine is about to record, and the position of what started it."""

    event: Event
    cause: int | None = None


def minutes(
    state: State, plan: Plan, rebased: Rebased, state_digest: bytes, build: str
) -> tuple[Entry, ...]:
    """Return the batch of a plan, in the order in which it is recorded.

    `state_digest` is that of the cut, `build` the fingerprint of the planner that made the plan.
    """
    actions = [Entry(action, _cause(state, action)) for action in rebased.applied]
    dropped = [Entry(d, state.jobs[d.job].position) for d in rebased.dropped]
    verdicts = [Entry(v, state.jobs[v.job].position) for v in rebased.verdicts]
    return (
        Entry(CycleOpened(plan.cycle, plan.position, plan.cut_ms)),
        *actions,
        *dropped,
        *verdicts,
        Entry(_commit(state, plan, rebased, state_digest, build)),
    )


def _cause(state: State, action: Action) -> int:
    """Return the position of the submission for whose sake an action is taken."""
    match action:
        case LaunchOrdered() | StopOrdered():
            return state.jobs[action.job].position
        case _:
            return state.jobs[action.gains].position


def actions_digest(actions: tuple[Action, ...] | tuple[ActionDropped, ...]) -> bytes:
    """Return the SHA-256 over actions in order."""
    return sha256(_encode([(type(action).__name__, action) for action in actions])).digest()


def _commit(
    state: State, plan: Plan, rebased: Rebased, state_digest: bytes, build: str
) -> PlanCommitted:
    proof = plan.certificate
    policy = state.policy
    return PlanCommitted(
        cycle=plan.cycle,
        proposed=len(plan.actions),
        applied=len(rebased.applied),
        dropped=len(rebased.dropped),
        actions_digest=actions_digest(rebased.applied),
        policy="" if policy is None else f"{policy.name}@{policy.version}",
        rules=state.rules.version,
        build=build,
        problem_digest=proof.problem_digest,
        reason=proof.reason,
        objective=proof.objective,
        bound=proof.bound,
        gap_ppm=proof.gap_ppm,
        full_solve=proof.full_solve,
        prices=proof.prices,
        state_digest=state_digest,
        price_keys=proof.price_keys,
    )
