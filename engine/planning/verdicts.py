# SPDX-License-Identifier: Apache-2.0
"""Why a job that waits was not placed: one reason, recorded when it changes."""

import numpy as np

from engine.planning.draft import Draft
from engine.planning.eligibility import exclusions, largest_gang
from engine.snapshot import DEVICE_MILLI
from engine.table_rows import REASON_CODE
from engine.tables import IntArray
from schemas.decisions import VerdictReached
from schemas.reasons import Reason

_REASONS = tuple(Reason)
_DISPLACED = REASON_CODE[Reason.DISPLACED.value]
_NEVER = REASON_CODE[Reason.NEVER_FITS.value]
_LIMITED = REASON_CODE[Reason.WAITING_FOR_TEAM_LIMIT.value]
_MANY = 2**20
"""More workers than any gang has."""


class Verdicts:
    """Judges the jobs that one plan left waiting. Lives for one plan."""

    def __init__(self, draft: Draft) -> None:
        """Remember what was free before the plan, per pool."""
        self._draft = draft
        self._snapshot = snapshot = draft.snapshot
        self._view = draft.view
        free = (snapshot.milli >= DEVICE_MILLI).sum(axis=1) * snapshot.fleet.usable
        self._free_before: IntArray = np.bincount(
            snapshot.fleet.pool, weights=free, minlength=len(snapshot.fleet.pools)
        ).astype(np.int64)

    def changed(self) -> tuple[VerdictReached, ...]:
        """Return the verdicts that differ from those on the ledger, in the order of submission.

        Jobs of one kind and size share a verdict, so it is worked out once for all of them.
        """
        left = np.flatnonzero(self._view.waiting & (self._draft.running == 0))
        column = self._snapshot.column
        kind, least = column("kind")[left], column("workers_min")[left]
        pairs, which = np.unique(kind * _MANY + least, return_inverse=True)
        codes = np.array([self._code(*divmod(int(pair), _MANY)) for pair in pairs], np.int64)
        now = column("reason")[left]
        new = codes[which.reshape(-1)] if len(pairs) else now
        displaced = (now == _DISPLACED) & (new != _NEVER)
        new = np.where(displaced, now, self._with_limits(left, new))
        return tuple(
            self._verdict(int(left[i]), _REASONS[int(new[i])]) for i in np.flatnonzero(new != now)
        )

    def _with_limits(self, left: IntArray, codes: IntArray) -> IntArray:
        limits = self._draft.limits
        if not limits.any:
            return codes
        allowed = np.array([limits.allows(job) for job in left.tolist()], np.bool_)
        return np.where(allowed | (codes == _NEVER), codes, _LIMITED)

    def _code(self, kind: int, least: int) -> int:
        """Return why jobs of a kind and size wait, as a code, limits aside."""
        if least > largest_gang(self._snapshot, kind):
            return _NEVER
        worker = self._snapshot.kinds[kind].worker
        need = least * worker.devices * worker.device_milli // DEVICE_MILLI
        if int(self._free_before.max(initial=0)) >= need > 0:
            return REASON_CODE[Reason.WAITING_BEHIND_OTHERS.value]
        if int(self._free_before.sum()) >= need > 0:
            return REASON_CODE[Reason.WAITING_FOR_CONTIGUITY.value]
        return REASON_CODE[Reason.WAITING_FOR_CAPACITY.value]

    def _verdict(self, job: int, reason: Reason) -> VerdictReached:
        kind = int(self._snapshot.column("kind")[job])
        return VerdictReached(
            self._snapshot.details[job].id,
            reason.value,
            -(-int(self._view.need_min[job]) // DEVICE_MILLI),
            int(self._free_before.sum()),
            exclusions(self._snapshot, kind) if reason is Reason.NEVER_FITS else (),
        )
