# SPDX-License-Identifier: Apache-2.0
"""One gang on nodes: where it goes, that it is whole, and that nothing is given out twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvers.packing import (
    NodeArrays,
    PackingReason,
    Slice,
    WorkerDemand,
    commit,
    copied,
    count_fit,
    mix_profile,
    place_gang,
    release,
    workers_per_node,
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
    where,
    whole,
)

IDLE = (1_000,) * 8
MIX = mix_profile([(part(500, cpu_milli=2), 3), (whole(1, cpu_milli=4), 2), (whole(2), 1)], 8)


def put(nodes: NodeArrays, demand: WorkerDemand, workers: int) -> tuple[Slice, ...]:
    return place_gang(nodes, every_row(nodes), demand, workers).slices


def test_eight_workers_go_on_one_idle_node_of_eight() -> None:
    """A gang that one node holds is not spread, even over fuller nodes."""
    nodes = cluster((1_000,) * 6 + (0, 0), IDLE, (1_000,) * 7 + (0,))
    assert where(put(nodes, whole(1), 8)) == {1: 8}


def test_a_single_worker_goes_where_fewest_devices_are_left() -> None:
    """Small gangs fill up what is broken into; whole nodes stay whole."""
    nodes = cluster(IDLE, (0, 0, 0, 1_000, 1_000), (0, 1_000), IDLE)
    (piece,) = put(nodes, whole(1), 1)
    assert piece == Slice(node=2, slots=(1,), milli=1_000, workers=1)


def test_a_share_goes_on_the_fullest_device_that_takes_it() -> None:
    """Of the slots on a node, the one with least left; idle ones stay idle."""
    nodes = cluster((1_000, 450, 700, 300))
    assert put(nodes, part(400), 1)[0].slots == (1,)


def test_ties_go_to_the_lowest_node_and_slot() -> None:
    """Equal choices have one answer."""
    nodes = cluster(IDLE, IDLE)
    assert put(nodes, whole(2), 1) == (Slice(0, (0, 1), 1_000, 1),)


def test_a_gang_stays_inside_one_domain_that_holds_it() -> None:
    """One domain with room for all comes before the roomiest nodes anywhere."""
    nodes = cluster(IDLE, (1_000,) * 4, (1_000,) * 4, IDLE, domain=[0, 1, 1, 2])
    four = cluster(IDLE, (1_000,) * 6, (1_000,) * 6, IDLE, domain=[0, 1, 1, 2])
    assert where(put(four, whole(1), 10)) == {1: 6, 2: 4}
    assert where(put(nodes, whole(1), 8)) == {0: 8}


def test_of_domains_that_hold_a_gang_the_one_with_fewest_nodes_is_taken() -> None:
    """Fewer nodes mean fewer hops and fewer nodes broken into, whichever domain is roomier."""
    nodes = cluster(*[(1_000,) * 3] * 6, IDLE, IDLE, domain=[0] * 6 + [1] * 2)
    assert where(put(nodes, whole(1), 12)) == {6: 8, 7: 4}


def test_a_gang_that_no_domain_holds_fills_the_roomiest_first() -> None:
    """Domains are filled whole but the last, in which the rest goes where it is tightest."""
    nodes = cluster(IDLE, IDLE, IDLE, (1_000,) * 3, (1_000,) * 2, domain=[0, 0, 1, 1, 1])
    assert where(put(nodes, whole(1), 18)) == {0: 8, 1: 8, 4: 2}


def test_every_host_amount_limits_a_gang() -> None:
    """CPU, memory, storage and network each stop workers that the devices would take."""
    nodes = cluster(IDLE, cpu=[10], memory=[7])
    demand = whole(1, cpu_milli=3, memory_mib=1)
    assert workers_per_node(nodes, every_row(nodes), demand).tolist() == [3]
    assert workers_per_node(nodes, every_row(nodes), whole(1, memory_mib=4)).tolist() == [1]
    nodes.storage_free_mbps[0], nodes.network_free_mbps[0] = 5, 9
    assert count_fit(nodes, every_row(nodes), whole(1, storage_mbps=2)) == 2
    assert count_fit(nodes, every_row(nodes), whole(0, network_mbps=2)) == 4


def test_a_node_that_is_overdrawn_takes_nothing_more() -> None:
    """A negative amount is no room, and stops only work that asks for it."""
    nodes = cluster(IDLE, cpu=[-5])
    assert count_fit(nodes, every_row(nodes), whole(1, cpu_milli=1)) == 0
    assert count_fit(nodes, every_row(nodes), whole(1)) == 8


def test_an_unusable_node_takes_nothing() -> None:
    """Whoever asks with its row."""
    nodes = cluster(IDLE, IDLE)
    nodes.usable[0] = False
    assert where(put(nodes, whole(1), 1)) == {1: 1}
    assert put(nodes, whole(1), 9) == ()


def test_only_the_rows_asked_for_are_used() -> None:
    """A gang stays inside its candidates, whatever room there is beside them."""
    nodes = cluster(IDLE, IDLE, IDLE)
    placed = place_gang(nodes, np.array([1, 2]), whole(1), 12)
    assert where(placed.slices) == {1: 8, 2: 4}
    assert place_gang(nodes, np.array([1]), whole(1), 9).reason is PackingReason.DOES_NOT_FIT
    assert place_gang(nodes, np.array([], np.int64), whole(1), 1).slices == ()


def test_work_without_devices_goes_where_fewest_would_be_stranded() -> None:
    """CPU-only work takes the host of busy devices, and no slot."""
    nodes = cluster(IDLE, (0, 0), cpu=[9, 9])
    assert put(nodes, whole(0, cpu_milli=4), 2) == (Slice(1, (), 1_000, 2),)


@given(clusters(), demands, st.integers(1, 12))
def test_a_gang_is_whole_and_inside_what_is_free(
    nodes: NodeArrays, demand: WorkerDemand, workers: int
) -> None:
    """No slot twice, no amount below zero, and release undoes commit exactly."""
    before = copied(nodes)
    slices = put(nodes, demand, workers)
    assert amounts_of(nodes) == amounts_of(before), "placing changed something"
    commit(nodes, slices, demand)
    assert not slices or is_whole_and_apart(slices, demand, workers)
    assert no_amount_is_negative(nodes, before)
    release(nodes, slices, demand)
    assert amounts_of(nodes) == amounts_of(before)


@given(clusters(), demands, st.integers(1, 12))
def test_a_gang_fits_exactly_when_the_room_of_the_nodes_adds_up(
    nodes: NodeArrays, demand: WorkerDemand, workers: int
) -> None:
    """The count is right node by node: it can be used up, and then nothing more goes there."""
    fits = count_fit(nodes, every_row(nodes), demand)
    assert bool(put(nodes, demand, workers)) == (workers <= fits)
    for row, room in enumerate(workers_per_node(nodes, every_row(nodes), demand).tolist()):
        if not demand.shared:
            taken = 0
            while slices := place_gang(nodes, np.array([row]), demand, 1).slices:
                commit(nodes, slices, demand)
                taken += 1
            assert taken == room


@given(clusters(), demands, st.integers(2, 12))
def test_no_packing_uses_fewer_domains(
    nodes: NodeArrays, demand: WorkerDemand, workers: int
) -> None:
    """The roomiest domains together decide how few can do."""
    slices = put(nodes, demand, workers)
    if not slices:
        return
    room = workers_per_node(nodes, every_row(nodes), demand)
    by_domain = sorted(np.bincount(nodes.domain, room).astype(int).tolist(), reverse=True)
    fewest = next(n for n in range(1, 9) if sum(by_domain[:n]) >= workers)
    assert len({int(nodes.domain[piece.node]) for piece in slices}) == fewest


@given(clusters(), demands)
def test_a_worker_placed_by_the_mix_fits_wherever_one_fits(
    nodes: NodeArrays, demand: WorkerDemand
) -> None:
    """The node potential chooses among nodes; it never loses or invents room."""
    before = copied(nodes)
    slices = place_gang(nodes, every_row(nodes), demand, 1, MIX).slices
    assert bool(slices) == bool(put(nodes, demand, 1))
    commit(nodes, slices, demand)
    assert not slices or is_whole_and_apart(slices, demand, 1)
    assert no_amount_is_negative(nodes, before)


@pytest.mark.parametrize("workers", [3, 4])
def test_workers_of_a_gang_that_share_devices_hold_a_slot_each(workers: int) -> None:
    """Two shares of one gang never meet on a device: one that fails would take both."""
    nodes = cluster((1_000, 1_000), (1_000,))
    slices = put(nodes, part(200), workers)
    assert bool(slices) == (workers <= 3)
    assert all(len(piece.slots) == piece.workers for piece in slices)
