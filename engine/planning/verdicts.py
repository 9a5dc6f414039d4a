# SPDX-License-Identifier: Apache-2.0
"""Why a job that waits was not placed: one reason, recorded when it changes."""

import numpy as np

from engine.planning.eligibility import exclusions, largest_gang
from engine.planning.placing import Placing
from engine.planning.view import View
from engine.snapshot import DEVICE_MILLI, Snapshot
from engine.tables import IntArray
from schemas.decisions import VerdictReached
from schemas.reasons import Reason


class Verdicts:
    """Judges the jobs that one plan left waiting. Lives for one plan."""

    def __init__(self, snapshot: Snapshot, view: View, placing: Placing) -> None:
        """Remember what was free before the plan, per kind."""
        self._snapshot = snapshot
        self._view = view
        self._placing = placing
        self._largest: dict[int, int] = {}
        free = (snapshot.milli >= DEVICE_MILLI).sum(axis=1) * snapshot.fleet.usable
        self._free_before: IntArray = np.bincount(
            snapshot.fleet.pool, weights=free, minlength=len(snapshot.fleet.pools)
        ).astype(np.int64)

    def changed(self) -> tuple[VerdictReached, ...]:
        """Return the verdicts that differ from those on the ledger, in the order of submission."""
        left = self._view.waiting & (self._placing.running == 0)
        found = []
        for job in np.flatnonzero(left).tolist():
            reason = self._reason(job)
            detail = self._snapshot.details[job]
            if reason.value != detail.reason:
                found.append(self._verdict(job, reason))
        return tuple(found)

    def _reason(self, job: int) -> Reason:
        column = self._snapshot.column
        kind, least = int(column("kind")[job]), int(column("workers_min")[job])
        largest = self._largest.get(kind)
        if largest is None:
            largest = self._largest[kind] = largest_gang(self._snapshot, kind)
        if least > largest:
            return Reason.NEVER_FITS
        if not self._placing.limits.allows(job):
            return Reason.WAITING_FOR_TEAM_LIMIT
        if self._snapshot.details[job].reason == Reason.DISPLACED:
            return Reason.DISPLACED
        need = int(self._view.need_min[job]) // DEVICE_MILLI
        if int(self._free_before.max(initial=0)) >= need > 0:
            return Reason.WAITING_BEHIND_OTHERS
        if int(self._free_before.sum()) >= need > 0:
            return Reason.WAITING_FOR_CONTIGUITY
        return Reason.WAITING_FOR_CAPACITY

    def _verdict(self, job: int, reason: Reason) -> VerdictReached:
        kind = int(self._snapshot.column("kind")[job])
        return VerdictReached(
            self._snapshot.details[job].id,
            reason.value,
            -(-int(self._view.need_min[job]) // DEVICE_MILLI),
            int(self._free_before.sum()),
            exclusions(self._snapshot, kind) if reason is Reason.NEVER_FITS else (),
        )
