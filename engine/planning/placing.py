# SPDX-License-Identifier: Apache-2.0
"""Between global solves.

Each waiting job in turn goes where there is room, or where the cheapest moves make room.
"""

import numpy as np

from engine.planning import costs
from engine.planning.covers import Covers
from engine.planning.draft import Draft, Moves
from engine.planning.leaving import leaving
from engine.planning.order import in_order
from engine.planning.view import BoolArray, Rank
from schemas.kinds import Tier

_ANYWHERE = -1
"""For the index of a pool: any."""


class Placing:
    """What is decided on a draft, step by step."""

    def __init__(self, draft: Draft) -> None:
        """Start with nothing decided."""
        self.draft = draft
        self._snapshot = snapshot = draft.snapshot
        self._view = draft.view
        self._covers = Covers(draft)
        moves = snapshot.policy.moves
        self._least = snapshot.column("workers_min" if moves else "workers_max")
        """Fewest workers a gang starts with.

        Without moves it could never grow, so it starts whole.
        """
        ran_ms = snapshot.now_ms - snapshot.column("phase_since_ms")
        self._rested: BoolArray = ran_ms >= snapshot.policy.min_run_ms
        """Who has run for the policy's shortest time, bool[J]."""
        self._gives_way: BoolArray = (
            self._rested & (self._view.reservation < 0) & (snapshot.column("tier") == Tier.BASIC)
        )
        """Who may be moved for others than a reservation's owner, bool[J]."""
        self._shared = draft.ground.shared
        self._in_vain: dict[tuple[int, ...], int] = {}

    # --- who may not stay -----------------------------------------------------------------------

    def stop_cancelled(self) -> None:
        """Stop every cancelled gang that still holds devices."""
        if not self._snapshot.stopping:
            return
        index = {detail.id: i for i, detail in enumerate(self._snapshot.details)}
        for job in self._snapshot.stopping:
            self.draft.stop(index[job])

    def move_off(self) -> None:
        """Send work from where it may not stay to where there is room, or to wait."""
        gone: list[int] = leaving(self._snapshot, self._view).tolist()
        for job in gone:
            self.draft.move_away(job, 0, self._snapshot.details[job].id)

    # --- who waits ------------------------------------------------------------------------------

    def place_waiting(self) -> None:
        """Go through the waiting jobs in order and place those that can be."""
        view, snapshot = self._view, self._snapshot
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
        return tried == len(self.draft.actions) or not self.draft.limits.allows(job)

    def give_up(self, job: int, pool: int = _ANYWHERE) -> None:
        """Note that a job could not be placed: nothing changes that until there is an action."""
        self._in_vain[self._likes(job, pool)] = len(self.draft.actions)

    def _likes(self, job: int, pool: int) -> tuple[int, ...]:
        """Return all that decides whether a waiting job can be placed: alike jobs fare alike."""
        view, columns = self._view, self._snapshot.column
        limited = int(columns("team")[job]) if self.draft.limits.any else -1
        return (
            self.draft.kind(job),
            int(self._least[job]),
            int(columns("workers_max")[job]),
            int(view.rank[job]),
            int(view.weight[job]),
            int(view.reservation[job]),
            limited,
            pool,
        )

    def _could_displace(self) -> BoolArray:
        """Return who may make room for itself, bool[J]."""
        return (self._view.rank <= Rank.FRESH) & self._snapshot.policy.moves

    def _could_fit(self) -> BoolArray:
        """Return whose gang some group has room for before the plan, bool[J].

        Without moves, room only shrinks.
        """
        kinds = self._snapshot.column("kind")
        most = np.zeros(len(self._snapshot.kinds), np.int64)
        for kind in np.unique(kinds[self._view.waiting]).tolist():
            most[kind] = self.draft.ground.most(kind)
        return self._least <= most[kinds]

    def _fit(self, job: int) -> bool:
        """Place a job into what is free.

        The tightest group that takes all of it, else the roomiest that takes its minimum.
        """
        draft, least = self.draft, int(self._least[job])
        if draft.ground.most(draft.kind(job)) < least:
            return False
        most = draft.most(job)
        if self._shared and most == 1:
            return self._fit_worker(job)
        fits = draft.open_fits(job)
        enough = np.flatnonzero(fits >= most)
        for group in enough[np.argsort(fits[enough], kind="stable")].tolist():
            if draft.launch(job, group, most):
                return True
        group = int(np.argmax(fits))
        workers = min(most, int(fits[group]))
        return workers >= least and draft.launch(job, group, workers)

    def _fit_worker(self, job: int) -> bool:
        """Place a single worker where it spoils least for work to come."""
        ground, kind = self.draft.ground, self.draft.kind(job)
        scope = self.draft.limits.scope(job, ground.group_of(kind))
        packed = ground.pack_worker(kind, scope)
        if packed is None:
            return False
        self.draft.launch_on(job, 1, packed)
        return True

    # --- who makes room -------------------------------------------------------------------------

    def _displace(self, job: int) -> bool:
        """Make room for a job by the cheapest moves, where that is worth it.

        Return whether it was placed.
        """
        ground, kind = self.draft.ground, self.draft.kind(job)
        fits = self.draft.open_fits(job)
        victims = self._victims(job)
        if not len(fits) or not victims.any():
            return False
        worker_milli = int(self._snapshot.column("worker_milli")[job])
        least = int(self._least[job])
        worth = (
            None
            if self._view.rank[job] == Rank.RESERVED
            else costs.gain(self._snapshot, self._view, job)
        )
        offers: list[tuple[int, int, Moves]] = []
        group_of = ground.group_of(kind)
        for group in range(len(fits)):
            if not (group_of[ground.rows(kind)] == group).any():
                continue
            short = least - int(fits[group])
            cover = self._covers.cheapest(victims, group, group_of, short * worker_milli)
            if cover is not None and (worth is None or cover[0] < worth):
                offers.append((cover[0], group, cover[1]))
        return any(
            self.draft.make_room(job, group, moves, least) for _, group, moves in sorted(offers)
        )

    def _victims(self, job: int) -> BoolArray:
        """Return who may be moved for a job's sake."""
        view, draft = self._view, self.draft
        if view.rank[job] == Rank.RESERVED:
            movable = draft.movable | (view.starting & ~draft.moved)
            return movable & (view.reservation < 0)
        cheaper = view.weight < view.weight[job]
        victims: BoolArray = draft.movable & self._gives_way & cheaper
        return victims

    # --- towards a global allocation ------------------------------------------------------------

    def launch_in(self, job: int, pool: int, surplus: BoolArray) -> bool:
        """Launch a waiting job in a pool, making room only by jobs of `surplus`, bool[J].

        Return whether it was placed.
        """
        draft, kind = self.draft, self.draft.kind(job)
        group_of = draft.ground.group_of(kind)
        if group_of is not self._snapshot.fleet.pool:
            return self._fit(job)
        least, most = int(self._least[job]), draft.most(job)
        room = int(draft.ground.fits(kind)[pool])
        if room >= least:
            return draft.launch(job, pool, min(room, most))
        victims = surplus & draft.movable & self._rested & (self._view.reservation < 0)
        short_milli = (least - room) * int(self._snapshot.column("worker_milli")[job])
        cover = self._covers.cheapest(victims, pool, group_of, short_milli)
        worth = costs.gain(self._snapshot, self._view, job)
        if cover is None or cover[0] >= worth:
            return False
        return draft.make_room(job, pool, cover[1], least)

    # --- what is left over ----------------------------------------------------------------------

    def expand(self) -> None:
        """Let elastic gangs grow into what is left, in the order of submission."""
        if not self._snapshot.policy.moves:
            return
        draft, columns = self.draft, self._snapshot.column
        wants = draft.movable & self._rested & (columns("workers") < columns("workers_max"))
        for job in np.flatnonzero(wants).tolist():
            group = draft.group_at(job)
            room = int(draft.ground.fits(draft.kind(job))[group])
            room = min(room, draft.limits.room_milli(job) // int(columns("worker_milli")[job]))
            more = min(room, int(columns("workers_max")[job] - columns("workers")[job]))
            if more > 0:
                draft.grow(job, group, more)
