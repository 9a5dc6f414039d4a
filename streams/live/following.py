# SPDX-License-Identifier: Apache-2.0
"""Folding along: the newest snapshot that is of the ledger, then the ledger's tail.

What a standby does while it waits and a new leader does before it decides are the same thing, so a
warm standby has nearly nothing left to do when it takes over.
"""

from contextlib import suppress

from engine.digest import Digest
from engine.evolve import advance
from engine.planning import plan
from engine.snapshot import cut
from engine.state import State
from engine.stored import StoredStateError, restore
from engine.wakeup import anything_to_plan
from schemas.codec import decode_record
from schemas.ledger import CHUNK, LedgerReader, SnapshotStore, sum_of
from streams.build import fingerprint
from streams.live.collecting import not_collecting


class Follower:
    """A state that follows a ledger, the last record in it, and the state's digest. Mutable."""

    def __init__(self, ledger: LedgerReader, snapshots: SnapshotStore | None = None) -> None:
        """Begin at the newest snapshot of the ledger that this build understands, or at zero."""
        self._ledger = ledger
        self.state, self.last = State(), b""
        if snapshots is not None:
            with not_collecting():
                self.state, self.last = _restored(ledger, snapshots)
        self.digest = Digest()
        self.began = self.state.head

    def follow(self, head: int, most: int | None = None) -> int:
        """Fold up to a head that was read, or up to `most` records; return how many there were."""
        state, before = self.state, self.state.head
        end = head if most is None else min(head, before + most)
        while state.head < end:
            records = self._ledger.read(state.head, min(CHUNK, end - state.head))
            for data in records:
                advance(state, decode_record(data))
            self.last = records[-1]
            # The writer told them in the transaction that made them due.
            state.directives.clear()
        return state.head - before

    def warm(self) -> None:
        """Hash what changed, so that a first cycle need not. Only at a valid cut."""
        if not self.state.open_cycle:
            self.digest.update(self.state)

    def rehearse(self) -> bool:
        """Plan on the state and forget the plan, so that all code is loaded when it counts.

        Returns whether there was anything to plan.
        """
        fingerprint()
        state = self.state
        if state.policy is None or state.open_cycle or not anything_to_plan(state, state.now_ms):
            return False
        plan(cut(state, state.now_ms))
        return True


def _restored(ledger: LedgerReader, snapshots: SnapshotStore) -> tuple[State, bytes]:
    """Return the newest state that can be restored, and the last record in it.

    A fold from zero gives the same.

    A store may hold states of another ledger: of one under this name before it was restored, or of
    an installation that keeps its snapshots in the same place.
    """
    position = ledger.head()
    while (found := snapshots.latest(position)) is not None:
        last = _record_before(ledger, found.position)
        if sum_of(last) == found.last_sum:
            with suppress(StoredStateError):  # of another version: an older one may do
                return restore(found.data), last
        position = found.position - 1
    return State(), b""


def _record_before(ledger: LedgerReader, position: int) -> bytes:
    """Return the record that ends at a position; no bytes at 0."""
    return ledger.read(position - 1, 1)[0] if position else b""
