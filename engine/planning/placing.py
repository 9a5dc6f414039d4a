# SPDX-License-Identifier: Apache-2.0
"""Between global solves.

Each waiting job in turn goes where there is room, or where the cheapest moves make room.
"""

import numpy as np

from engine.planning import costs
from engine.planning.aftermath import Aftermath
from engine.planning.ground import Ground
from engine.planning.leaving import leaving
from engine.planning.limits import Limits
from engine.planning.order import in_order
from engine.planning.view import BoolArray, Rank, View
from engine.slices import merged, shrunk
from engine.snapshot import DEVICE_MILLI, Snapshot
from engine.tables import IntArray
from schemas.decisions import (
    Action,
    LaunchOrdered,
    MigrateOrdered,
    ResizeOrdered,
    Slice,
    StopOrdered,
    SuspendOrdered,
)
from schemas.ids import JobId
from schemas.kinds import Tier
from solvers import packing
from solvers.reclaim import cheapest_cover

_ANYWHERE = -1
"""For the index of a pool: any."""

_Moves = tuple[tuple[int, int], ...]
"""Who moves, and how many workers it keeps: 0 to leave altogether."""


class Placing:
    """One plan in the making: what is still free, what was decided. Mutable, lives for one plan."""

    def __init__(self, snapshot: Snapshot, view: View) -> None:
        """Start with nothing decided."""
        self.snapshot = snapshot
        self.view = view
        self.ground = Ground(snapshot)
        self.limits = Limits(snapshot, view)
        self.actions: list[Action] = []
        self.running = view.held.copy()
        """Milli-devices each job makes use of once the plan is carried out, int64[J]."""
        self._kind = snapshot.column("kind")
        self._pool = snapshot.column("pool")
        self._movable = view.movable.copy()
        self._moved = np.zeros(len(self._movable), np.bool_)
        moves = snapshot.policy.moves
        self._least = snapshot.column("workers_min" if moves else "workers_max")
        """Fewest workers a gang starts with.

        Without moves it could never grow, so it starts whole.
        """
        self._shared = self.ground.shared
        ran_ms = snapshot.now_ms - snapshot.column("phase_since_ms")
        self._rested: BoolArray = ran_ms >= snapshot.policy.min_run_ms
        """Who has run for the policy's shortest time, bool[J]."""
        self._gives_way: BoolArray = (
            self._rested & (view.reservation < 0) & (snapshot.column("tier") == Tier.BASIC)
        )
        """Who may be moved for others than a reservation's owner, bool[J]."""
        self._stop_cost: IntArray | None = None
        self._where = self._pool.copy()
        """In which pool each job is once the plan is carried out, int64[J], or -1."""
        self._in_vain: dict[tuple[int, ...], int] = {}
        self._placed = np.zeros(len(self._movable), np.bool_)
        """Who starts somewhere, or goes elsewhere, by this plan."""

    # --- what is over ---------------------------------------------------------------------------

    def stop_cancelled(self) -> None:
        """Stop every cancelled gang that still holds devices."""
        if not self.snapshot.stopping:
            return
        index = {detail.id: i for i, detail in enumerate(self.snapshot.details)}
        for job in self.snapshot.stopping:
            i = index[job]
            detail = self.snapshot.details[i]
            self.actions.append(StopOrdered(job, detail.attempt))
            self.ground.give_back(int(self._kind[i]), job, detail.slices)
            self._movable[i] = False
            self._moved[i] = True
            self.running[i] = 0

    # --- who may not stay -----------------------------------------------------------------------

    def move_off(self) -> None:
        """Send work from where it may not stay to where there is room, or to wait."""
        gone: list[int] = leaving(self.snapshot, self.view).tolist()
        for job in gone:
            self._move_away(job, 0, self.snapshot.details[job].id)

    # --- who waits ------------------------------------------------------------------------------

    def place_waiting(self) -> None:
        """Go through the waiting jobs in order and place those that can be."""
        view, snapshot = self.view, self.snapshot
        waiting = np.flatnonzero(view.waiting & (self._could_fit() | self._could_displace()))
        order = in_order(snapshot, view, waiting)
        displaces = self._could_displace()
        for job in order[: snapshot.policy.queue_limit].tolist():
            if self.is_hopeless(job):
                continue
            if not self._fit(job) and not (displaces[job] and self._displace(job)):
                self.give_up(job)

    def is_hopeless(self, job: int, pool: int = _ANYWHERE) -> bool:
        """Whether limits forbid a waiting job, or one like it was given up and nothing changed."""
        tried = self._in_vain.get(self._likes(job, pool))
        return tried == len(self.actions) or not self.limits.allows(job)

    def give_up(self, job: int, pool: int = _ANYWHERE) -> None:
        """Note that a job could not be placed: nothing changes that until there is an action."""
        self._in_vain[self._likes(job, pool)] = len(self.actions)

    def _likes(self, job: int, pool: int) -> tuple[int, ...]:
        """Return all that decides whether a waiting job can be placed: alike jobs fare alike."""
        view = self.view
        limited = int(self.snapshot.column("team")[job]) if self.limits.any else -1
        return (
            int(self._kind[job]),
            int(self._least[job]),
            int(self.snapshot.column("workers_max")[job]),
            int(view.rank[job]),
            int(view.weight[job]),
            int(view.reservation[job]),
            limited,
            pool,
        )

    def _could_displace(self) -> BoolArray:
        """Return who may make room for itself, bool[J]."""
        return (self.view.rank <= Rank.FRESH) & self.snapshot.policy.moves

    def _could_fit(self) -> BoolArray:
        """Return whose gang some group has room for before the plan, bool[J].

        Without moves, room only shrinks.
        """
        most = np.zeros(len(self.snapshot.kinds), np.int64)
        for kind in np.unique(self._kind[self.view.waiting]).tolist():
            most[kind] = self.ground.most(kind)
        return self._least <= most[self._kind]

    def _fit(self, job: int) -> bool:
        """Place a job into what is free.

        The tightest group that takes all of it, else the roomiest that takes its minimum.
        """
        kind, least = int(self._kind[job]), int(self._least[job])
        if self.ground.most(kind) < least:
            return False
        most = self._most(job)
        if self._shared and most == 1:
            return self._fit_worker(job, kind)
        fits = self._open_fits(job)
        enough = np.flatnonzero(fits >= most)
        for group in enough[np.argsort(fits[enough], kind="stable")].tolist():
            if self._launch(job, kind, group, most):
                return True
        group = int(np.argmax(fits))
        workers = min(most, int(fits[group]))
        return workers >= least and self._launch(job, kind, group, workers)

    def _fit_worker(self, job: int, kind: int) -> bool:
        """Place a single worker where it spoils least for work to come."""
        scope = self.limits.scope(job, self.ground.group_of(kind))
        packed = self.ground.pack_worker(kind, scope)
        if packed is None:
            return False
        self._take(job, kind, 1, packed)
        return True

    def _most(self, job: int) -> int:
        """Return the most workers a waiting job may start with, limits considered."""
        most = int(self.snapshot.column("workers_max")[job])
        worker_milli = int(self.snapshot.column("worker_milli")[job])
        if not self.limits.any or not worker_milli:
            return most
        return min(most, self.limits.room_milli(job) // worker_milli)

    def _open_fits(self, job: int) -> IntArray:
        """Return how many of the job's workers fit per group, inside its reservation's scope."""
        fits = self.ground.fits(int(self._kind[job]))
        scope = self.limits.scope(job, self.ground.group_of(int(self._kind[job])))
        return fits if scope is None else np.where(scope[: len(fits)], fits, 0)

    def _launch(self, job: int, kind: int, group: int, workers: int) -> bool:
        packed = self.ground.pack(kind, group, workers)
        if packed is None:
            return False
        self._take(job, kind, workers, packed)
        return True

    def _take(self, job: int, kind: int, workers: int, packed: tuple[packing.Slice, ...]) -> None:
        """Order a launch on devices that were found for it."""
        detail = self.snapshot.details[job]
        waits = self.ground.awaited(kind, packed)
        slices = self.ground.take(kind, packed)
        resume = bool(self.snapshot.column("first_started_ms")[job] > 0)
        self.actions.append(
            LaunchOrdered(detail.id, detail.attempt + 1, workers, slices, waits, resume)
        )
        self.running[job] = workers * int(self.snapshot.column("worker_milli")[job])
        self._settle_in(job, packed[0].node)
        self.limits.count(job, int(self.running[job]))

    # --- who makes room -------------------------------------------------------------------------

    def _displace(self, job: int) -> bool:
        """Make room for a job by the cheapest moves, where that is worth it.

        Return whether it was placed.
        """
        fits = self._open_fits(job)
        victims = self._victims(job)
        if not len(fits) or not victims.any():
            return False
        worker_milli = int(self.snapshot.column("worker_milli")[job])
        least = int(self._least[job])
        worth = (
            None
            if self.view.rank[job] == Rank.RESERVED
            else costs.gain(self.snapshot, self.view, job)
        )
        offers: list[tuple[int, int, _Moves]] = []
        group_of = self.ground.group_of(int(self._kind[job]))
        for group in range(len(fits)):
            if not (group_of[self.ground.rows(int(self._kind[job]))] == group).any():
                continue
            short = least - int(fits[group])
            cover = self._cover(victims, group, group_of, short * worker_milli)
            if cover is not None and (worth is None or cover[0] < worth):
                offers.append((cover[0], group, cover[1]))
        return any(self._make_room(job, group, moves, least) for _, group, moves in sorted(offers))

    def _victims(self, job: int) -> BoolArray:
        """Return who may be moved for a job's sake."""
        view = self.view
        if view.rank[job] == Rank.RESERVED:
            movable = self._movable | (view.starting & ~self._moved)
            return movable & (view.reservation < 0)
        cheaper = view.weight < view.weight[job]
        victims: BoolArray = self._movable & self._gives_way & cheaper
        return victims

    def _standing(
        self, victims: BoolArray, group: int, group_of: IntArray
    ) -> tuple[IntArray, IntArray]:
        """Return the victims that stand in a group, and the milli-devices that each holds there."""
        fleet = self.snapshot.fleet
        if group_of is fleet.pool:
            rows = np.flatnonzero(victims & (self._pool == group))
            return rows, self.view.held[rows]
        found: list[tuple[int, int]] = []
        for job in np.flatnonzero(victims).tolist():
            held = sum(
                len(piece.slots) * piece.milli
                for piece in self.snapshot.details[job].slices
                if group_of[fleet.rows[piece.node]] == group
            )
            if held:
                found.append((job, held))
        pairs = np.array(found, np.int64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def _cover(
        self, victims: BoolArray, group: int, group_of: IntArray, short_milli: int
    ) -> tuple[int, _Moves] | None:
        """Return cost and moves, (job, workers kept), of the cheapest way to free so much."""
        columns, view = self.snapshot.column, self.view
        rows, held = self._standing(victims, group, group_of)
        if self._stop_cost is None:
            self._stop_cost = costs.stop_cost(self.snapshot, view)
        per_milli, worker_milli = self._stop_cost[rows], columns("worker_milli")[rows]
        least, workers = columns("workers_min")[rows], columns("workers")[rows]
        horizon = self.snapshot.policy.fresh_device_ms
        spare = np.maximum(workers - least, 0) * worker_milli
        spare = np.where(self._movable[rows], spare, 0)  # who only starts cannot shrink yet
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

    def _make_room(self, job: int, group: int, moves: _Moves, least: int) -> bool:
        """Carry out moves on the ground and launch the job there.

        Undo them where it does not fit after all.
        """
        given: list[tuple[int, tuple[Slice, ...]]] = []
        for victim, keeps in moves:
            detail = self.snapshot.details[victim]
            gone = self._shrunk(victim, keeps)[1] if keeps else detail.slices
            self.ground.give_back(int(self._kind[victim]), detail.id, gone)
            given.append((victim, gone))
        kind = int(self._kind[job])
        before = len(self.actions)
        workers = min(self._most(job), int(self.ground.fits(kind)[group]))
        if workers < least or not self._launch(job, kind, group, workers):
            for victim, gone in given:
                leaver = self.snapshot.details[victim].id
                self.ground.take_back(int(self._kind[victim]), leaver, gone)
            return False
        launch = self.actions.pop()
        gains = self.snapshot.details[job].id
        for victim, keeps in moves:
            self._move_away(victim, keeps, gains)
        self.actions.append(launch)
        return len(self.actions) > before

    def _move_away(self, victim: int, keeps: int, gains: JobId) -> None:
        """Order a victim to shrink, to go elsewhere where there is room, or to wait."""
        self._movable[victim] = False
        self._moved[victim] = True
        if keeps:
            self._shrink(victim, keeps, gains)
            return
        if not self._migrate(victim, gains):
            self._suspend(victim, gains)

    def _suspend(self, victim: int, gains: JobId) -> None:
        detail = self.snapshot.details[victim]
        self.actions.append(SuspendOrdered(detail.id, detail.attempt, gains))
        self.running[victim] = 0
        self.limits.count(victim, -int(self.view.held[victim]))

    def _shrunk(self, victim: int, keeps: int) -> tuple[tuple[Slice, ...], tuple[Slice, ...]]:
        detail = self.snapshot.details[victim]
        return shrunk(detail.slices, detail.spec.worker.devices, keeps)

    def _shrink(self, victim: int, keeps: int, gains: JobId) -> None:
        detail = self.snapshot.details[victim]
        kept = self._shrunk(victim, keeps)[0]
        self.actions.append(
            ResizeOrdered(detail.id, detail.attempt, detail.resize_number + 1, keeps, kept, gains)
        )
        self.running[victim] = keeps * int(self.snapshot.column("worker_milli")[victim])
        self.limits.count(victim, int(self.running[victim] - self.view.held[victim]))

    def _migrate(self, victim: int, gains: JobId) -> bool:
        """Send a victim to a group that has room for all its workers now.

        To another than its own, unless it leaves for its own sake. Return whether there is one.
        """
        kind = int(self._kind[victim])
        workers = int(self.snapshot.column("workers")[victim])
        fits = self._open_fits(victim)
        first = self.snapshot.details[victim].slices[0].node
        here = int(self.ground.group_of(kind)[self.snapshot.fleet.rows[first]])
        roomy = np.flatnonzero(fits >= workers)
        for group in roomy[np.argsort(fits[roomy], kind="stable")].tolist():
            if group == here and gains != self.snapshot.details[victim].id:
                continue
            packed = self.ground.pack(kind, group, workers)
            if packed is None:
                continue
            detail = self.snapshot.details[victim]
            waits = self.ground.awaited(kind, packed)
            slices = self.ground.take(kind, packed)
            self.actions.append(
                MigrateOrdered(detail.id, detail.attempt, workers, slices, waits, gains)
            )
            self._settle_in(victim, packed[0].node)
            return True
        return False

    # --- towards a global allocation ------------------------------------------------------------

    def after(self) -> Aftermath:
        """Return where everybody is once the plan so far is carried out."""
        kept = (self._pool >= 0) & (self.running > 0) & ~self._placed
        return Aftermath(self.running.copy(), self._where.copy(), kept.astype(np.int64))

    def _settle_in(self, job: int, row: int) -> None:
        self._where[job] = self.snapshot.fleet.pool[row]
        self._placed[job] = True

    def launch_in(self, job: int, pool: int, surplus: BoolArray) -> bool:
        """Launch a waiting job in a pool, making room only by jobs of `surplus`, bool[J].

        Return whether it was placed.
        """
        kind, columns = int(self._kind[job]), self.snapshot.column
        group_of = self.ground.group_of(kind)
        if group_of is not self.snapshot.fleet.pool:
            return self._fit(job)
        least, most = int(self._least[job]), self._most(job)
        room = int(self.ground.fits(kind)[pool])
        if room >= least:
            return self._launch(job, kind, pool, min(room, most))
        victims = surplus & self._movable & self._rested & (self.view.reservation < 0)
        short_milli = (least - room) * int(columns("worker_milli")[job])
        cover = self._cover(victims, pool, group_of, short_milli)
        worth = costs.gain(self.snapshot, self.view, job)
        if cover is None or cover[0] >= worth:
            return False
        return self._make_room(job, pool, cover[1], least)

    # --- what is left over ----------------------------------------------------------------------

    def expand(self) -> None:
        """Let elastic gangs grow into what is left, in the order of submission."""
        if not self.snapshot.policy.moves:
            return
        snapshot, columns = self.snapshot, self.snapshot.column
        wants = self._movable & self._rested & (columns("workers") < columns("workers_max"))
        for job in np.flatnonzero(wants).tolist():
            kind = int(self._kind[job])
            first = snapshot.details[job].slices[0].node
            group = int(self.ground.group_of(kind)[snapshot.fleet.rows[first]])
            room = int(self.ground.fits(kind)[group])
            room = min(room, self.limits.room_milli(job) // int(columns("worker_milli")[job]))
            more = min(room, int(columns("workers_max")[job] - columns("workers")[job]))
            if more <= 0:
                continue
            self._grow(job, kind, group, more)

    def _grow(self, job: int, kind: int, group: int, more: int) -> None:
        packed = self.ground.pack(kind, group, more)
        if packed is None or self.ground.awaited(kind, packed):
            return
        detail = self.snapshot.details[job]
        workers = int(self.snapshot.column("workers")[job]) + more
        slices = merged(detail.slices, self.ground.take(kind, packed))
        self.actions.append(
            ResizeOrdered(
                detail.id, detail.attempt, detail.resize_number + 1, workers, slices, detail.id
            )
        )
        self.running[job] = workers * int(self.snapshot.column("worker_milli")[job])
        self.limits.count(job, int(self.running[job] - self.view.held[job]))
