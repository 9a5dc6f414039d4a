# SPDX-License-Identifier: Apache-2.0
"""The cheapest moves that free so much in a group: who shrinks, who goes."""

import numpy as np

from engine.planning import costs
from engine.planning.draft import Draft, Moves
from engine.planning.view import BoolArray
from engine.snapshot import DEVICE_MILLI
from engine.tables import IntArray
from solvers.reclaim import cheapest_cover


class Covers:
    """Prices moves on a draft."""

    def __init__(self, draft: Draft) -> None:
        """Price none yet."""
        self._draft = draft
        self._pool = draft.snapshot.column("pool")
        self._stop_cost: IntArray | None = None

    def cheapest(
        self, victims: BoolArray, group: int, group_of: IntArray, short_milli: int
    ) -> tuple[int, Moves] | None:
        """Return cost and moves of the cheapest way to free so much; None where there is none.

        `victims`, bool[J], may be moved; `group_of`, int64[N], is the grouping that `group` is of.
        """
        snapshot, view, movable = self._draft.snapshot, self._draft.view, self._draft.movable
        columns = snapshot.column
        rows, held = self._standing(victims, group, group_of)
        if self._stop_cost is None:
            self._stop_cost = costs.stop_cost(snapshot, view)
        per_milli, worker_milli = self._stop_cost[rows], columns("worker_milli")[rows]
        least, workers = columns("workers_min")[rows], columns("workers")[rows]
        horizon = snapshot.policy.fresh_device_ms
        spare = np.maximum(workers - least, 0) * worker_milli
        spare = np.where(movable[rows], spare, 0)  # who only starts cannot shrink yet
        spare = np.where(held == view.held[rows], spare, 0)  # a part elsewhere frees nothing here
        job = np.repeat(rows, 2)
        keeps = np.stack((least, np.zeros_like(least)), axis=1).ravel()
        freed = np.stack((spare, held), axis=1).ravel()
        cost = np.stack(
            (view.weight[rows] * spare * horizon, per_milli * view.held[rows]), axis=1
        ).ravel()
        offered = freed > 0
        job, keeps, freed, cost = job[offered], keeps[offered], freed[offered], cost[offered]
        unit = DEVICE_MILLI if not (freed % DEVICE_MILLI).any() else 1
        need = -(-short_milli // unit)
        cover = cheapest_cover(job, freed // unit, cost, need)
        if cover is None:
            return None
        return cover.cost, tuple((int(job[o]), int(keeps[o])) for o in cover.options)

    def _standing(
        self, victims: BoolArray, group: int, group_of: IntArray
    ) -> tuple[IntArray, IntArray]:
        """Return the victims that stand in a group, and the milli-devices that each holds there."""
        snapshot = self._draft.snapshot
        fleet = snapshot.fleet
        if group_of is fleet.pool:
            rows = np.flatnonzero(victims & (self._pool == group))
            return rows, self._draft.view.held[rows]
        found: list[tuple[int, int]] = []
        for job in np.flatnonzero(victims).tolist():
            held = sum(
                len(piece.slots) * piece.milli
                for piece in snapshot.details[job].slices
                if group_of[fleet.rows[piece.node]] == group
            )
            if held:
                found.append((job, held))
        pairs = np.array(found, np.int64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]
