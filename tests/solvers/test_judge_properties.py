# SPDX-License-Identifier: Apache-2.0
"""The judge accepts valid plans of random worlds, and names the rule that a spoilt one breaks."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, assume, given, settings
from msgspec import structs

from schemas.decisions import Action, LaunchOrdered
from schemas.ids import JobId, NodeName, RegionName, SkuName
from schemas.jobs import Constraints, Job
from schemas.kinds import Tier
from solvers.judge import (
    RULES,
    JobFacts,
    NodeFacts,
    PlanRule,
    Proposal,
    Snapshot,
    TeamFacts,
    check_state,
    judge,
)
from tests.solvers.judge_plans import worlds
from tests.solvers.judge_worlds import (
    NOW_MS,
    RESERVED,
    TEAM,
    broken,
    launch,
    reservation,
    waiting,
)

Case = tuple[Snapshot, Proposal]
Spoil = Callable[[Snapshot, Proposal, int], Case]
"""Spoils a plan at its launch with that index; `assume`s what it needs."""


@given(worlds())
def test_a_valid_plan_is_accepted(case: Case) -> None:
    """What a naive placer lays out token by token breaks no rule."""
    assert judge(*case) == ()


@given(worlds())
def test_the_world_of_a_valid_plan_is_sound(case: Case) -> None:
    """A state made the same way keeps all that must hold between plans."""
    assert check_state(case[0]) == ()


def with_action(proposal: Proposal, index: int, action: Action) -> Proposal:
    actions = (*proposal.actions[:index], action, *proposal.actions[index + 1 :])
    return structs.replace(proposal, actions=actions)


def with_job(snapshot: Snapshot, job: JobFacts) -> Snapshot:
    return structs.replace(snapshot, jobs={**snapshot.jobs, job.spec.id: job})


def with_spec(snapshot: Snapshot, job: JobId, **changes: object) -> Snapshot:
    facts = snapshot.jobs[job]
    spec: Job = structs.replace(facts.spec, **changes)
    return with_job(snapshot, structs.replace(facts, spec=spec))


def with_node(snapshot: Snapshot, name: NodeName, **changes: object) -> Snapshot:
    host: NodeFacts = structs.replace(snapshot.nodes[name], **changes)
    return structs.replace(snapshot, nodes={**snapshot.nodes, name: host})


def launch_at(proposal: Proposal, index: int) -> LaunchOrdered:
    action = proposal.actions[index]
    assert isinstance(action, LaunchOrdered)
    return action


def stale_version(snapshot: Snapshot, proposal: Proposal, _: int) -> Case:
    return structs.replace(snapshot, position=snapshot.position + 1), proposal


def wrong_attempt(snapshot: Snapshot, proposal: Proposal, index: int) -> Case:
    action = launch_at(proposal, index)
    later = structs.replace(action, attempt=action.attempt + 1)
    return snapshot, with_action(proposal, index, later)


def double_promise(snapshot: Snapshot, proposal: Proposal, index: int) -> Case:
    action = launch_at(proposal, index)
    facts = snapshot.jobs[action.job]
    assume(facts.spec.worker.device_milli * 4 > 1000 and action.slices[0].slots)
    rivals = [structs.replace(facts, spec=structs.replace(facts.spec, name=n)) for n in "xyz"]
    again = [launch(rival, *action.slices, waits=action.waits_for) for rival in rivals]
    for rival in rivals:
        snapshot = with_job(snapshot, rival)
    return snapshot, structs.replace(proposal, actions=(*proposal.actions, *again))


def half_gang(snapshot: Snapshot, proposal: Proposal, index: int) -> Case:
    action = launch_at(proposal, index)
    return snapshot, with_action(proposal, index, structs.replace(action, slices=action.slices[1:]))


def too_few_workers(snapshot: Snapshot, proposal: Proposal, index: int) -> Case:
    action = launch_at(proposal, index)
    more = action.workers + 1
    return with_spec(snapshot, action.job, workers_min=more, workers_max=more), proposal


def device_short(snapshot: Snapshot, proposal: Proposal, index: int) -> Case:
    action = launch_at(proposal, index)
    first = action.slices[0]
    assume(first.slots)
    short = (structs.replace(first, slots=first.slots[1:]), *action.slices[1:])
    return snapshot, with_action(proposal, index, structs.replace(action, slices=short))


def wrong_sku(snapshot: Snapshot, proposal: Proposal, index: int) -> Case:
    job = launch_at(proposal, index).job
    return with_spec(snapshot, job, constraints=Constraints(skus=(SkuName("tpu"),))), proposal


def wrong_region(snapshot: Snapshot, proposal: Proposal, index: int) -> Case:
    job = launch_at(proposal, index).job
    return with_spec(snapshot, job, constraints=Constraints(regions=(RegionName("r9"),))), proposal


def unattested_node(snapshot: Snapshot, proposal: Proposal, index: int) -> Case:
    action = launch_at(proposal, index)
    confidential = Constraints(confidential=True)
    spoilt = with_spec(snapshot, action.job, constraints=confidential)
    return with_node(spoilt, action.slices[0].node, attested_until_ms=NOW_MS), proposal


def unhealthy_node(snapshot: Snapshot, proposal: Proposal, index: int) -> Case:
    name = launch_at(proposal, index).slices[0].node
    return with_node(snapshot, name, healthy_for_new_work=False), proposal


def broken_slot(snapshot: Snapshot, proposal: Proposal, index: int) -> Case:
    first = launch_at(proposal, index).slices[0]
    assume(first.slots)
    slots = list(snapshot.nodes[first.node].slots)
    slots[first.slots[0]] = 0
    return with_node(snapshot, first.node, slots=tuple(slots)), proposal


def over_capacity(snapshot: Snapshot, proposal: Proposal, index: int) -> Case:
    action = launch_at(proposal, index)
    first, cpu_milli = action.slices[0], snapshot.jobs[action.job].spec.worker.cpu_milli
    assume(cpu_milli)
    return with_node(snapshot, first.node, cpu_milli=cpu_milli * first.workers - 1), proposal


def over_reservation(snapshot: Snapshot, proposal: Proposal, index: int) -> Case:
    facts = snapshot.jobs[launch_at(proposal, index).job]
    assume(facts.worker_milli)
    inside = structs.replace(facts, tier=Tier.PREMIUM, reservation=RESERVED)
    full = structs.replace(snapshot, reservations={RESERVED: reservation(8, 8_000)})
    return with_job(full, inside), proposal


def over_team_limit(snapshot: Snapshot, proposal: Proposal, index: int) -> Case:
    action = launch_at(proposal, index)
    assume(snapshot.jobs[action.job].worker_milli)
    alone = structs.replace(proposal, actions=(action,), claims_due=())
    full = structs.replace(snapshot, teams={TEAM: TeamFacts(9, 9_000)})
    return full, alone


def missing_wait(snapshot: Snapshot, proposal: Proposal, index: int) -> Case:
    action = launch_at(proposal, index)
    whole = snapshot.jobs[action.job].spec.worker.device_milli == 1000
    leaving = [h for s in action.slices for h in snapshot.nodes[s.node].holders]
    slots = {(s.node, slot) for s in action.slices for slot in s.slots}
    awaited = [
        h
        for s in action.slices
        for h in snapshot.nodes[s.node].holders
        if h.job in action.waits_for and any((s.node, slot) in slots for slot in h.slots)
    ]
    assume(whole and leaving and awaited)
    hasty = structs.replace(action, waits_for=())
    return snapshot, with_action(proposal, index, hasty)


def wait_for_who_stays(snapshot: Snapshot, proposal: Proposal, index: int) -> Case:
    action = launch_at(proposal, index)
    idle = waiting("idle")
    waits = structs.replace(action, waits_for=(*action.waits_for, idle.spec.id))
    return with_job(snapshot, idle), with_action(proposal, index, waits)


def claim_dropped(snapshot: Snapshot, proposal: Proposal, index: int) -> Case:
    action = launch_at(proposal, index)
    rest = tuple(a for a in proposal.actions if a is not action)
    return snapshot, structs.replace(proposal, actions=rest, claims_due=(action.job,))


SPOILT: tuple[tuple[Spoil, PlanRule], ...] = (
    (stale_version, PlanRule.STALE_VERSION),
    (wrong_attempt, PlanRule.STALE_ATTEMPT),
    (double_promise, PlanRule.PROMISED_TWICE),
    (half_gang, PlanRule.GANG_PARTS),
    (too_few_workers, PlanRule.GANG_SIZE),
    (device_short, PlanRule.SLICE_SHAPE),
    (wrong_sku, PlanRule.WRONG_SKU),
    (wrong_region, PlanRule.WRONG_REGION),
    (unattested_node, PlanRule.NOT_ATTESTED),
    (unhealthy_node, PlanRule.NODE_HEALTH),
    (broken_slot, PlanRule.UNUSABLE_SLOT),
    (over_capacity, PlanRule.OVER_CAPACITY),
    (over_reservation, PlanRule.OVER_RESERVATION),
    (over_team_limit, PlanRule.TEAM_LIMIT),
    (missing_wait, PlanRule.MISSING_WAIT),
    (wait_for_who_stays, PlanRule.VAIN_WAIT),
    (claim_dropped, PlanRule.CLAIM_NOT_PLACED),
)


@pytest.mark.parametrize(("spoil", "rule"), SPOILT, ids=[s.__name__ for s, _ in SPOILT])
@settings(suppress_health_check=[HealthCheck.filter_too_much])  # few worlds suit every spoiling
@given(case=worlds())
def test_a_spoilt_plan_is_rejected(spoil: Spoil, rule: PlanRule, case: Case) -> None:
    """Any valid plan with one thing wrong is rejected, and the rule that it breaks is named."""
    launches = [i for i, a in enumerate(case[1].actions) if isinstance(a, LaunchOrdered)]
    assume(launches)
    assert judge(*case) == ()
    assert rule in broken(*spoil(*case, launches[-1]))


@given(worlds())
def test_every_move_that_a_launch_builds_on_is_needed(case: Case) -> None:
    """A plan without one of the moves that make room for a launch is rejected."""
    snapshot, proposal = case
    awaited = [w for a in proposal.actions if isinstance(a, LaunchOrdered) for w in a.waits_for]
    movers = [a for a in proposal.actions if a.job in awaited]
    assume(movers)
    rest = tuple(a for a in proposal.actions if a is not movers[0])
    assert PlanRule.VAIN_WAIT in broken(snapshot, structs.replace(proposal, actions=rest))


K = TypeVar("K")
V = TypeVar("V")


class OnlyLooked(Mapping[K, V]):
    """A mapping in which things can be looked up, and that nobody may walk through or measure."""

    def __init__(self, inner: Mapping[K, V]) -> None:
        """Look up in `inner`."""
        self.inner = inner

    def __getitem__(self, key: K) -> V:
        return self.inner[key]

    def __iter__(self) -> Iterator[K]:
        raise AssertionError

    def __len__(self) -> int:
        raise AssertionError


@given(worlds())
def test_judging_costs_what_the_plan_touches(case: Case) -> None:
    """The judge looks up what a plan names and never walks through a fleet."""
    snapshot, proposal = case
    narrow = structs.replace(
        snapshot,
        nodes=OnlyLooked(snapshot.nodes),
        jobs=OnlyLooked(snapshot.jobs),
        teams=OnlyLooked(snapshot.teams),
        reservations=OnlyLooked(snapshot.reservations),
    )
    assert judge(narrow, proposal) == ()


def test_each_rule_has_one_unit_of_its_name() -> None:
    """The functions that judge are those that the closed set of rules names, in order."""
    assert [check.__name__ for check in RULES] == [rule.value for rule in PlanRule]
