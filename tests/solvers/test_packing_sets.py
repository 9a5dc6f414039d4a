# SPDX-License-Identifier: Apache-2.0
"""Several gangs together: found where one after the other fails, refuted where nothing exists."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.packing import (
    Gang,
    NodeArrays,
    PackingReason,
    SetLimits,
    WorkerDemand,
    commit,
    copied,
    place_gang,
    place_gangs,
)
from tests.solvers.packing_clusters import (
    amounts_of,
    cluster,
    clusters,
    demands,
    every_row,
    is_whole_and_apart,
    no_amount_is_negative,
    part,
    whole,
)

LIMITS = SetLimits()


def holds(nodes: NodeArrays, gangs: tuple[Gang, ...]) -> bool:
    """Place all, check each gang and what is left, and say whether they were placed."""
    placed = place_gangs(nodes, every_row(nodes), gangs, LIMITS)
    if placed.reason is not PackingReason.PLACED:
        assert placed.gangs == ()
        return False
    after = copied(nodes)
    for gang, slices in zip(gangs, placed.gangs, strict=True):
        assert is_whole_and_apart(slices, gang.demand, gang.workers)
        commit(after, slices, gang.demand)
    assert no_amount_is_negative(after, nodes)
    return True


def in_turn(nodes: NodeArrays, gangs: tuple[Gang, ...]) -> bool:
    """Whether the gangs fit when they are placed in the order given."""
    scratch = copied(nodes)
    for gang in gangs:
        placed = place_gang(scratch, every_row(scratch), gang.demand, gang.workers)
        commit(scratch, placed.slices, gang.demand)
        if placed.reason is not PackingReason.PLACED:
            return False
    return True


def exists(nodes: NodeArrays, gangs: tuple[Gang, ...]) -> bool:
    """Whether any packing exists, by trying every node and slot for every worker."""
    workers = [(at, gang.demand) for at, gang in enumerate(gangs) for _ in range(gang.workers)]
    held: set[tuple[int, int, int]] = set()
    return _search(copied(nodes), workers, held)


def _search(
    nodes: NodeArrays, workers: list[tuple[int, WorkerDemand]], held: set[tuple[int, int, int]]
) -> bool:
    if not workers:
        return True
    (gang, demand), *rest = workers
    for node in range(len(nodes.usable)):
        if nodes.cpu_free_milli[node] < demand.cpu_milli:
            continue
        if nodes.memory_free_mib[node] < demand.memory_mib:
            continue
        free = nodes.free_milli[node]
        fitting = [s for s in range(len(free)) if free[s] >= demand.device_milli]
        choices: list[tuple[int, ...]] = []
        if demand.shared:
            choices = [(s,) for s in fitting if (gang, node, s) not in held]
        elif len(fitting) >= demand.devices:
            choices = [tuple(fitting[: demand.devices])]
        for slots in choices:
            taken = [(gang, node, slot) for slot in slots]
            _give(nodes, node, slots, demand, -1)
            held.update(taken)
            if _search(nodes, rest, held):
                return True
            held.difference_update(taken)
            _give(nodes, node, slots, demand, 1)
    return False


def _give(
    nodes: NodeArrays, node: int, slots: tuple[int, ...], demand: WorkerDemand, sign: int
) -> None:
    nodes.free_milli[node, list(slots)] += sign * demand.device_milli
    nodes.cpu_free_milli[node] += sign * demand.cpu_milli
    nodes.memory_free_mib[node] += sign * demand.memory_mib


def test_gangs_that_starve_each_other_in_turn_fit_together() -> None:
    """CPU-hungry work first takes memory that only the other could have used there."""
    nodes = cluster((1_000,) * 2, (1_000,) * 2, cpu=[8, 4], memory=[4, 8])
    gangs = (
        Gang(whole(1, cpu_milli=2, memory_mib=2), 2),
        Gang(whole(1, cpu_milli=6, memory_mib=2), 1),
        Gang(whole(1, cpu_milli=2, memory_mib=6), 1),
    )
    assert not in_turn(nodes, gangs)
    assert holds(nodes, gangs)


def test_shares_that_best_fit_wastes_are_put_together_exactly() -> None:
    """500, 300 and 200 fill one device, 400, 400 and 200 the other; largest first fails."""
    nodes = cluster((1_000, 1_000))
    gangs = tuple(Gang(part(milli), 1) for milli in (500, 400, 400, 300, 200, 200))
    assert not in_turn(nodes, gangs)
    assert holds(nodes, gangs)


def test_a_thousandth_too_much_is_proven_impossible() -> None:
    """The answer is a proof, not a search that gave up."""
    nodes = cluster((1_000, 1_000))
    gangs = tuple(Gang(part(milli), 1) for milli in (500, 400, 400, 300, 200, 201))
    placed = place_gangs(nodes, every_row(nodes), gangs, LIMITS)
    assert placed.reason is PackingReason.DOES_NOT_FIT


def test_a_limit_that_was_reached_is_no_proof() -> None:
    """With too few patterns allowed the reason says so."""
    nodes = cluster((1_000, 1_000))
    gangs = tuple(Gang(part(milli), 1) for milli in (500, 400, 400, 300, 200, 200))
    placed = place_gangs(nodes, every_row(nodes), gangs, SetLimits(patterns=2))
    assert placed == type(placed)((), PackingReason.LIMIT_REACHED)


def test_many_alike_nodes_are_one_class() -> None:
    """Two hundred nodes where only pairing the two shapes fits cost no more than two do."""
    nodes = cluster(*[(1_000,) * 8] * 200, cpu=[64] * 200)
    hungry, modest = whole(1, cpu_milli=12), whole(1, cpu_milli=4)
    assert holds(nodes, (Gang(modest, 800), Gang(hungry, 800)))
    assert not holds(nodes, (Gang(modest, 800), Gang(hungry, 801)))


def test_no_gangs_fit_anywhere() -> None:
    """Nothing asked is nothing refused."""
    nodes = cluster((0,))
    assert place_gangs(nodes, np.array([], np.int64), (), LIMITS).reason is PackingReason.PLACED


gangs_drawn = st.lists(st.builds(Gang, demands, st.integers(1, 2)), min_size=1, max_size=3)


@settings(max_examples=100)
@given(clusters(most=3), gangs_drawn)
def test_gangs_are_placed_exactly_when_a_packing_exists(
    nodes: NodeArrays, gangs: list[Gang]
) -> None:
    """Compared with trying everything; whatever is placed is whole and inside what is free."""
    before = amounts_of(nodes)
    assert holds(nodes, tuple(gangs)) == exists(nodes, tuple(gangs))
    assert amounts_of(nodes) == before
