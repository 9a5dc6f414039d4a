# SPDX-License-Identifier: Apache-2.0
"""Beats of one process: numbered, and of a leader from a thread of their own.

A leader that writes a snapshot or waits for a slow commit is alive and must not be taken for dead;
one whose loop hangs must be. So the loop touches the heart each turn, and a heart that was not
touched for long stops.
"""

from threading import Event, Thread

from streams.live.ports import Beat, Beats, Clock, Role

STALL_MS = 5_000
"""How long a turn may take before the leader is given up."""


class Pulse:
    """Sends the beats of one process under rising numbers, in whatever role it is.

    `sent` is the last number. One thread at a time beats: the loop's, or a heart's.
    """

    def __init__(self, beats: Beats, owner: str) -> None:
        """Begin to count at 1."""
        self._beats = beats
        self._owner = owner
        self.sent = 0

    def beat(self, role: Role, epoch: int, head: int) -> int:
        """Send a beat and return its number."""
        self.sent += 1
        self._beats.send(Beat(self._owner, role, epoch, head, self.sent))
        return self.sent


class Heart:
    """Beats for one engine from before it takes the ledger, until `stop`."""

    def __init__(self, pulse: Pulse, clock: Clock, head: int, every_ms: int) -> None:
        """Beat from now on, each `every_ms`, as a candidate: to take a lock can take its time."""
        self._pulse = pulse
        self._clock = clock
        self._role, self._epoch = Role.CANDIDATE, 0
        self._every_s = every_ms / 1_000
        self._head = head
        self._touched_ms = clock.steady_ms()
        self._over = Event()
        self._thread = Thread(target=self._run, name="heart", daemon=True)
        self._thread.start()

    def lead(self, epoch: int) -> None:
        """Beat as the leader of an epoch."""
        self._epoch = epoch
        self._role = Role.LEADER

    def touch(self, head: int) -> None:
        """Say that the leader gets on, and how far it is."""
        self._touched_ms = self._clock.steady_ms()
        self._head = head

    @property
    def sent(self) -> int:
        """The number of the last beat."""
        return self._pulse.sent

    def stop(self, *, leaving: bool) -> None:
        """Beat no more; with `leaving`, tell the standbys that they need not wait."""
        self._over.set()
        self._thread.join()
        if leaving:
            self._pulse.beat(Role.LEAVING, self._epoch, self._head)

    def _run(self) -> None:
        while True:
            if self._clock.steady_ms() - self._touched_ms <= STALL_MS:
                self._pulse.beat(self._role, self._epoch, self._head)
            if self._over.wait(self._every_s):
                return
