# SPDX-License-Identifier: Apache-2.0
"""Rules on gangs and on where they go, each broken alone."""

import pytest
from msgspec import structs

from schemas.decisions import LaunchOrdered, ResizeOrdered, Slice
from schemas.fleet import Label
from schemas.ids import NodeName, RegionName, SkuName
from schemas.jobs import Constraints, WorkerShape
from schemas.kinds import Span
from solvers.judge import PlanRule, judge
from tests.solvers.judge_worlds import (
    NOW_MS,
    broken,
    jid,
    launch,
    node,
    piece,
    plan,
    running,
    waiting,
    world,
)

NEW = waiting("new")
SHARED = WorkerShape(devices=1, device_milli=300)
PAIR = running("pair", piece("n1", 0, 1), piece("n2", 0, 1))


def resize(workers: int, *slices: Slice) -> ResizeOrdered:
    return ResizeOrdered(jid("pair"), 1, 1, workers, slices, jid("pair"))


@pytest.mark.parametrize(("least", "most"), [(2, 4), (3, 3)])
def test_a_gang_has_as_many_workers_as_asked(least: int, most: int) -> None:
    """One worker of a gang of two or more makes no progress."""
    job = waiting("new", workers_min=least, workers_max=most)
    assert broken(world(job), plan(launch(job, piece("n2", 0, 1)))) == {PlanRule.GANG_SIZE}


def test_a_gang_has_no_more_workers_than_asked() -> None:
    """Devices beyond the most that a job can use would be wasted."""
    action = launch(NEW, piece("n2", 0, 1, 2, 3), piece("n1", 0, 1))
    assert broken(world(NEW), plan(action)) == {PlanRule.GANG_SIZE}


@pytest.mark.parametrize(
    "slices",
    [
        (),
        (piece("n2", 0, 1),),
        (piece("n2", 0, 1), piece("n2", 2, 3)),
        (piece("n2", 0, 1, 2, 3), Slice(NodeName("n1"), (), 1000, 0)),
    ],
    ids=["nowhere", "half", "a node twice", "an empty slice"],
)
def test_a_gang_is_placed_whole(slices: tuple[Slice, ...]) -> None:
    """The slices, one per node, hold all workers of a gang."""
    action = LaunchOrdered(jid("new"), 1, 2, slices)
    assert broken(world(NEW), plan(action)) == {PlanRule.GANG_PARTS}


@pytest.mark.parametrize(
    "wrong",
    [
        Slice(NodeName("n2"), (0,), 1000, 1),
        Slice(NodeName("n2"), (0, 1, 2), 1000, 1),
        Slice(NodeName("n2"), (0, 1), 500, 1),
    ],
    ids=["a device short", "a device too many", "half of each"],
)
def test_a_slice_holds_what_its_workers_need(wrong: Slice) -> None:
    """Workers times devices is the number of slots, each held as the shape says."""
    assert broken(world(NEW), plan(launch(NEW, wrong))) == {PlanRule.SLICE_SHAPE}


def test_workers_of_one_gang_never_share_a_slot() -> None:
    """A slot named twice in a slice is one device counted as two, even where it could be shared."""
    job = waiting("new", worker=SHARED)
    twice = Slice(NodeName("n1"), (0, 0), 300, 2)
    snapshot = world(job, nodes=[node("n1", sku_shareable=True)])
    assert broken(snapshot, plan(launch(job, twice))) == {PlanRule.SLICE_SHAPE}


def test_work_without_devices_takes_none() -> None:
    """CPU-only work has slices without slots."""
    job = waiting("new", worker=WorkerShape(devices=0, cpu_milli=500))
    assert judge(world(job), plan(launch(job, Slice(NodeName("n1"), (), 1000, 2)))) == ()
    takes = launch(job, Slice(NodeName("n1"), (0,), 1000, 1))
    assert broken(world(job), plan(takes)) == {PlanRule.SLICE_SHAPE}


@pytest.mark.parametrize(
    ("workers", "slices"),
    [
        (2, (piece("n1", 0, 1), piece("n2", 0, 1))),
        (2, (piece("n1", 0, 1, 2, 3),)),
        (1, (piece("n2", 2, 3),)),
        (1, (piece("n3", 0, 1),)),
        (3, (piece("n1", 0, 1, 2, 3), piece("n3", 0, 1))),
    ],
    ids=["the same", "shifted", "other slots", "another node", "grown and moved"],
)
def test_a_resize_stays_where_it_is(workers: int, slices: tuple[Slice, ...]) -> None:
    """Growing keeps every device held, shrinking takes none; anything else is a migration."""
    job = structs.replace(PAIR, spec=structs.replace(PAIR.spec, workers_max=4))
    assert broken(world(job), plan(resize(workers, *slices))) == {PlanRule.RESIZE_MOVES}


def test_growing_and_shrinking_in_place_are_fine() -> None:
    """A resize that only adds, or only gives up, keeps every rule."""
    job = structs.replace(PAIR, spec=structs.replace(PAIR.spec, workers_max=4))
    grown = resize(4, piece("n1", 0, 1, 2, 3), piece("n2", 0, 1), piece("n3", 0, 1))
    assert judge(world(job), plan(grown)) == ()
    assert judge(world(job), plan(resize(1, piece("n2", 0, 1)))) == ()


def where(asks: Constraints, **changes: object) -> set[PlanRule]:
    """Return what it breaks to place a job with constraints on a node."""
    job = waiting("new", constraints=asks)
    snapshot = world(job, nodes=[node("n1", **changes)])
    return broken(snapshot, plan(launch(job, piece("n1", 0, 1))))


ANYWHERE = Constraints()
CONFIDENTIAL = Constraints(confidential=True)
LABELS = (Label("disk", "fast"), Label("net", "ib"))


@pytest.mark.parametrize(
    ("asks", "good", "bad", "rule"),
    [
        (ANYWHERE, {}, {"healthy_for_new_work": False}, PlanRule.NODE_HEALTH),
        (
            Constraints(skus=(SkuName("gpu"), SkuName("tpu"))),
            {},
            {"sku": "fpga"},
            PlanRule.WRONG_SKU,
        ),
        (Constraints(regions=(RegionName("r1"),)), {}, {"region": "r2"}, PlanRule.WRONG_REGION),
        (
            Constraints(labels=LABELS),
            {"labels": (*LABELS, Label("a", "b"))},
            {"labels": LABELS[:1]},
            PlanRule.WRONG_LABELS,
        ),
        (
            CONFIDENTIAL,
            {"sku_confidential": True, "attested_until_ms": NOW_MS + 1},
            {"sku_confidential": False, "attested_until_ms": NOW_MS + 1},
            PlanRule.NOT_CONFIDENTIAL,
        ),
        (
            CONFIDENTIAL,
            {"sku_confidential": True, "attested_until_ms": NOW_MS + 1},
            {"sku_confidential": True, "attested_until_ms": NOW_MS},
            PlanRule.NOT_ATTESTED,
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, PlanRule) else "",
)
def test_a_node_suits_the_job(
    asks: Constraints, good: dict[str, object], bad: dict[str, object], rule: PlanRule
) -> None:
    """Health, SKU, region, labels and trust: one property of the node makes the difference."""
    assert where(asks, **good) == set()
    assert where(asks, **bad) == {rule}


def test_a_device_is_shared_only_where_it_can_be() -> None:
    """Thousandths of a device are for SKUs that can be shared."""
    job = waiting("new", worker=SHARED)
    action = launch(job, piece("n1", 0, 1, milli=300, each=1))
    shareable, whole = (world(job, nodes=[node("n1", sku_shareable=s)]) for s in (True, False))
    assert judge(shareable, plan(action)) == ()
    assert broken(whole, plan(action)) == {PlanRule.NOT_SHAREABLE}


@pytest.mark.parametrize(
    ("span", "near", "far"),
    [(Span.CLUSTER, "n3", "n4"), (Span.DOMAIN, "n2", "n3"), (Span.NODE, None, "n2")],
)
def test_a_gang_stays_together(span: Span, near: str | None, far: str) -> None:
    """All workers are in the one cluster, domain or node that the job asks for."""
    job = waiting("new", constraints=Constraints(span=span))
    close = (piece("n1", 0, 1), piece(near, 0, 1)) if near else (piece("n1", 0, 1, 2, 3),)
    assert judge(world(job), plan(launch(job, *close))) == ()
    apart = launch(job, piece("n1", 0, 1), piece(far, 0, 1))
    assert broken(world(job), plan(apart)) == {PlanRule.GANG_SPAN}


def test_a_gang_grows_only_inside_its_span() -> None:
    """What a gang holds already counts as much as what it takes."""
    job = structs.replace(PAIR, spec=structs.replace(PAIR.spec, workers_max=4))
    grown = resize(3, piece("n1", 0, 1), piece("n2", 0, 1), piece("n4", 0, 1))
    assert broken(world(job), plan(grown)) == {PlanRule.GANG_SPAN}


def test_what_a_gang_holds_already_is_not_judged_again() -> None:
    """A gang may shrink, and grow elsewhere, while it stands on a node that takes no new work."""
    job = structs.replace(PAIR, spec=structs.replace(PAIR.spec, workers_max=4))
    nodes = [node("n1", healthy_for_new_work=False), node("n2")]
    snapshot = world(job, nodes=nodes)
    grown = resize(3, piece("n1", 0, 1), piece("n2", 0, 1, 2, 3))
    assert judge(snapshot, plan(grown)) == ()
    onto = resize(3, piece("n1", 0, 1, 2, 3), piece("n2", 0, 1))
    assert broken(snapshot, plan(onto)) == {PlanRule.NODE_HEALTH}
