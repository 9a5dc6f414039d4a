# SPDX-License-Identifier: Apache-2.0
"""The ground that one plan is laid out on.

Scratch copies of what is free, changed as the plan grows.
"""

from dataclasses import dataclass

import numpy as np

from engine.phases import Phase
from engine.planning.eligibility import eligible_rows, host_asked
from engine.planning.view import BoolArray
from engine.snapshot import DEVICE_MILLI, Snapshot
from engine.tables import IntArray
from schemas.decisions import Slice
from schemas.ids import JobId
from schemas.kinds import Span
from solvers import packing

_SUSPENDING, _STOPPING = int(Phase.SUSPENDING), int(Phase.STOPPING)


@dataclass(slots=True)
class _Rooms:
    """What fits of one kind: workers per node row (-1 where it may not go), per group, at most.

    As of the first `seen` changes.
    """

    room: IntArray
    fits: IntArray
    most: int
    seen: int


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
        self._rooms: dict[int, _Rooms] = {}
        self._changed: list[int] = []
        """Rows of nodes on which something changed, in the order in which it did."""
        self._observed: packing.MixProfile | None = None
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
        """Return how many workers of a kind fit into what is free now, per group.

        Costs what changed since the last call for the kind.
        """
        rooms = self._rooms.get(kind)
        if rooms is None:
            rooms = self._rooms[kind] = self._all_rooms(kind)
        elif rooms.seen < len(self._changed):
            self._refresh(kind, rooms)
        return rooms.fits

    def _all_rooms(self, kind: int) -> _Rooms:
        rows, group = self.rows(kind), self.group_of(kind)
        room = np.full(len(self._groups), -1, np.int64)
        room[rows] = packing.workers_per_node(self.nodes, rows, self._demand(kind))
        size = int(group.max()) + 1 if len(group) else 0
        fits = np.bincount(group[rows], weights=room[rows], minlength=size).astype(np.int64)
        return _Rooms(room, fits, int(fits.max(initial=0)), len(self._changed))

    def _refresh(self, kind: int, rooms: _Rooms) -> None:
        changed = np.unique(np.array(self._changed[rooms.seen :], np.int64))
        changed = changed[rooms.room[changed] >= 0]
        now = packing.workers_per_node(self.nodes, changed, self._demand(kind))
        np.add.at(rooms.fits, self.group_of(kind)[changed], now - rooms.room[changed])
        rooms.room[changed] = now
        rooms.most = int(rooms.fits.max(initial=0))
        rooms.seen = len(self._changed)

    def most(self, kind: int) -> int:
        """Return how many workers of a kind fit into the roomiest group now."""
        self.fits(kind)
        return self._rooms[kind].most

    def pack(self, kind: int, group: int, workers: int) -> tuple[packing.Slice, ...] | None:
        """Return where a gang goes inside a group, or None where it does not fit.

        Changes nothing.
        """
        rows = self.rows(kind)
        inside = rows[self.group_of(kind)[rows] == group]
        placed = packing.place_gang(self.nodes, inside, self._demand(kind), workers)
        return placed.slices or None

    def pack_worker(
        self, kind: int, open_groups: BoolArray | None
    ) -> tuple[packing.Slice, ...] | None:
        """Return where a single worker spoils least for others, or None where it fits nowhere.

        In the groups that are open to it, None for all. Changes nothing. Only where devices are
        shared: see `shared`.
        """
        rows = self.rows(kind)
        if open_groups is not None:
            rows = rows[open_groups[self.group_of(kind)[rows]]]
        placed = packing.place_gang(self.nodes, rows, self._demand(kind), 1, self._mix())
        return placed.slices or None

    @property
    def shared(self) -> bool:
        """Whether any job of the cut takes a part of a device."""
        return bool((self._snapshot.column("worker_milli") % DEVICE_MILLI).any())

    def _mix(self) -> packing.MixProfile:
        """Return what the fleet is asked for: all that runs and waits in the cut."""
        if self._observed is None:
            counts = np.bincount(self._snapshot.column("kind"))
            kinds = np.flatnonzero(counts).tolist()
            demands = ((self._demand(kind), int(counts[kind])) for kind in kinds)
            self._observed = packing.mix_profile(demands, self.nodes.free_milli.shape[1])
        return self._observed

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
        asked = host_asked(self._snapshot.kinds[kind].worker)
        for piece in slices:
            self._host_now[piece.node] -= piece.workers * asked
            self._changed.append(piece.node)
        names = self._fleet.names
        return tuple(Slice(names[s.node], s.slots, s.milli, s.workers) for s in slices)

    def awaited(self, kind: int, slices: tuple[packing.Slice, ...]) -> tuple[JobId, ...]:
        """Return the jobs whose release a gang would wait for on these devices, sorted.

        Who gives up one of its slots; and, on a node whose host has too little left without them,
        everybody who gives up anything there.
        """
        found: dict[JobId, None] = {}
        asked = host_asked(self._snapshot.kinds[kind].worker)
        for piece in slices:
            leaving = self._releasing.get(piece.node)
            if not leaving:
                continue
            wanted = set(piece.slots)
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
            self._changed.append(row)
