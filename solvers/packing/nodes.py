# SPDX-License-Identifier: Apache-2.0
"""Values of packing: what is free on nodes, what a worker asks for, where a gang goes."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

DEVICE_MILLI = 1000


@dataclass(frozen=True, slots=True)
class NodeArrays:
    """What is free on N nodes of at most D device slots.

    Scratch arrays of one solve, C-contiguous, changed by `commit` and `release`.

    `free_milli`: int64[N, D], thousandths of each slot, -1 where there is none. The rest int64[N]
    in the unit of their names; `domain` is a small index; `usable` is bool[N]: nothing goes on a
    node where it is false, whoever asks.
    """

    free_milli: IntArray
    cpu_free_milli: IntArray
    memory_free_mib: IntArray
    storage_free_mbps: IntArray
    network_free_mbps: IntArray
    domain: IntArray
    usable: BoolArray


class WorkerDemand(Struct, frozen=True):
    """What one worker needs.

    `device_milli` below 1000 only with one device, `devices` 0 for CPU-only work.
    """

    devices: int
    device_milli: int = DEVICE_MILLI
    cpu_milli: int = 0
    memory_mib: int = 0
    storage_mbps: int = 0
    network_mbps: int = 0

    @property
    def shared(self) -> bool:
        """Whether the worker takes a part of a device."""
        return self.devices == 1 and self.device_milli < DEVICE_MILLI

    @property
    def total_milli(self) -> int:
        """What the worker takes, in thousandths of a device."""
        return self.devices * self.device_milli

    def amounts(self) -> tuple[int, int, int, int, int, int]:
        """Return the fields in their order, as the kernels take them."""
        return (
            self.devices,
            self.device_milli,
            self.cpu_milli,
            self.memory_mib,
            self.storage_mbps,
            self.network_mbps,
        )


class Slice(Struct, frozen=True):
    """Workers of a gang on one node row, and `milli` of each device slot that they hold.

    Workers that share a device each hold a slot of their own; no slot is named twice.
    """

    node: int
    slots: tuple[int, ...]
    milli: int
    workers: int


class PackingReason(StrEnum):
    """Why packing ended."""

    PLACED = "placed"
    DOES_NOT_FIT = "does_not_fit"
    """Proven: no packing exists."""
    LIMIT_REACHED = "limit_reached"
    """Nothing found and nothing proven within the limit."""


class GangPlacement(Struct, frozen=True):
    """The slices of a whole gang by rising node, or none and why."""

    slices: tuple[Slice, ...]
    reason: PackingReason


def commit(nodes: NodeArrays, slices: tuple[Slice, ...], demand: WorkerDemand) -> None:
    """Take a gang's devices and host capacity out of what is free."""
    _move(nodes, slices, demand, -1)


def release(nodes: NodeArrays, slices: tuple[Slice, ...], demand: WorkerDemand) -> None:
    """Give a gang's devices and host capacity back: undoes `commit` exactly."""
    _move(nodes, slices, demand, 1)


def copied(nodes: NodeArrays) -> NodeArrays:
    """Return a copy to try things on: what is free is its own, what never changes is shared."""
    return NodeArrays(
        free_milli=nodes.free_milli.copy(),
        cpu_free_milli=nodes.cpu_free_milli.copy(),
        memory_free_mib=nodes.memory_free_mib.copy(),
        storage_free_mbps=nodes.storage_free_mbps.copy(),
        network_free_mbps=nodes.network_free_mbps.copy(),
        domain=nodes.domain,
        usable=nodes.usable,
    )


def _move(nodes: NodeArrays, slices: tuple[Slice, ...], demand: WorkerDemand, sign: int) -> None:
    for piece in slices:
        for slot in piece.slots:
            nodes.free_milli[piece.node, slot] += sign * piece.milli
        workers = sign * piece.workers
        nodes.cpu_free_milli[piece.node] += workers * demand.cpu_milli
        nodes.memory_free_mib[piece.node] += workers * demand.memory_mib
        if demand.storage_mbps or demand.network_mbps:
            nodes.storage_free_mbps[piece.node] += workers * demand.storage_mbps
            nodes.network_free_mbps[piece.node] += workers * demand.network_mbps
