# SPDX-License-Identifier: Apache-2.0
"""A plan in the making: what is still free, where everybody is, and what was ordered so far."""

import numpy as np

from engine.planning.aftermath import Aftermath
from engine.planning.ground import Ground
from engine.planning.limits import Limits
from engine.planning.view import BoolArray, View
from engine.slices import merged, shrunk
from engine.snapshot import Snapshot
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
from solvers import packing

Moves = tuple[tuple[int, int], ...]
"""Who moves, and how many workers it keeps: 0 to leave altogether."""


class Draft:
    """One plan's orders, and the ground and limits that they leave. Mutable, lives for one plan.

    An order that is given counts at once: what it takes is gone, what it frees is free.
    """

    def __init__(self, snapshot: Snapshot, view: View) -> None:
        """Start with nothing ordered."""
        self.snapshot = snapshot
        self.view = view
        self.ground = Ground(snapshot)
        self.limits = Limits(snapshot, view)
        self.actions: list[Action] = []
        self.running = view.held.copy()
        """Milli-devices each job makes use of once the plan is carried out, int64[J]."""
        self.movable = view.movable.copy()
        """Who may still be moved, bool[J]."""
        self.moved: BoolArray = np.zeros(len(self.movable), np.bool_)
        """Who is moved by this plan, or stopped, bool[J]."""
        self._kind = snapshot.column("kind")
        self._pool = snapshot.column("pool")
        self._where = self._pool.copy()
        """In which pool each job is once the plan is carried out, int64[J], or -1."""
        self._placed = np.zeros(len(self.movable), np.bool_)
        """Who starts somewhere, or goes elsewhere, by this plan."""

    def kind(self, job: int) -> int:
        """Return the kind of worker that a job consists of."""
        return int(self._kind[job])

    def after(self) -> Aftermath:
        """Return where everybody is once the plan so far is carried out."""
        kept = (self._pool >= 0) & (self.running > 0) & ~self._placed
        return Aftermath(self.running.copy(), self._where.copy(), kept.astype(np.int64))

    # --- what there is room for -----------------------------------------------------------------

    def most(self, job: int) -> int:
        """Return the most workers a waiting job may start with, limits considered."""
        most = int(self.snapshot.column("workers_max")[job])
        worker_milli = int(self.snapshot.column("worker_milli")[job])
        if not self.limits.any or not worker_milli:
            return most
        return min(most, self.limits.room_milli(job) // worker_milli)

    def open_fits(self, job: int) -> IntArray:
        """Return how many of the job's workers fit per group, inside its reservation's scope."""
        fits = self.ground.fits(self.kind(job))
        scope = self.limits.scope(job, self.ground.group_of(self.kind(job)))
        return fits if scope is None else np.where(scope[: len(fits)], fits, 0)

    def group_at(self, job: int) -> int:
        """Return the group in which a job that holds devices stands."""
        first = self.snapshot.details[job].slices[0].node
        return int(self.ground.group_of(self.kind(job))[self.snapshot.fleet.rows[first]])

    # --- to start, to grow, to stop -------------------------------------------------------------

    def launch(self, job: int, group: int, workers: int) -> bool:
        """Order a launch in a group. Return whether it has devices for that."""
        packed = self.ground.pack(self.kind(job), group, workers)
        if packed is None:
            return False
        self.launch_on(job, workers, packed)
        return True

    def launch_on(self, job: int, workers: int, packed: tuple[packing.Slice, ...]) -> None:
        """Order a launch on devices that were found for it."""
        detail = self.snapshot.details[job]
        slices, waits = self._claim(job, packed)
        resume = bool(self.snapshot.column("first_started_ms")[job] > 0)
        self.actions.append(
            LaunchOrdered(detail.id, detail.attempt + 1, workers, slices, waits, resume)
        )
        self.running[job] = workers * int(self.snapshot.column("worker_milli")[job])
        self.limits.count(job, int(self.running[job]))

    def grow(self, job: int, group: int, more: int) -> None:
        """Order a gang to grow by so many workers, where devices for them are free now."""
        kind = self.kind(job)
        packed = self.ground.pack(kind, group, more)
        if packed is None or self.ground.awaited(kind, packed):
            return
        detail = self.snapshot.details[job]
        workers = int(self.snapshot.column("workers")[job]) + more
        slices = merged(detail.slices, self.ground.take(kind, packed))
        self._resize(job, workers, slices, detail.id)

    def stop(self, job: int) -> None:
        """Order a gang to stop for good."""
        detail = self.snapshot.details[job]
        self.actions.append(StopOrdered(detail.id, detail.attempt))
        self.ground.give_back(self.kind(job), detail.id, detail.slices)
        self.movable[job] = False
        self.moved[job] = True
        self.running[job] = 0

    # --- to make room ---------------------------------------------------------------------------

    def make_room(self, job: int, group: int, moves: Moves, least: int) -> bool:
        """Carry out moves on the ground and launch the job there.

        Undo them where it does not fit after all. Return whether it is launched.
        """
        given: list[tuple[int, tuple[Slice, ...]]] = []
        for victim, keeps in moves:
            detail = self.snapshot.details[victim]
            gone = self._shrunk(victim, keeps)[1] if keeps else detail.slices
            self.ground.give_back(self.kind(victim), detail.id, gone)
            given.append((victim, gone))
        workers = min(self.most(job), int(self.ground.fits(self.kind(job))[group]))
        if workers < least or not self.launch(job, group, workers):
            for victim, gone in given:
                leaver = self.snapshot.details[victim].id
                self.ground.take_back(self.kind(victim), leaver, gone)
            return False
        launch = self.actions.pop()
        gains = self.snapshot.details[job].id
        for victim, keeps in moves:
            self.move_away(victim, keeps, gains)
        self.actions.append(launch)
        return True

    def move_away(self, victim: int, keeps: int, gains: JobId) -> None:
        """Order a victim to shrink, to go elsewhere where there is room, or to wait."""
        self.movable[victim] = False
        self.moved[victim] = True
        if keeps:
            self._resize(victim, keeps, self._shrunk(victim, keeps)[0], gains)
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

    def _migrate(self, victim: int, gains: JobId) -> bool:
        """Send a victim to a group that has room for all its workers now.

        To another than its own, unless it leaves for its own sake. Return whether there is one.
        """
        kind, here = self.kind(victim), self.group_at(victim)
        workers = int(self.snapshot.column("workers")[victim])
        fits = self.open_fits(victim)
        roomy = np.flatnonzero(fits >= workers)
        for group in roomy[np.argsort(fits[roomy], kind="stable")].tolist():
            if group == here and gains != self.snapshot.details[victim].id:
                continue
            packed = self.ground.pack(kind, group, workers)
            if packed is None:
                continue
            detail = self.snapshot.details[victim]
            slices, waits = self._claim(victim, packed)
            self.actions.append(
                MigrateOrdered(detail.id, detail.attempt, workers, slices, waits, gains)
            )
            return True
        return False

    # --- what orders have in common -------------------------------------------------------------

    def _claim(
        self, job: int, packed: tuple[packing.Slice, ...]
    ) -> tuple[tuple[Slice, ...], tuple[JobId, ...]]:
        """Take devices for a job; return them, and for whom it waits on them."""
        waits = self.ground.awaited(self.kind(job), packed)
        slices = self.ground.take(self.kind(job), packed)
        self._where[job] = self.snapshot.fleet.pool[packed[0].node]
        self._placed[job] = True
        return slices, waits

    def _resize(self, job: int, workers: int, slices: tuple[Slice, ...], gains: JobId) -> None:
        """Order a gang to go on with so many workers on these slices."""
        detail = self.snapshot.details[job]
        self.actions.append(
            ResizeOrdered(
                detail.id, detail.attempt, detail.resize_number + 1, workers, slices, gains
            )
        )
        self.running[job] = workers * int(self.snapshot.column("worker_milli")[job])
        self.limits.count(job, int(self.running[job] - self.view.held[job]))
