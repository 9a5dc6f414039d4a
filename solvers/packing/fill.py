# SPDX-License-Identifier: Apache-2.0
"""How far a fleet fills under a policy: the experiment of Weng et al. (USENIX ATC 2023).

Pods arrive one after the other, each is placed at once or fails, nothing departs. A pure function
of arrays; whoever calls it draws the arrivals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from msgspec import Struct

from solvers.packing import potential
from solvers.packing.fgd import typical_pods
from solvers.packing.mix import MixProfile, mix_profile
from solvers.packing.nodes import DEVICE_MILLI, BoolArray, IntArray, NodeArrays, WorkerDemand


class FillPolicy(IntEnum):
    """How the node and the device of a pod are chosen among those that fit."""

    NODE_POTENTIAL = potential.NODE_POTENTIAL
    """Where the node potential of the observed mix rises least; ties to the first."""
    FGD = potential.FGD
    """Where the published fragmentation falls most; ties by the caller's draw."""
    BEST_FIT = potential.BEST_FIT
    """Where least of the node is left, share of devices and of CPU added; ties to the first."""
    RANDOM = potential.RANDOM
    """Anywhere, by the caller's draw."""


class PodKind(IntEnum):
    """What a pod takes of devices."""

    CPU_ONLY = 0
    PART_OF_ONE = 1
    ONE = 2
    SEVERAL = 3


class Machine(Struct, frozen=True):
    """A node that nothing runs on; all its devices are of one model."""

    devices: int
    model: str
    cpu_milli: int
    memory_mib: int


class Pod(Struct, frozen=True):
    """What one pod asks for; any model does where none is named."""

    demand: WorkerDemand
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class FillProblem:
    """A fleet, and what arrives at it. Its arrays are not changed.

    `model` is int64[N], an index of K device models. T shapes of pods: `asked` int64[T, 4] holds
    devices, thousandths of each, CPU in thousandths of a core, memory in MiB; `allowed` is bool[T,
    K]; `counts` int64[T] says how often each was observed, all that a policy may know ahead. A
    arrivals: `arrivals` int64[A] are shapes in order, `draws` int64[A] not negative, for ties.
    """

    nodes: NodeArrays
    model: IntArray
    asked: IntArray
    allowed: BoolArray
    counts: IntArray
    arrivals: IntArray
    draws: IntArray

    def demand_milli(self) -> IntArray:
        """Return the device thousandths that each arrival asks for, int64[A]."""
        demand: IntArray = (self.asked[:, 0] * self.asked[:, 1])[self.arrivals]
        return demand

    def kinds(self) -> IntArray:
        """Return the `PodKind` of each arrival, int64[A]."""
        devices, milli = self.asked[:, 0], self.asked[:, 1]
        one = np.where(milli < DEVICE_MILLI, PodKind.PART_OF_ONE, PodKind.ONE)
        several = np.where(devices > 1, PodKind.SEVERAL, one)
        kind: IntArray = np.where(devices == 0, PodKind.CPU_ONLY, several)[self.arrivals]
        return kind

    def mix(self) -> MixProfile:
        """Return the profile of what was observed."""
        observed = (
            (WorkerDemand(devices, milli, cpu_milli, memory_mib), count)
            for (devices, milli, cpu_milli, memory_mib), count in zip(
                self.asked.tolist(), self.counts.tolist(), strict=True
            )
        )
        return mix_profile(observed, self.nodes.free_milli.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class FillResult:
    """Where each arrival of a problem went: its node, int64[A], -1 where none took it."""

    problem: FillProblem
    node: IntArray

    def unallocated_percent(self, arrived_percent: int) -> float:
        """Return the share of all devices still free when that much demand has arrived."""
        demand = self.problem.demand_milli()
        capacity = int(np.maximum(self.problem.nodes.free_milli, 0).sum())
        reached = np.cumsum(demand) * 100
        end = int(np.searchsorted(reached, capacity * arrived_percent)) + 1
        placed = int(demand[:end][self.node[:end] >= 0].sum())
        return 100 - 100 * placed / capacity

    def allocated_by_model(self) -> IntArray:
        """Return the device thousandths allocated in the end per model, int64[K]."""
        models = self.problem.allowed.shape[1]
        allocated = np.zeros(models, np.int64)
        placed = self.node >= 0
        at = self.problem.model[self.node[placed]]
        np.add.at(allocated, at, self.problem.demand_milli()[placed])
        return allocated

    def placed_by_kind(self) -> IntArray:
        """Return how many arrived and how many were placed per `PodKind`, int64[4, 2]."""
        kinds = self.problem.kinds()
        arrived = np.bincount(kinds, minlength=len(PodKind))
        placed = np.bincount(kinds[self.node >= 0], minlength=len(PodKind))
        return np.stack([arrived, placed], axis=1)


def fill_problem(
    machines: Sequence[Machine], pods: Sequence[Pod], arrivals: Sequence[int], draws: Sequence[int]
) -> FillProblem:
    """Return the problem of `pods` arriving by their indices, with one draw for each arrival.

    Models are numbered in the order of their names, shapes in the order of their first pods.
    """
    models = sorted({machine.model for machine in machines})
    shapes = {pod: at for at, pod in enumerate(dict.fromkeys(pods))}
    shape = np.array([shapes[pod] for pod in pods], np.int64)
    return FillProblem(
        nodes=_empty(machines),
        model=np.array([models.index(machine.model) for machine in machines], np.int64),
        asked=np.array([pod.demand.amounts()[:4] for pod in shapes], np.int64),
        allowed=np.array([[not p.models or m in p.models for m in models] for p in shapes]),
        counts=np.bincount(shape, minlength=len(shapes)),
        arrivals=shape[np.array(arrivals, np.int64)],
        draws=np.array(draws, np.int64),
    )


def _empty(machines: Sequence[Machine]) -> NodeArrays:
    size = len(machines)
    free = np.full((size, max(machine.devices for machine in machines)), -1, np.int64)
    for row, machine in enumerate(machines):
        free[row, : machine.devices] = DEVICE_MILLI
    return NodeArrays(
        free_milli=free,
        cpu_free_milli=np.array([machine.cpu_milli for machine in machines], np.int64),
        memory_free_mib=np.array([machine.memory_mib for machine in machines], np.int64),
        storage_free_mbps=np.zeros(size, np.int64),
        network_free_mbps=np.zeros(size, np.int64),
        domain=np.zeros(size, np.int64),
        usable=np.ones(size, np.bool_),
    )


def fill(problem: FillProblem, policy: FillPolicy) -> FillResult:
    """Return where each pod goes when all arrive in order."""
    nodes = problem.nodes
    node = potential.fill_in_order(
        (nodes.free_milli.copy(), nodes.cpu_free_milli.copy(), nodes.memory_free_mib.copy()),
        problem.model,
        problem.asked,
        problem.allowed,
        problem.arrivals,
        problem.draws,
        int(policy),
        problem.mix().tables(),
        typical_pods(problem.asked, problem.allowed, problem.counts),
    )
    return FillResult(problem, node)
