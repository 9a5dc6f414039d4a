# SPDX-License-Identifier: Apache-2.0
"""What the fleet is asked for, as tables from which the node potential is read.

Everything in them is worked out from the demands observed; three constants weigh the parts, and
`docs/packing.md` shows how little the result depends on them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from solvers.packing.nodes import DEVICE_MILLI, IntArray, WorkerDemand
from solvers.packing.share_prices import MICRO, worth_of_rest

_QUANTILES = 8
"""Ratios of CPU to device that stand for all that were observed, equally frequent."""
_SPREAD_PERCENT = 50
"""What fills a node is several workers together: the ratio of four spreads half as far as one's."""
_STRANDED_PERCENT = 250
"""A device that the node's CPU cannot feed weighs so much of one: it is not lost by chance, but to
all work of that ratio and above for as long as its neighbours run."""
_BLOCKED_PERCENT = 30
"""An idle device short of the number that work of several devices needs weighs so much of one,
times that work's part of the demand."""
_BROKEN_PERCENT = 10
"""Breaking into an idle device costs so much more than what shares lose of it."""

Tables = tuple[IntArray, IntArray, IntArray, IntArray]


@dataclass(frozen=True, slots=True, eq=False)
class MixProfile:
    """The parts of the node potential for one mix of demands, in millionths of a device.

    `rest` int64[1001]: of a used device with so many thousandths left (less is better: minus what
    shares can still make of it). `idle` int64[D + 1]: of so many idle devices on one node.
    `cpu_per_device` int64[Q], thousandths of a core, with the weight of each in thousandths.
    """

    rest: IntArray
    idle: IntArray
    cpu_per_device: IntArray
    weight: IntArray

    def tables(self) -> Tables:
        """Return the arrays as the kernels take them."""
        return self.rest, self.idle, self.cpu_per_device, self.weight


def mix_profile(observed: Iterable[tuple[WorkerDemand, int]], slots: int) -> MixProfile:
    """Return the profile of demands and how often each was observed, for nodes of so many slots.

    Work that takes no device has no part in it: it goes where it strands least.
    """
    some = sorted(((d, n) for d, n in observed if d.devices and n > 0), key=_amounts)
    shares = [(demand.device_milli, count) for demand, count in some if demand.shared]
    sizes = sorted({size for size, _ in shares})
    counts = [sum(n for size, n in shares if size == each) for each in sizes]
    worth = worth_of_rest(np.array(sizes, np.int64), np.array(counts, np.int64))
    ratios = _quantiles(some)
    return MixProfile(
        rest=-worth,
        idle=_idle(some, slots),
        cpu_per_device=ratios,
        weight=np.full(len(ratios), 10 * _STRANDED_PERCENT // _QUANTILES, np.int64),
    )


def _amounts(item: tuple[WorkerDemand, int]) -> tuple[int, ...]:
    return (*item[0].amounts(), item[1])


def _idle(observed: list[tuple[WorkerDemand, int]], slots: int) -> IntArray:
    """Return the part of idle devices: worth more than their rest, less where they are too few."""
    idle = -np.arange(slots + 1, dtype=np.int64) * (MICRO + _BROKEN_PERCENT * MICRO // 100)
    total = sum(demand.total_milli * count for demand, count in observed)
    for demand, count in observed:
        if demand.devices > 1:
            short = np.arange(slots + 1, dtype=np.int64) % demand.devices
            part = demand.total_milli * count * MICRO // total
            idle += short * part * _BLOCKED_PERCENT // 100
    return idle


def _quantiles(observed: list[tuple[WorkerDemand, int]]) -> IntArray:
    """Return ratios of CPU to device, each of which stands for an equal part of the devices."""
    ratios = sorted(
        (demand.cpu_milli * DEVICE_MILLI // demand.total_milli, demand.total_milli * count)
        for demand, count in observed
    )
    total = sum(milli for _, milli in ratios)
    if not total:
        return np.zeros(0, np.int64)
    mean = sum(ratio * milli for ratio, milli in ratios) // total
    found: list[int] = []
    reached = 0
    for ratio, milli in ratios:
        reached += milli
        while (2 * len(found) + 1) * total <= 2 * _QUANTILES * reached and len(found) < _QUANTILES:
            found.append(mean + (ratio - mean) * _SPREAD_PERCENT // 100)
    return np.array([ratio for ratio in found if ratio > 0], np.int64)
