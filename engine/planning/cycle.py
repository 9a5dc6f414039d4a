# SPDX-License-Identifier: Apache-2.0
"""`plan(snapshot)`: one cycle's decision, as a value.

What a plan *means*: among all ways to run whole gangs on the devices there are, one whose value,
summed over reservations honoured, promises kept and work done, is within a certified gap of the
best. How it is found: waiting jobs are placed one by one in the order of their rank, each into free
room or by the cheapest moves that pay; when the certified gap grows past the policy's target, the
global allocation is solved and the plan is completed towards it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.planning.certificate import (
    Posed,
    fingerprint,
    flattened,
    pose,
    price_keys,
    remembered,
)
from engine.planning.placing import Placing
from engine.planning.reallocating import reallocate
from engine.planning.verdicts import Verdicts
from engine.planning.view import Rank, View, view
from engine.snapshot import Snapshot
from schemas.decisions import Action, MigrateOrdered, VerdictReached
from schemas.ids import JobId, ReservationId
from solvers import allocation

_PPM = 1_000_000


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
class Plan:
    """What a cycle decided: actions in order, verdicts that changed, and the certificate.

    `claims_due` are the premium jobs inside their reservation that wait in the cut: the judge
    checks that each has an action. `inside` are all premium jobs that count against a reservation.
    """

    position: int
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
    placing = Placing(snapshot, seen)
    # 2. Stop what was cancelled.
    placing.stop_cancelled()
    # 3. Place who waits, in order, making room where it pays.
    placing.place_waiting()
    # 4. Bound what any plan could be worth by the prices remembered; where the gap is too wide,
    #    solve the global allocation.
    certificate = _certify(snapshot, seen, placing)
    # 5. Let elastic gangs have what is left over.
    placing.expand()
    # 6. Say why the others wait.
    verdicts = Verdicts(snapshot, seen, placing).changed()
    due = np.flatnonzero(seen.waiting & (seen.rank == Rank.RESERVED)).tolist()
    inside = np.flatnonzero(seen.reservation >= 0).tolist()
    return Plan(
        position=snapshot.position,
        cycle=snapshot.cycle,
        actions=tuple(placing.actions),
        verdicts=verdicts,
        certificate=certificate,
        claims_due=tuple(snapshot.details[job].id for job in due if placing.limits.allows(job)),
        inside={
            snapshot.details[job].id: snapshot.reservations[int(seen.reservation[job])].id
            for job in inside
        },
    )


def _certify(snapshot: Snapshot, seen: View, placing: Placing) -> Certificate:
    posed = pose(snapshot, seen)
    prices = remembered(snapshot)
    bound = allocation.upper_bound(posed.problem, prices)
    value = _value(snapshot, seen, placing, posed)
    policy = snapshot.policy
    rested = snapshot.now_ms - snapshot.solved_ms >= policy.solve_interval_ms
    full = policy.moves and rested and _gap_ppm(value, bound) > policy.gap_target_ppm
    reason = "incremental"
    if full:
        solved = allocation.allocate(posed.problem, allocation.AllocationLimits(), prices)
        reason = solved.reason.value
        if solved.bound < bound:
            prices, bound = solved.prices, solved.bound
        if solved.objective > value:
            reallocate(placing, posed, solved)
            value = _value(snapshot, seen, placing, posed)
    return Certificate(
        problem_digest=fingerprint(posed.problem),
        reason=reason,
        objective=value,
        bound=bound,
        gap_ppm=_gap_ppm(value, bound),
        full_solve=full,
        prices=flattened(prices),
        price_keys=price_keys(snapshot),
    )


def _gap_ppm(value: int, bound: int) -> int:
    return 0 if bound <= 0 else max(0, (bound - value) * _PPM // bound)


def _value(snapshot: Snapshot, seen: View, placing: Placing, posed: Posed) -> int:
    moved = {action.job for action in placing.actions if isinstance(action, MigrateOrdered)}
    kept = (snapshot.column("pool") >= 0) & (placing.running > 0)
    for job in np.flatnonzero(kept).tolist() if moved else ():
        kept[job] = snapshot.details[job].id not in moved
    return posed.value(snapshot, seen, placing.running, kept.astype(np.int64))
