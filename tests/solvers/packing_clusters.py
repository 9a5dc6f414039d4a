# SPDX-License-Identifier: Apache-2.0
"""Clusters and gangs for the packing tests: built by hand, or drawn."""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from solvers.packing import NodeArrays, Slice, WorkerDemand
from solvers.packing.nodes import IntArray

PLENTY = 1_000_000


def cluster(
    *free_milli: Sequence[int],
    cpu: Sequence[int] | None = None,
    memory: Sequence[int] | None = None,
    domain: Sequence[int] | None = None,
) -> NodeArrays:
    """Build nodes from what is free on their slots; all else is plenty unless named."""
    size, slots = len(free_milli), max(map(len, free_milli))
    free = np.full((size, slots), -1, np.int64)
    for row, node in enumerate(free_milli):
        free[row, : len(node)] = node
    return NodeArrays(
        free_milli=free,
        cpu_free_milli=np.array(cpu or [PLENTY] * size, np.int64),
        memory_free_mib=np.array(memory or [PLENTY] * size, np.int64),
        storage_free_mbps=np.full(size, PLENTY, np.int64),
        network_free_mbps=np.full(size, PLENTY, np.int64),
        domain=np.array(domain or range(size), np.int64),
        usable=np.ones(size, np.bool_),
    )


def whole(devices: int, **amounts: int) -> WorkerDemand:
    return WorkerDemand(devices, 1_000, **amounts)


def part(milli: int, **amounts: int) -> WorkerDemand:
    return WorkerDemand(1, milli, **amounts)


def every_row(nodes: NodeArrays) -> IntArray:
    return np.arange(len(nodes.usable))


def where(slices: Sequence[Slice]) -> dict[int, int]:
    """Return workers by node."""
    return {piece.node: piece.workers for piece in slices}


def amounts_of(nodes: NodeArrays) -> list[list[int]]:
    """Return every amount that packing may change, for comparison."""
    arrays = (
        nodes.free_milli,
        nodes.cpu_free_milli,
        nodes.memory_free_mib,
        nodes.storage_free_mbps,
        nodes.network_free_mbps,
    )
    return [array.ravel().tolist() for array in arrays]


def is_whole_and_apart(slices: Sequence[Slice], demand: WorkerDemand, workers: int) -> bool:
    """Whether all workers are there, each with its devices, on nodes and slots named once."""
    nodes = [piece.node for piece in slices]
    return (
        sum(piece.workers for piece in slices) == workers
        and nodes == sorted(set(nodes))
        and all(len(p.slots) == p.workers * demand.devices for p in slices)
        and all(list(p.slots) == sorted(set(p.slots)) for p in slices)
    )


def no_amount_is_negative(nodes: NodeArrays, before: NodeArrays) -> bool:
    """Whether nothing that was there has been given out twice."""
    there = before.free_milli >= 0
    return bool((nodes.free_milli[there] >= 0).all()) and all(
        min(amounts, default=0) >= 0 for amounts in amounts_of(nodes)[1:]
    )


slots = st.lists(st.sampled_from([0, 250, 400, 600, 1_000, 1_000]), min_size=1, max_size=4)


@st.composite
def clusters(draw: st.DrawFn, most: int = 6) -> NodeArrays:
    nodes = draw(st.lists(slots, min_size=1, max_size=most))
    size = len(nodes)
    few = st.integers(0, 12)
    return cluster(
        *nodes,
        cpu=draw(st.lists(few, min_size=size, max_size=size)),
        memory=draw(st.lists(few, min_size=size, max_size=size)),
        domain=draw(st.lists(st.integers(0, 2), min_size=size, max_size=size)),
    )


demands = st.one_of(
    st.builds(part, st.sampled_from([200, 300, 500, 700]), cpu_milli=st.integers(0, 4)),
    st.builds(whole, st.integers(1, 3), cpu_milli=st.integers(0, 4), memory_mib=st.integers(0, 4)),
    st.builds(whole, st.just(0), cpu_milli=st.integers(1, 6)),
)
