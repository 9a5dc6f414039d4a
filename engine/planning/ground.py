# SPDX-License-Identifier: Apache-2.0
"""The ground that one plan is laid out on.

Scratch copies of what is free, changed as the plan grows.
"""

import numpy as np

from engine.phases import Phase
from engine.planning.eligibility import eligible_rows
from engine.snapshot import Snapshot
from engine.tables import IntArray
from schemas.decisions import Slice
from schemas.ids import JobId
from schemas.kinds import Span
from solvers import packing

_SUSPENDING, _STOPPING = int(Phase.SUSPENDING), int(Phase.STOPPING)


class Ground:
    """Free devices and host capacity while a plan is made. Mutable, lives for one plan."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Copy what is free in the cut."""
        fleet = snapshot.fleet
        self._snapshot = snapshot
        self._fleet = fleet
        cpu, memory, storage, network = np.ascontiguousarray(snapshot.host.T)
        self.nodes = packing.NodeArrays(
            free_milli=snapshot.milli.copy(),
            cpu_free_milli=cpu,
            memory_free_mib=memory,
            storage_free_mbps=storage,
            network_free_mbps=network,
            domain=fleet.domain,
            usable=fleet.usable == 1,
        )
        self._groups = np.arange(len(fleet.names))
        self._rows: dict[int, IntArray] = {}
        self._fits: dict[int, IntArray] = {}
        self._most: dict[int, int] = {}
        self._releasing: dict[int, list[tuple[JobId, tuple[int, ...]]]] = {}
        """Node row to who gives up which slots there, in this plan or before it."""
        self._host_now = snapshot.host.copy()
        """What is free on each node's host without any release, int64[N, 4]."""
        self._count_releasing()

    def _count_releasing(self) -> None:
        """Count what is being released as free, to be waited for, unless it is claimed."""
        phase, kinds = self._snapshot.column("phase"), self._snapshot.column("kind")
        releasing = (phase == _SUSPENDING) | (phase == _STOPPING)
        for index in np.flatnonzero(releasing).tolist():
            detail = self._snapshot.details[index]
            self.give_back(int(kinds[index]), detail.id, detail.slices)

    def rows(self, kind: int) -> IntArray:
        """Return the rows of nodes that a kind may use."""
        found = self._rows.get(kind)
        if found is None:
            found = self._rows[kind] = eligible_rows(self._snapshot, kind)
        return found

    def group_of(self, kind: int) -> IntArray:
        """Return, per node row, the group (pool, domain, node) that a gang of the kind stays in."""
        span = self._snapshot.kinds[kind].constraints.span
        if span is Span.CLUSTER:
            return self._fleet.pool
        return self._fleet.domain if span is Span.DOMAIN else self._groups

    def fits(self, kind: int) -> IntArray:
        """Return how many workers of a kind fit into what is free now, per group."""
        found = self._fits.get(kind)
        if found is None:
            rows, group = self.rows(kind), self.group_of(kind)
            workers = packing.workers_per_node(self.nodes, rows, self._demand(kind))
            size = int(group.max()) + 1 if len(group) else 0
            found = np.bincount(group[rows], weights=workers, minlength=size).astype(np.int64)
            self._fits[kind] = found
        return found

    def most(self, kind: int) -> int:
        """Return how many workers of a kind fit into the roomiest group now."""
        found = self._most.get(kind)
        if found is None:
            found = self._most[kind] = int(self.fits(kind).max(initial=0))
        return found

    def pack(self, kind: int, group: int, workers: int) -> tuple[packing.Slice, ...] | None:
        """Return where a gang goes inside a group, or None where it does not fit.

        Changes nothing.
        """
        rows = self.rows(kind)
        inside = rows[self.group_of(kind)[rows] == group]
        placed = packing.place_gang(self.nodes, inside, self._demand(kind), workers)
        return placed.slices or None

    def _demand(self, kind: int) -> packing.WorkerDemand:
        worker = self._snapshot.kinds[kind].worker
        return packing.WorkerDemand(
            devices=worker.devices,
            device_milli=worker.device_milli,
            cpu_milli=worker.cpu_milli,
            memory_mib=worker.memory_mib,
            storage_mbps=worker.storage_mbps,
            network_mbps=worker.network_mbps,
        )

    def take(self, kind: int, slices: tuple[packing.Slice, ...]) -> tuple[Slice, ...]:
        """Take a gang's devices and return them as the ledger names them."""
        packing.commit(self.nodes, slices, self._demand(kind))
        worker = self._snapshot.kinds[kind].worker
        for piece in slices:
            self._host_now[piece.node] -= piece.workers * np.array(
                [worker.cpu_milli, worker.memory_mib, worker.storage_mbps, worker.network_mbps]
            )
        self._fits.clear()
        self._most.clear()
        names = self._fleet.names
        return tuple(Slice(names[s.node], s.slots, s.milli, s.workers) for s in slices)

    def awaited(self, kind: int, slices: tuple[packing.Slice, ...]) -> tuple[JobId, ...]:
        """Return the jobs whose release a gang would wait for on these devices, sorted.

        Who gives up one of its slots; and, on a node whose host has too little left without them,
        everybody who gives up anything there.
        """
        found: dict[JobId, None] = {}
        worker = self._snapshot.kinds[kind].worker
        for piece in slices:
            leaving = self._releasing.get(piece.node)
            if not leaving:
                continue
            wanted = set(piece.slots)
            asked = np.array(
                [worker.cpu_milli, worker.memory_mib, worker.storage_mbps, worker.network_mbps]
            )
            short = bool((self._host_now[piece.node] < asked * piece.workers).any())
            for job, slots in leaving:
                if short or not wanted.isdisjoint(slots):
                    found[job] = None
        return tuple(sorted(found))

    def give_back(self, kind: int, job: JobId, slices: tuple[Slice, ...]) -> None:
        """Count devices that a job will release as free, to be waited for."""
        self._move(kind, slices, 1)
        for piece in slices:
            row = self._fleet.rows[piece.node]
            self._releasing.setdefault(row, []).append((job, piece.slots))

    def take_back(self, kind: int, job: JobId, slices: tuple[Slice, ...]) -> None:
        """Undo `give_back`."""
        self._move(kind, slices, -1)
        for piece in slices:
            self._releasing[self._fleet.rows[piece.node]].remove((job, piece.slots))

    def _move(self, kind: int, slices: tuple[Slice, ...], sign: int) -> None:
        worker, nodes = self._snapshot.kinds[kind].worker, self.nodes
        for piece in slices:
            row = self._fleet.rows[piece.node]
            for slot in piece.slots:
                nodes.free_milli[row, slot] += sign * piece.milli
            nodes.cpu_free_milli[row] += sign * piece.workers * worker.cpu_milli
            nodes.memory_free_mib[row] += sign * piece.workers * worker.memory_mib
            nodes.storage_free_mbps[row] += sign * piece.workers * worker.storage_mbps
            nodes.network_free_mbps[row] += sign * piece.workers * worker.network_mbps
        self._fits.clear()
        self._most.clear()
