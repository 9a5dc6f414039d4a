# SPDX-License-Identifier: Apache-2.0
"""Where everybody is once a plan is carried out: what the plan's value is counted from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from engine.planning.view import View
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


@dataclass(frozen=True, slots=True)
class Aftermath:
    """Per job of a cut, once a plan is carried out, int64[J].

    `running`: milli-devices it makes use of; `pool`: in which pool, or -1; `kept`: 1 for who stays
    where it was.
    """

    running: IntArray
    pool: IntArray
    kept: IntArray


def aftermath(snapshot: Snapshot, view: View, actions: Sequence[Action]) -> Aftermath:
    """Return what becomes of the cut's jobs by these actions alone.

    The planner keeps the same account as it goes; a check works it out from the record.
    """
    index = {detail.id: row for row, detail in enumerate(snapshot.details)}
    running, pool = view.held.copy(), snapshot.column("pool").copy()
    moved: list[int] = []
    worker_milli = snapshot.column("worker_milli")
    for action in actions:
        row = index[action.job]
        match action:
            case LaunchOrdered() | MigrateOrdered():
                running[row] = action.workers * worker_milli[row]
                pool[row] = _pool_of(snapshot, action.slices)
                moved.append(row)
            case SuspendOrdered() | StopOrdered():
                running[row] = 0
            case ResizeOrdered():
                running[row] = action.workers * worker_milli[row]
            case _:
                assert_never(action)
    kept = (snapshot.column("pool") >= 0) & (running > 0)
    kept[moved] = False
    return Aftermath(running, pool, kept.astype("int64"))


def _pool_of(snapshot: Snapshot, slices: tuple[Slice, ...]) -> int:
    return int(snapshot.fleet.pool[snapshot.fleet.rows[slices[0].node]])
