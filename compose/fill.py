# SPDX-License-Identifier: Apache-2.0
"""How full a fleet is once every arrival of a workload was placed or lost: the figures of openb.

The same count for whoever placed them: only where each job went is looked at.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256

from msgspec import Struct

from analytics.database import History
from analytics.query import ask
from schemas.fleet import Node, NodeDeclared
from schemas.ids import NodeName
from schemas.jobs import Job
from solvers.packing import (
    FillPolicy,
    FillProblem,
    Machine,
    Pod,
    WorkerDemand,
    fill,
    fill_problem,
)
from streams.traces.openb import Variant
from streams.traces.table import csv_rows
from streams.traces.workload import Workload

WHOLE_MILLI = 1_000
ARRIVED_PERCENTS = (100, 130)
"""Of the fleet's devices: how much has been asked for when it is counted what is left."""


class Placed(Struct, frozen=True):
    """How many jobs of one type arrived, and how many were placed."""

    arrived: int
    placed: int
    placed_percent: float


class Held(Struct, frozen=True):
    """How much of the devices of one model is allocated in the end."""

    devices: int
    allocated_devices: float
    allocated_percent: float


class Fill(Struct, frozen=True):
    """How full the fleet is under one policy.

    `unallocated_percent` is of all devices, when so much per cent of them has been asked for.
    """

    unallocated_percent: Mapping[int, float]
    by_type: Mapping[str, Placed]
    by_model: Mapping[str, Held]
    seconds: float


def job_type(job: Job) -> str:
    """Return what a job of one worker takes: nothing, part of a GPU, or so many whole ones."""
    worker = job.worker
    if not worker.devices:
        return "no GPU"
    return "share of a GPU" if worker.device_milli < WHOLE_MILLI else f"{worker.devices} GPU"


def fill_of_history(history: History, workload: Workload, seconds: float) -> Fill:
    """Return how full the fleet is at the end of a history of the workload."""
    found = ask(history, "SELECT job, any_value(node) FROM allocations GROUP BY job").rows
    node_of = {str(job): str(node) for job, node in found}
    return _count(workload, [node_of.get(a.job.id, "") for a in workload.arrivals], seconds)


def fill_of_policy(workload: Workload, seed: int, policy: FillPolicy) -> Fill:
    """Return how full the fleet gets when each job is placed by a policy, or lost, as it comes."""
    nodes = _nodes(workload)
    problem = _problem(workload, nodes, seed)
    started = time.perf_counter()
    rows: list[int] = fill(problem, policy).node.tolist()
    seconds = time.perf_counter() - started
    return _count(workload, [nodes[row].name if row >= 0 else "" for row in rows], seconds)


def published(variant: Variant) -> Mapping[str, Mapping[int, float]]:
    """Return the results published with the trace: per policy, unallocated per cent by arrived."""
    found: dict[str, dict[int, float]] = {}
    for row in csv_rows("openb/published.csv"):
        if row["variant"] == variant:
            by_arrived = found.setdefault(row["policy"], {})
            by_arrived[int(row["arrived_percent"])] = float(row["unallocated_percent"])
    return found


def _nodes(workload: Workload) -> list[Node]:
    return [event.node for event in workload.genesis if isinstance(event, NodeDeclared)]


def _problem(workload: Workload, nodes: Sequence[Node], seed: int) -> FillProblem:
    """Return the workload as the placing policies see it.

    The mix that they know ahead is that of the trace's own pods, each once: as published.
    """
    machines = [Machine(n.devices, n.sku, n.cpu_milli, n.memory_mib) for n in nodes]
    jobs = [arrival.job for arrival in workload.arrivals]
    pods = {_pod_name(job): _pod(job) for job in jobs}
    index = {name: at for at, name in enumerate(pods)}
    arrivals = [index[_pod_name(job)] for job in jobs]
    draws = [_draw(f"{seed}/tie/{number}") for number in range(len(jobs))]
    return fill_problem(machines, list(pods.values()), arrivals, draws)


def _pod_name(job: Job) -> str:
    """Return the name that the trace gives a pod; a clone has the same."""
    return job.name.partition("-")[2]


def _pod(job: Job) -> Pod:
    worker = job.worker
    demand = WorkerDemand(worker.devices, worker.device_milli, worker.cpu_milli, worker.memory_mib)
    return Pod(demand, tuple(job.constraints.skus))


def _draw(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:8]) >> 1


def _count(workload: Workload, went: Sequence[str], seconds: float) -> Fill:
    """Return the figures when the arrivals went to these nodes, an empty name being nowhere."""
    jobs = [arrival.job for arrival in workload.arrivals]
    return Fill(
        unallocated_percent=_unallocated(workload, jobs, went),
        by_type=_by_type(jobs, went),
        by_model=_by_model(workload, jobs, went),
        seconds=seconds,
    )


def _unallocated(workload: Workload, jobs: Sequence[Job], went: Sequence[str]) -> dict[int, float]:
    capacity = WHOLE_MILLI * sum(node.devices for node in _nodes(workload))
    arrived, allocated, found = 0, 0, dict[int, float]()
    for job, node in zip(jobs, went, strict=True):
        before, arrived = arrived, arrived + job.worker.devices * job.worker.device_milli
        if node:
            allocated += arrived - before
        for percent in ARRIVED_PERCENTS:
            if before * 100 < capacity * percent <= arrived * 100:
                found[percent] = 100 - 100 * allocated / capacity
    return found


def _by_type(jobs: Sequence[Job], went: Sequence[str]) -> dict[str, Placed]:
    arrived = Counter(map(job_type, jobs))
    placed = Counter(job_type(job) for job, node in zip(jobs, went, strict=True) if node)
    return {
        kind: Placed(arrived[kind], placed[kind], 100 * placed[kind] / arrived[kind])
        for kind in sorted(arrived, key=_by_size)
    }


def _by_size(kind: str) -> tuple[int, str]:
    return (int(kind.partition(" ")[0]) if kind[0].isdigit() else 0, kind)


def _by_model(workload: Workload, jobs: Sequence[Job], went: Sequence[str]) -> dict[str, Held]:
    nodes = {node.name: node for node in _nodes(workload)}
    devices, milli = Counter[str](), Counter[str]()
    for node in nodes.values():
        devices[node.sku] += node.devices
    for job, name in zip(jobs, went, strict=True):
        if name:
            milli[nodes[NodeName(name)].sku] += job.worker.devices * job.worker.device_milli
    return {
        model: Held(devices[model], milli[model] / WHOLE_MILLI, milli[model] / 10 / devices[model])
        for model in sorted(devices)
    }
