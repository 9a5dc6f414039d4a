# SPDX-License-Identifier: Apache-2.0
"""From the global allocation to moves.

Who should run where it does not, and who stands there instead.
"""

import numpy as np

from engine.planning.certificate import Posed
from engine.planning.draft import Draft
from engine.planning.placing import Placing
from engine.planning.view import BoolArray
from engine.tables import IntArray
from solvers import allocation


def reallocate(placing: Placing, posed: Posed, solved: allocation.Allocation) -> None:
    """Complete a plan towards a global allocation.

    Per class and pool the allocation says how many gangs run. Waiting jobs of classes that fall
    short are launched there, in the order of submission; room is made only by jobs of classes that
    stand in the pool beyond their number.
    """
    draft = placing.draft
    surplus = _surplus(draft, posed, solved.gangs)
    waiting = draft.view.waiting
    for job, pool in _shortfall(draft, posed, solved.gangs):
        if not waiting[job] or draft.running[job] or placing.is_hopeless(job, pool):
            continue
        if not placing.launch_in(job, pool, surplus):
            placing.give_up(job, pool)


def _running(draft: Draft, posed: Posed) -> IntArray:
    """Return the pool in which each member runs once the plan so far is carried out, or -1."""
    after = draft.after()
    return np.where(after.running[posed.members] > 0, after.pool[posed.members], -1)


def _surplus(draft: Draft, posed: Posed, gangs: IntArray) -> BoolArray:
    """Return which jobs stand in a pool beyond their class's number there, bool[J]."""
    left = gangs.copy()
    beyond = np.zeros(len(draft.running), np.bool_)
    where = _running(draft, posed)
    for member in np.flatnonzero(where >= 0).tolist():
        cell = posed.class_of[member], where[member]
        if left[cell] > 0:
            left[cell] -= 1
        else:
            beyond[posed.members[member]] = True
    return beyond


def _shortfall(draft: Draft, posed: Posed, gangs: IntArray) -> list[tuple[int, int]]:
    """Return (job, pool) for each gang that the allocation runs and the plan does not yet."""
    left = gangs.copy()
    where = _running(draft, posed)
    for member in np.flatnonzero(where >= 0).tolist():
        cell = posed.class_of[member], where[member]
        left[cell] = max(left[cell] - 1, 0)
    wanted: list[tuple[int, int]] = []
    for member in np.flatnonzero(where < 0).tolist():
        row = left[posed.class_of[member]]
        if row.any():
            pool = int(np.argmax(row))
            row[pool] -= 1
            wanted.append((int(posed.members[member]), pool))
    return wanted
