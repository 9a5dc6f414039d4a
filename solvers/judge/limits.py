# SPDX-License-Identifier: Apache-2.0
"""Rules on amounts: team limits, reservations and their scope, what may be lent, claims due."""

from collections.abc import Iterator

from schemas.ids import ReservationId, TeamId
from schemas.tenants import Reservation
from solvers.judge.facts import DEVICE_MILLI, NodeFacts, Phase
from solvers.judge.touched import Act, Placement, Touched
from solvers.judge.violation import WHOLE_PLAN, PlanRule, Violation

_LEAVING = (Phase.SUSPENDING, Phase.STOPPING)


def change_milli(act: Act) -> int:
    """Return by how many milli-devices an action changes what its job uses once carried out."""
    job, action = act.job, act.action
    uses = 0 if job.phase in _LEAVING else job.workers
    gets = action.workers if isinstance(action, Placement) else 0
    return (gets - uses) * job.worker_milli


def team_limit(seen: Touched) -> Iterator[Violation]:
    """A plan takes no team beyond its limit; a team beyond a lowered limit gets no more."""
    teams = seen.snapshot.teams
    change: dict[TeamId, int] = {}
    last: dict[TeamId, int] = {}
    for act in seen.acts:
        team = act.job.spec.team_id
        facts = teams.get(team)
        if facts is not None and facts.limit_devices:
            more = change_milli(act)
            change[team] = change.get(team, 0) + more
            if more > 0:
                last[team] = act.index
    for team, index in last.items():
        facts = teams[team]
        total, most = facts.used_milli + change[team], facts.limit_devices * DEVICE_MILLI
        if change[team] > 0 and total > most:
            sentence = f"team {team} would use {total} milli-devices, its limit is {most}"
            yield Violation(PlanRule.TEAM_LIMIT, index, team, sentence)


def over_reservation(seen: Touched) -> Iterator[Violation]:
    """Premium work inside a reservation, newcomers with their fewest workers, fits its devices."""
    inside: dict[ReservationId, int] = {}
    for act, reservation in _launched_inside(seen):
        facts = seen.snapshot.reservations.get(reservation)
        most = facts.spec.devices * DEVICE_MILLI if facts is not None else 0
        before = facts.inside_milli if facts is not None else 0
        more = act.job.spec.workers_min * act.job.worker_milli
        inside[reservation] = total = inside.get(reservation, before) + more
        if total > most:
            sentence = (
                f"{act.action.job} counts inside reservation {reservation}: "
                f"{total} of {most} milli-devices"
            )
            yield Violation(PlanRule.OVER_RESERVATION, act.index, reservation, sentence)


def outside_reservation(seen: Touched) -> Iterator[Violation]:
    """Premium work inside a reservation goes to SKUs and regions that the reservation covers."""
    for act, reservation in _launched_inside(seen):
        facts = seen.snapshot.reservations.get(reservation)
        for node in act.nodes if facts is not None else ():
            if facts is not None and not _covers(facts.spec, node):
                sentence = (
                    f"{act.action.job} counts inside reservation {reservation} and goes to "
                    f"{node.name}, SKU {node.sku!r} in region {node.region}, not covered"
                )
                yield Violation(PlanRule.OUTSIDE_RESERVATION, act.index, node.name, sentence)


def _launched_inside(seen: Touched) -> Iterator[tuple[Act, ReservationId]]:
    for act, _ in seen.launches:
        if act.job.reservation is not None:
            yield act, act.job.reservation


def _covers(reservation: Reservation, node: NodeFacts) -> bool:
    sku = not reservation.skus or node.sku in reservation.skus
    return sku and (not reservation.regions or node.region in reservation.regions)


def lending_off(seen: Touched) -> Iterator[Violation]:
    """Where idle reservations are not lent, work outside them stays within what nobody reserved."""
    if seen.snapshot.lends:
        return
    pool = seen.snapshot.pool
    acts = [act for act in seen.acts if act.job.reservation is None]
    change = sum([change_milli(act) for act in acts])
    total, most = pool.outside_milli + change, pool.capacity_milli - pool.reserved_milli
    if change > 0 and total > most:
        index = max(act.index for act in acts if change_milli(act) > 0)
        sentence = f"{total} milli-devices used outside reservations, not reserved are {most}"
        yield Violation(PlanRule.LENDING_OFF, index, "pool", sentence)


def claim_not_placed(seen: Touched) -> Iterator[Violation]:
    """Premium work inside its reservation claims its devices in the first cycle that sees it."""
    if not seen.proposal.claims_due:
        return
    launched = {action.job for _, action in seen.launches}
    for job in seen.proposal.claims_due:
        if job not in launched:
            sentence = f"{job} waits inside its reservation and is not placed"
            yield Violation(PlanRule.CLAIM_NOT_PLACED, WHOLE_PLAN, job, sentence)
