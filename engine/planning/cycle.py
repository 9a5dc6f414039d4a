# SPDX-License-Identifier: Apache-2.0
"""`plan(snapshot)`: one cycle's decision, as a value.

What a plan *means*: among all ways to run whole gangs on the devices there are, one whose value,
summed over reservations honoured, promises kept and work done, is within a certified gap of the
best. How it is found: waiting jobs are placed one by one in the order of their rank, each into free
room or by the cheapest moves that pay; when the certified gap grows past the policy's target, the
global allocation is solved and the plan is completed towards it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.planning.aftermath import aftermath
from engine.planning.certificate import (
    Posed,
    fingerprint,
    flattened,
    pose,
    price_keys,
    remembered,
    unflattened,
)
from engine.planning.draft import Draft
from engine.planning.placing import Placing
from engine.planning.reallocating import reallocate
from engine.planning.verdicts import Verdicts
from engine.planning.view import Rank, View, view
from engine.snapshot import Snapshot
from schemas.decisions import Action, VerdictReached
from schemas.ids import JobId, ReservationId
from solvers import allocation


@dataclass(frozen=True, slots=True)
class Certificate:
    """What shows how good a plan is.

    Its value, a bound on any plan's value, and the prices that prove the bound.
    """

    problem_digest: bytes
    reason: str
    objective: int
    bound: int
    gap_ppm: int
    full_solve: bool
    prices: tuple[int, ...]
    price_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rederived:
    """What of a certificate follows from a plan's record: its problem, its value, its bound."""

    problem_digest: bytes
    objective: int
    bound: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a cycle decided: actions in order, verdicts that changed, and the certificate.

    Made on the state at `position`, seen at `cut_ms`. `claims_due` are the premium jobs inside
    their reservation that wait in the cut: the judge checks that each has an action. `inside` are
    all premium jobs that count against a reservation.
    """

    position: int
    cut_ms: int
    cycle: int
    actions: tuple[Action, ...]
    verdicts: tuple[VerdictReached, ...]
    certificate: Certificate
    claims_due: tuple[JobId, ...]
    inside: Mapping[JobId, ReservationId]


def plan(snapshot: Snapshot) -> Plan:
    """Return the plan for a cut. Equal cuts give equal plans on one build."""
    # 1. See the cut through the policy: needs, worth, ranks.
    seen = view(snapshot)
    draft = Draft(snapshot, seen)
    placing = Placing(draft)
    # 2. Stop what was cancelled.
    placing.stop_cancelled()
    # 3. Move off who may not stay where it is.
    placing.move_off()
    # 4. Place who waits, in order, making room where it pays.
    placing.place_waiting()
    # 5. Bound what any plan could be worth by the prices remembered; where the gap is too wide,
    #    solve the global allocation and complete the plan towards it.
    posed = pose(snapshot, seen)
    proof = _bounded(snapshot, seen, placing, posed)
    # 6. Let elastic gangs have what is left over.
    placing.expand()
    # 7. Say why the others wait.
    verdicts = Verdicts(draft).changed()
    due = np.flatnonzero(seen.waiting & (seen.rank == Rank.RESERVED)).tolist()
    inside = np.flatnonzero(seen.reservation >= 0).tolist()
    return Plan(
        position=snapshot.position,
        cut_ms=snapshot.now_ms,
        cycle=snapshot.cycle,
        actions=tuple(draft.actions),
        verdicts=verdicts,
        certificate=_certify(snapshot, posed, proof, posed.value(seen, draft.after())),
        claims_due=tuple(snapshot.details[job].id for job in due if draft.limits.allows(job)),
        inside={
            snapshot.details[job].id: snapshot.reservations[int(seen.reservation[job])].id
            for job in inside
        },
    )


@dataclass(frozen=True, slots=True)
class _Proof:
    """A bound on any plan's value, the prices that prove it, and how they were found."""

    bound: int
    prices: allocation.Prices
    reason: str
    full_solve: bool


def _bounded(snapshot: Snapshot, seen: View, placing: Placing, posed: Posed) -> _Proof:
    prices, policy = remembered(snapshot), snapshot.policy
    bound = allocation.upper_bound(posed.problem, prices)
    value = posed.value(seen, placing.draft.after())
    rested = snapshot.now_ms - snapshot.solved_ms >= policy.solve_interval_ms
    if not (policy.moves and rested and _gap_ppm(value, bound) > policy.gap_target_ppm):
        return _Proof(bound, prices, "incremental", full_solve=False)
    solved = allocation.allocate(posed.problem, allocation.AllocationLimits(), prices)
    if solved.bound < bound:
        prices, bound = solved.prices, solved.bound
    if solved.objective > value:
        reallocate(placing, posed, solved)
    return _Proof(bound, prices, solved.reason.value, full_solve=True)


def _certify(snapshot: Snapshot, posed: Posed, proof: _Proof, value: int) -> Certificate:
    return Certificate(
        problem_digest=fingerprint(posed.problem),
        reason=proof.reason,
        objective=value,
        bound=proof.bound,
        gap_ppm=_gap_ppm(value, proof.bound),
        full_solve=proof.full_solve,
        prices=flattened(proof.prices),
        price_keys=price_keys(snapshot),
    )


def rederive(snapshot: Snapshot, actions: Sequence[Action], prices: tuple[int, ...]) -> Rederived:
    """Return what a recorded plan's certificate must say, from its record alone.

    `actions` are all that the plan proposed, `prices` those it recorded, of today's `price_keys`.
    """
    seen = view(snapshot)
    posed = pose(snapshot, seen)
    return Rederived(
        fingerprint(posed.problem),
        posed.value(seen, aftermath(snapshot, seen, actions)),
        allocation.upper_bound(posed.problem, unflattened(snapshot, prices)),
    )


def _gap_ppm(value: int, bound: int) -> int:
    """Return the gap of a plan, not below 0: work on nodes that take none is beyond the bound."""
    return max(0, allocation.gap_ppm(value, bound))
