# SPDX-License-Identifier: Apache-2.0
"""Folding along: the newest sound snapshot, then the ledger's tail.

What a standby does while it waits and a new leader does before it decides are the same thing, so a
warm standby has nearly nothing left to do when it takes over.
"""

from engine.digest import Digest
from engine.evolve import advance
from engine.planning import plan
from engine.snapshot import cut
from engine.state import State
from engine.stored import StoredStateError, restore
from engine.wakeup import anything_to_plan
from schemas.codec import decode_record
from schemas.ledger import CHUNK, LedgerReader, SnapshotStore
from streams.build import fingerprint
from streams.live.collecting import not_collecting


class Follower:
    """A state that follows a ledger, and the state's digest. Mutable."""

    def __init__(self, snapshots: SnapshotStore | None = None) -> None:
        """Begin at the newest snapshot that this build understands, or at zero."""
        with not_collecting():
            self.state = State() if snapshots is None else _restored(snapshots)
        self.digest = Digest()
        self.began = self.state.head

    def follow(self, ledger: LedgerReader, head: int, most: int | None = None) -> int:
        """Fold up to a head that was read, or up to `most` records; return how many there were."""
        state, before = self.state, self.state.head
        end = head if most is None else min(head, before + most)
        while state.head < end:
            for data in ledger.read(state.head, min(CHUNK, end - state.head)):
                advance(state, decode_record(data))
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


def _restored(snapshots: SnapshotStore) -> State:
    """Return the newest state that can be restored; a fold from zero gives the same."""
    position: int | None = None
    while (found := snapshots.latest(position)) is not None:
        try:
            return restore(found.data)
        except StoredStateError:  # of another version of this build: an older one may do
            position = found.position - 1
    return State()
