# SPDX-License-Identifier: Apache-2.0
"""Rules on devices and hosts, each broken alone."""

import pytest
from msgspec import structs

from schemas.decisions import MigrateOrdered, ResizeOrdered, StopOrdered
from schemas.jobs import WorkerShape
from solvers.judge import Phase, PlanRule, judge
from tests.solvers.judge_worlds import (
    broken,
    claim,
    jid,
    launch,
    node,
    piece,
    plan,
    running,
    suspend,
    waiting,
    world,
)

NEW, OTHER = waiting("new"), waiting("other")
OLD = running("old", piece("n1", 0, 1))
LEAVING = structs.replace(OLD, phase=Phase.SUSPENDING)
THIRD = WorkerShape(devices=1, device_milli=300)


@pytest.mark.parametrize("slots", [(2, 3), (4, 5), (-1, 0)], ids=["broken", "beyond", "below"])
def test_a_slot_that_is_taken_is_usable(slots: tuple[int, int]) -> None:
    """A slot that failed, or that the node does not have, holds nothing."""
    snapshot = world(NEW, nodes=[node("n1", slots=(1000, 1000, 1000, 0))])
    assert broken(snapshot, plan(launch(NEW, piece("n1", *slots)))) == {PlanRule.UNUSABLE_SLOT}


def test_two_launches_do_not_take_one_slot() -> None:
    """What one action of a plan takes is no longer there for the next."""
    proposal = plan(launch(NEW, piece("n1", 0, 1)), launch(OTHER, piece("n1", 1, 2)))
    violations = judge(world(NEW, OTHER), proposal)
    assert [(v.rule, v.action, v.subject) for v in violations] == [
        (PlanRule.PROMISED_TWICE, 1, "n1/1")
    ]


def test_a_launch_does_not_take_what_someone_keeps() -> None:
    """A slot whose holder stays is not free."""
    proposal = plan(launch(NEW, piece("n1", 1, 2)))
    assert broken(world(NEW, OLD), proposal) == {PlanRule.PROMISED_TWICE}


def test_a_slot_has_one_successor() -> None:
    """Two launches cannot both wait for the same device."""
    proposal = plan(
        suspend(OLD, NEW),
        launch(NEW, piece("n1", 0, 1), waits=[jid("old")]),
        launch(OTHER, piece("n1", 0, 1), waits=[jid("old")]),
    )
    assert broken(world(NEW, OTHER, OLD), proposal) == {PlanRule.PROMISED_TWICE}


def test_a_slot_claimed_by_an_earlier_plan_is_taken() -> None:
    """A successor of an earlier plan is a successor too."""
    claimed = node("n1", claims=(claim(OTHER, piece("n1", 0, 1), jid("old")),))
    proposal = plan(launch(NEW, piece("n1", 0, 1), waits=[jid("old")]))
    snapshot = world(NEW, OTHER, LEAVING, nodes=[claimed])
    assert broken(snapshot, proposal) == {PlanRule.PROMISED_TWICE}


@pytest.mark.parametrize("way", ["suspend", "migrate", "shrink", "stop", "before"])
def test_a_launch_waits_for_the_holder_whom_it_follows(way: str) -> None:
    """Whatever makes a holder leave, its devices are free only once it reports so."""
    both = running("old", piece("n1", 0, 1, 2, 3))
    old, first, slots = {
        "suspend": (OLD, suspend(OLD, NEW), (0, 1)),
        "migrate": (
            OLD,
            MigrateOrdered(jid("old"), 1, 1, (piece("n2", 0, 1),), (), jid("new")),
            (0, 1),
        ),
        "shrink": (
            both,
            ResizeOrdered(jid("old"), 1, 1, 1, (piece("n1", 0, 1),), jid("new")),
            (2, 3),
        ),
        "stop": (structs.replace(OLD, cancelled=True), StopOrdered(jid("old"), 1), (0, 1)),
        "before": (LEAVING, None, (0, 1)),
    }[way]
    moves = () if first is None else (first,)
    waits = launch(NEW, piece("n1", *slots), waits=[jid("old")])
    assert judge(world(NEW, old), plan(*moves, waits)) == ()
    hasty = structs.replace(waits, waits_for=())
    assert broken(world(NEW, old), plan(*moves, hasty)) == {PlanRule.MISSING_WAIT}


def test_what_a_shrinking_gang_keeps_is_not_free() -> None:
    """A launch gets what a gang gives up, and nothing of what it keeps."""
    both = running("old", piece("n1", 0, 1, 2, 3))
    shrink = ResizeOrdered(jid("old"), 1, 1, 1, (piece("n1", 0, 1),), jid("new"))
    taking = launch(NEW, piece("n1", 1, 2), waits=[jid("old")])
    assert broken(world(NEW, both), plan(shrink, taking)) == {PlanRule.PROMISED_TWICE}


def test_growth_does_not_wait() -> None:
    """A gang that grows takes its devices at once, so none that someone is yet to release."""
    grower = running("grower", piece("n1", 2, 3))
    grown = ResizeOrdered(jid("grower"), 1, 1, 2, (piece("n1", 0, 1, 2, 3),), jid("grower"))
    assert broken(world(grower, LEAVING), plan(grown)) == {PlanRule.MISSING_WAIT}


def test_a_gang_that_migrates_may_use_its_own_slots_again() -> None:
    """The next attempt starts after its own gang has left, said or not."""
    moved = MigrateOrdered(jid("old"), 1, 1, (piece("n1", 1, 2),), (), jid("old"))
    assert judge(world(OLD), plan(moved)) == ()


@pytest.mark.parametrize("order", ["never", "too late"])
def test_a_wait_is_for_someone_who_leaves(order: str) -> None:
    """Waiting for a job that stays, or that is told to leave only afterwards, is no wait at all."""
    taking = launch(NEW, piece("n2", 0, 1), waits=[jid("old")])
    proposal = plan(taking) if order == "never" else plan(taking, suspend(OLD, NEW))
    assert broken(world(NEW, OLD), proposal) == {PlanRule.VAIN_WAIT}


def test_shared_slots_hold_up_to_a_thousand_thousandths() -> None:
    """Three workers of 300 fit one device, a fourth does not."""
    jobs = [waiting(f"j{i}", worker=THIRD) for i in range(4)]
    actions = [launch(job, piece("n1", 0, milli=300, each=1)) for job in jobs]
    snapshot = world(*jobs, nodes=[node("n1", sku_shareable=True)])
    assert judge(snapshot, plan(*actions[:3])) == ()
    assert broken(snapshot, plan(*actions)) == {PlanRule.PROMISED_TWICE}


def test_sharing_needs_to_wait_only_for_the_room_it_takes() -> None:
    """Of two who leave a shared slot, a newcomer waits for one; two newcomers for one each."""
    half = WorkerShape(devices=1, device_milli=500)
    ends = [
        running(name, piece("n1", 0, milli=500, each=1), worker=half, phase=Phase.SUSPENDING)
        for name in ("a", "b")
    ]
    jobs = [waiting(name, worker=half) for name in ("c", "d")]
    snapshot = world(*ends, *jobs, nodes=[node("n1", sku_shareable=True)])

    def launches(*waits: str) -> set[PlanRule]:
        onto = piece("n1", 0, milli=500, each=1)
        taken = [
            launch(job, onto, waits=[jid(name)]) for job, name in zip(jobs, waits, strict=False)
        ]
        return broken(snapshot, plan(*taken))

    assert launches("a") == set()
    assert launches("a", "b") == set()
    assert launches("a", "a") == {PlanRule.MISSING_WAIT}


@pytest.mark.parametrize("field", ["cpu_milli", "memory_mib", "storage_mbps", "network_mbps"])
def test_a_host_has_room_for_all_its_workers(field: str) -> None:
    """Each host amount is counted over who stays, who has a claim and who comes."""
    hungry = structs.replace(WorkerShape(devices=1), **{field: 40})
    stays = running("old", piece("n1", 0, each=1), worker=hungry)
    later, new = waiting("later", worker=hungry), waiting("new", worker=hungry)
    claimed = claim(later, piece("n1", 1, each=1))

    def with_capacity(amount: int) -> set[PlanRule]:
        host = node("n1", claims=(claimed,), **{field: amount})
        snapshot = world(stays, later, new, nodes=[host])
        return broken(snapshot, plan(launch(new, piece("n1", 2, each=1))))

    assert with_capacity(120) == set()
    assert with_capacity(119) == {PlanRule.OVER_CAPACITY}


def test_host_room_that_is_yet_to_be_released_is_waited_for() -> None:
    """Free devices are not enough while the host is still full of those who leave."""
    hungry = WorkerShape(devices=1, memory_mib=40_000)
    leaves = running("old", piece("n1", 0, each=1), worker=hungry, phase=Phase.STOPPING)
    new = waiting("new", worker=hungry)
    taking = launch(new, piece("n1", 1, each=1))
    assert broken(world(new, leaves), plan(taking)) == {PlanRule.OVER_CAPACITY}
    waits = structs.replace(taking, waits_for=(jid("old"),))
    assert judge(world(new, leaves), plan(waits)) == ()
