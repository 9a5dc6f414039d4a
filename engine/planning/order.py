# SPDX-License-Identifier: Apache-2.0
"""In which order waiting jobs are looked at."""

import numpy as np

from engine.planning.view import View
from engine.snapshot import Snapshot
from engine.tables import IntArray

_SHARE_SCALE = 1_000
"""Shares are compared in thousandths of a milli-device per unit of weight: whole numbers."""


def in_order(snapshot: Snapshot, view: View, waiting: IntArray) -> IntArray:
    """Return the waiting jobs, int64, best first.

    By rank; by what running them is worth; then weighted max-min fair between teams, by filling up
    (Bertsekas and Gallager, *Data Networks*, section 6.5): whose team would have least per unit of
    its share weight, counting those of its own that come before. Inside a team by priority, then
    least work done, then first come.
    """
    own = np.lexsort(
        (
            snapshot.column("position")[waiting],
            view.work[waiting],
            -snapshot.column("priority")[waiting],
            -view.weight[waiting],
            view.rank[waiting],
        )
    )
    waiting = waiting[own]
    keys = (_filled(snapshot, view, waiting), -view.weight[waiting], view.rank[waiting])
    return waiting[np.lexsort(keys)]


def _filled(snapshot: Snapshot, view: View, waiting: IntArray) -> IntArray:
    """Return, per waiting job in its team's order, its team's level once the job runs, int64."""
    team, level = snapshot.column("team"), np.zeros(len(waiting), np.int64)
    used = np.bincount(team, weights=view.held, minlength=len(snapshot.teams)).astype(np.int64)
    need = view.need_min[waiting]
    for index in np.unique(team[waiting]).tolist():
        mine = np.flatnonzero(team[waiting] == index)
        filled = used[index] + np.cumsum(need[mine])
        level[mine] = filled * _SHARE_SCALE // _share_weight(snapshot, index)
    return level


def _share_weight(snapshot: Snapshot, team: int) -> int:
    """Return a team's share weight times its tenant's; 1 for a team that is gone."""
    spec = snapshot.team_specs.get(snapshot.teams[team])
    if spec is None:
        return 1
    tenant = snapshot.tenant_weights.get(spec.tenant, 1)
    return max(spec.share_weight * tenant, 1)
