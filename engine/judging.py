# SPDX-License-Identifier: Apache-2.0
"""The part of the state that a plan touches, as the judge wants it.

Filled from the fold, not from what the planner worked on, so that the judge sees what is.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from engine.job_state import JobState
from engine.phases import ENDED, HOLDING, Phase
from engine.planning import Plan
from engine.rebase import Rebased, rebase
from engine.state import NodeState, State, takes_new_work
from schemas.decisions import (
    LaunchOrdered,
    MigrateOrdered,
    ResizeOrdered,
    Slice,
    SuspendOrdered,
)
from schemas.errors import InternalError
from schemas.ids import JobId, NodeName, ReservationId, TeamId
from solvers import judge

DEVICE_MILLI = 1000
_PHASES = {p: judge.Phase.ENDED if p in ENDED else judge.Phase[p.name] for p in Phase}


class Lawful(Struct, frozen=True):
    """What the judge accepts of a plan, and how many due claims nothing could make room for."""

    rebased: Rebased
    claims_missed: int


def judge_plan(
    state: State, plan: Plan, rebased: Rebased, now_ms: int
) -> tuple[judge.Violation, ...]:
    """Return what the judge objects to in a plan about to be recorded; empty when it accepts."""
    dropped = {drop.job for drop in rebased.dropped}
    due = tuple(job for job in plan.claims_due if job not in dropped)
    proposal = judge.Proposal(state.head, rebased.applied, due)
    return judge.judge(facts(state, plan, rebased, now_ms), proposal)


def lawful(state: State, plan: Plan, now_ms: int) -> Lawful:
    """Return what of a plan holds at the head and is accepted by the judge.

    What happened since the cut may have changed a limit, an attestation or a host under an action:
    the judge then bars it, and the rest is judged again. Raises `InternalError` where it objects to
    a plan that was made for this very head, which is our bug. A claim that no move could make room
    for breaks no rule of placement: it is counted, and its job's verdict says that it waits.
    """
    barred: dict[JobId, None] = {}
    while True:
        rebased = rebase(state, plan, barred)
        found = judge_plan(state, plan, rebased, now_ms)
        broken = objections(found)
        if not broken:
            return Lawful(rebased, len(found))
        if state.head == plan.position:
            msg = f"cycle {plan.cycle} at position {state.head} breaks {broken[0]}"
            raise InternalError(msg)
        for violation in broken:
            barred.update(dict.fromkeys(_offenders(rebased, violation)))


def objections(found: Sequence[judge.Violation]) -> list[judge.Violation]:
    """Return what keeps a plan from being recorded: all but claims that nothing makes room for."""
    return [v for v in found if v.rule is not judge.PlanRule.CLAIM_NOT_PLACED]


def _offenders(rebased: Rebased, violation: judge.Violation) -> tuple[JobId, ...]:
    if violation.action == judge.WHOLE_PLAN:
        return tuple(action.job for action in rebased.applied)
    return (rebased.applied[violation.action].job,)


def facts(state: State, plan: Plan, rebased: Rebased, now_ms: int) -> judge.Snapshot:
    """Return the facts that a plan touches, at `now_ms`."""
    policy = state.policy
    if policy is None:
        msg = "a plan without a policy"
        raise InternalError(msg)
    names, places = _touched(state, rebased)
    found = {name: state.jobs[name] for name in names if name in state.jobs}
    teams = {job.spec.team_id for job in found.values()}
    # What counts against limits and reservations is O(all), so only where there are some.
    limited = any(state.teams[team].limit_devices for team in teams if team in state.teams)
    used = _team_use(state) if limited else {}
    return judge.Snapshot(
        position=state.head,
        now_ms=now_ms,
        nodes={n: _node(state, state.nodes[n]) for n in places if n in state.nodes},
        jobs={name: _job(job, plan.inside.get(name)) for name, job in found.items()},
        teams={
            team: judge.TeamFacts(state.teams[team].limit_devices, used.get(team, 0))
            for team in sorted(teams)
            if team in state.teams
        },
        reservations=_reservations(state, plan),
        pool=_pool(state, plan) if not policy.lends else judge.PoolFacts(0, 0, 0),
        lends=policy.lends,
        moves=policy.moves,
        min_run_ms=policy.min_run_ms,
    )


def _touched(state: State, rebased: Rebased) -> tuple[dict[JobId, None], dict[NodeName, None]]:
    jobs: dict[JobId, None] = {}
    nodes: dict[NodeName, None] = {}
    for action in rebased.applied:
        jobs[action.job] = None
        if isinstance(action, LaunchOrdered | MigrateOrdered):
            jobs.update(dict.fromkeys(action.waits_for))
        if isinstance(action, SuspendOrdered | MigrateOrdered | ResizeOrdered):
            jobs[action.gains] = None
        if isinstance(action, LaunchOrdered | MigrateOrdered | ResizeOrdered):
            nodes.update(dict.fromkeys(piece.node for piece in action.slices))
        if isinstance(action, SuspendOrdered | MigrateOrdered) and action.gains == action.job:
            left = state.jobs[action.job].slices  # whether it must leave is read off its nodes
            nodes.update(dict.fromkeys(piece.node for piece in left))
    return jobs, nodes


def _milli(job: JobState) -> int:
    """Return what a job uses: what it claims, or holds and does not give up altogether."""
    if job.claim is not None:
        return job.claim.workers * job.worker_milli
    if job.phase in {Phase.STARTING, Phase.RUNNING}:
        workers = job.workers if job.resize is None else max(job.workers, job.resize.workers)
        return workers * job.worker_milli
    return 0


def _team_use(state: State) -> dict[TeamId, int]:
    used: dict[TeamId, int] = {}
    for job in state.live_jobs():
        used[job.spec.team_id] = used.get(job.spec.team_id, 0) + _milli(job)
    return used


def _reservations(state: State, plan: Plan) -> dict[ReservationId, judge.ReservationFacts]:
    inside: dict[ReservationId, int] = {}
    for name, reservation in plan.inside.items():
        inside[reservation] = inside.get(reservation, 0) + _milli(state.jobs[name])
    return {
        name: judge.ReservationFacts(state.reservations[name], milli)
        for name, milli in inside.items()
    }


def _pool(state: State, plan: Plan) -> judge.PoolFacts:
    capacity = sum(
        (node.spec.devices - len(node.unusable)) * DEVICE_MILLI
        for node in state.nodes.values()
        if not node.gone
    )
    reserved = sum(r.devices for r in state.reservations.values()) * DEVICE_MILLI
    outside = sum(_milli(job) for job in state.live_jobs() if job.id not in plan.inside)
    return judge.PoolFacts(capacity, reserved, outside)


def _job(job: JobState, reservation: ReservationId | None) -> judge.JobFacts:
    return judge.JobFacts(
        spec=job.spec,
        tier=job.tier,
        phase=_PHASES[job.phase],
        attempt=job.attempt,
        workers=job.workers,
        slices=job.slices if job.phase in HOLDING else (),
        resize_number=job.resize_number,
        resizing=job.resize is not None,
        cancelled=job.cancelled,
        reservation=reservation,
        restorable=job.first_started_ms > 0,
        running_since_ms=job.phase_since_ms,
    )


def _node(state: State, node: NodeState) -> judge.NodeFacts:
    spec = node.spec
    domain = state.domains[spec.domain]
    sku = state.skus.get(spec.sku)
    holders = [h for j, s in node.holders.items() for h in _holdings(state.jobs[j], s)]
    growths = [_holding(state.jobs[j], s) for j, s in node.growths.items()]
    return judge.NodeFacts(
        name=spec.name,
        domain=spec.domain,
        cluster=domain.cluster,
        region=state.clusters[domain.cluster].region,
        sku=spec.sku,
        slots=tuple([0 if s in node.unusable else DEVICE_MILLI for s in range(spec.devices)]),
        cpu_milli=spec.cpu_milli,
        memory_mib=spec.memory_mib,
        storage_mbps=spec.storage_mbps,
        network_mbps=spec.network_mbps,
        labels=spec.labels,
        healthy_for_new_work=takes_new_work(node),
        attested_until_ms=spec.attested_until_ms,
        sku_shareable=sku is not None and sku.shareable,
        sku_confidential=sku is not None and sku.confidential,
        holders=(*holders, *growths),
        claims=tuple([_claim(state.jobs[j], s) for j, s in node.claimants.items()]),
    )


def _holding(job: JobState, piece: Slice, *, releasing: bool = False) -> judge.Holding:
    return judge.Holding(
        job.id, job.attempt, piece.slots, piece.milli, piece.workers, job.spec.worker, releasing
    )


def _holdings(job: JobState, piece: Slice) -> Iterator[judge.Holding]:
    """Yield what a job holds on a node: all of it, or what a pending shrink keeps and gives up."""
    resize = job.resize
    if resize is None or resize.workers >= job.workers:
        yield _holding(job, piece, releasing=job.releasing)
        return
    kept = next((s for s in resize.slices if s.node == piece.node), None)
    stays = kept if kept is not None else Slice(piece.node, (), piece.milli, 0)
    slots = tuple([slot for slot in piece.slots if slot not in stays.slots])
    yield _holding(job, stays)
    gone = Slice(piece.node, slots, piece.milli, piece.workers - stays.workers)
    yield _holding(job, gone, releasing=True)


def _claim(job: JobState, piece: Slice) -> judge.Claim:
    claim = job.claim
    if claim is None:
        msg = f"{job.id} claims {piece.node} and has no claim"
        raise InternalError(msg)
    return judge.Claim(
        job.id,
        claim.attempt,
        piece.slots,
        piece.milli,
        piece.workers,
        job.spec.worker,
        claim.waits_for,
    )
