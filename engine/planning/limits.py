# SPDX-License-Identifier: Apache-2.0
"""Limits beside the devices: a team's most, a reservation's scope, what may be lent."""

import numpy as np

from engine.planning.view import BoolArray, View, scope_of
from engine.snapshot import DEVICE_MILLI, Snapshot
from engine.tables import IntArray

_UNLIMITED = 2**60


class Limits:
    """What each team uses while a plan is made. Mutable, lives for one plan."""

    def __init__(self, snapshot: Snapshot, view: View) -> None:
        """Count what is used in the cut."""
        self._snapshot = snapshot
        self._view = view
        self._team = snapshot.column("team")
        self._most = [
            (snapshot.team_specs[team].limit_devices if team in snapshot.team_specs else 0)
            * DEVICE_MILLI
            for team in snapshot.teams
        ]
        self._unlent = self._unreserved_milli()
        self.any = any(self._most) or self._unlent is not None
        """Whether there is any limit beside the devices themselves."""
        self._used = np.bincount(
            self._team, weights=view.held, minlength=len(snapshot.teams)
        ).astype(np.int64)
        self._scopes = [scope_of(snapshot, r) for r in snapshot.reservations]
        self._outside = int(view.held[view.reservation < 0].sum())

    def _unreserved_milli(self) -> int | None:
        """Return the milli-devices outside reservations, or None where idle ones are lent."""
        if self._snapshot.policy.lends:
            return None
        reserved = sum(r.devices for r in self._snapshot.reservations)
        return (int(self._snapshot.fleet.slots.sum()) - reserved) * DEVICE_MILLI

    def allows(self, job: int) -> bool:
        """Whether the job's minimum stays inside its team's limit and what may be lent."""
        return not self.any or self.room_milli(job) >= int(self._view.need_min[job])

    def room_milli(self, job: int) -> int:
        """Return how many more milli-devices limits let a job use."""
        room = _UNLIMITED
        if not self.any:
            return room
        team = int(self._team[job])
        if self._most[team]:
            room = self._most[team] - int(self._used[team])
        if self._unlent is not None and self._view.reservation[job] < 0:
            room = min(room, self._unlent - self._outside)
        return max(room, 0)

    def count(self, job: int, milli: int) -> None:
        """Count a change of what a job uses."""
        self._used[self._team[job]] += milli
        if self._view.reservation[job] < 0:
            self._outside += milli

    def scope(self, job: int, group_of: IntArray) -> BoolArray | None:
        """Return the groups in which a reserved job counts as reserved, or None for all."""
        index = int(self._view.reservation[job])
        if index < 0 or self._scopes[index].all():
            return None
        pools = self._scopes[index]
        if group_of is self._snapshot.fleet.pool:
            return pools
        open_groups = np.zeros(int(group_of.max()) + 1, np.bool_)
        open_groups[group_of[pools[self._snapshot.fleet.pool]]] = True
        return open_groups
