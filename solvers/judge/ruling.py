# SPDX-License-Identifier: Apache-2.0
"""`judge(snapshot, plan)`: every rule, in order, on a plan laid over the facts."""

from collections.abc import Callable, Iterator

from solvers.judge import devices, gangs, limits, moves, places, subjects
from solvers.judge.facts import Proposal, Snapshot
from solvers.judge.touched import Touched, touch
from solvers.judge.violation import Violation

Check = Callable[[Touched], Iterator[Violation]]

RULES: tuple[Check, ...] = (
    subjects.stale_version,
    subjects.unknown_job,
    subjects.unknown_node,
    subjects.acted_twice,
    subjects.stale_attempt,
    subjects.stale_resize,
    subjects.wrong_phase,
    subjects.nothing_to_resume,
    gangs.gang_size,
    gangs.gang_parts,
    gangs.slice_shape,
    gangs.resize_moves,
    places.node_health,
    places.wrong_sku,
    places.wrong_region,
    places.wrong_labels,
    places.not_shareable,
    places.not_confidential,
    places.not_attested,
    places.gang_span,
    devices.unusable_slot,
    devices.promised_twice,
    devices.missing_wait,
    devices.vain_wait,
    devices.over_capacity,
    limits.team_limit,
    limits.over_reservation,
    limits.outside_reservation,
    limits.lending_off,
    limits.claim_not_placed,
    moves.reserved_displaced,
    moves.moves_off,
    moves.moved_too_soon,
    moves.moved_in_vain,
)
"""One function per `PlanRule`, of its name; together all that a plan must keep."""


def judge(snapshot: Snapshot, proposal: Proposal) -> tuple[Violation, ...]:
    """Return all that a plan breaks, in the order of the rules; empty when it is accepted.

    Solves nothing and shares no code with what makes plans. Costs what the plan touches: the
    holders and claims on its nodes.
    """
    seen = touch(snapshot, proposal)
    return tuple([violation for check in RULES for violation in check(seen)])
