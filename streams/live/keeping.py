# SPDX-License-Identifier: Apache-2.0
"""Snapshots of the leader's state: made between batches, written aside, announced, few kept."""

from concurrent.futures import Future, ThreadPoolExecutor

from engine.state import State
from engine.stored import store
from schemas.errors import WorldError
from schemas.ledger import Snapshot, SnapshotStore, sum_of
from streams.live.collecting import not_collecting
from streams.live.ports import Herald

KEPT = 3
"""Snapshots that stay: one that turns out to be damaged costs a longer tail, not a start at 0."""


class Keeper:
    """Keeps a snapshot each so many records. Close it when done."""

    def __init__(self, kept: SnapshotStore, herald: Herald, every: int, position: int) -> None:
        """Count from a position on."""
        self._kept = kept
        self._herald = herald
        self._every = every
        self._position = position
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="keeper")
        self._writing: Future[int] | None = None

    def due(self, head: int) -> bool:
        """Whether enough records came since the last snapshot, and none is being written."""
        return self._writing is None and head - self._position >= self._every

    def behind(self, head: int) -> bool:
        """Whether any record came since the last snapshot."""
        return head > self._position

    def keep(self, state: State, digest: bytes, last: bytes) -> None:
        """Take a snapshot of a state, all of whose records are durable up to `last`; write it."""
        with not_collecting():
            snapshot = Snapshot(state.head, store(state), sum_of(last))
        self._position = state.head
        self._writing = self._pool.submit(self._write, snapshot, digest)

    def _write(self, snapshot: Snapshot, digest: bytes) -> int:
        self._kept.put(snapshot)
        self._herald.announce(snapshot.position, digest)
        positions = self._kept.positions()
        own = [position for position in positions if position <= snapshot.position]
        for position in set(positions) - set(own[-KEPT:]):  # what is ahead is of another ledger
            self._kept.drop(position)
        return snapshot.position

    def written(self) -> int | WorldError | None:
        """Return, once, the position of a snapshot that is now kept, or why it is not."""
        if self._writing is None or not self._writing.done():
            return None
        done, self._writing = self._writing, None
        try:
            return done.result()
        except WorldError as error:  # the ledger holds all: the next one may go better
            return error

    def close(self) -> None:
        """Wait for what is being written."""
        self._pool.shutdown(wait=True)
