# SPDX-License-Identifier: Apache-2.0
"""Whether the leader is gone, judged by beats alone.

All engines beat on one topic of one partition, standbys too. When a standby reads its own beat
back, the broker has carried it, and the leader wrote nothing between the last beat of its own that
came before and this one: so silence is the leader's and not the broker's. Only spans of this
process's own clock count; nobody's clocks are compared.

Before the first beat of anybody is read, nobody could be heard, so patience begins with that one:
two engines that start together hear each other before either has run out of it.

Which of several standbys goes first is their rank by name: a lower one waits longer and sees the
first one beat as leader before its own patience is out. Ranks are for peace, not for safety: the
transactional id alone decides who may write.
"""

from collections import deque
from dataclasses import dataclass

from msgspec import Struct

from streams.live.ports import Beat, Role

_MANY = 50
"""So many beats in a row are lost by nobody's accident: five seconds of them."""

_REMEMBERED = 2 * _MANY


class Patience(Struct, frozen=True):
    """How often engines beat, how long silence may last, and what each rank adds to that."""

    beat_ms: int = 100
    silence_ms: int = 1_000
    rank_ms: int = 700


@dataclass(frozen=True, slots=True)
class _Sent:
    number: int
    at_ms: int


class Watch:
    """What one engine makes of the beats that it hears. Moments are of its steady clock."""

    def __init__(self, owner: str, patience: Patience, at_ms: int) -> None:
        """Begin to listen: until the first beat, the leader is taken to have beaten now."""
        self._owner = owner
        self._patience = patience
        self._leader_ms = at_ms
        self._carried_ms = at_ms
        self._listened_ms = at_ms
        self._sent = deque[_Sent](maxlen=_REMEMBERED)
        self._heard_any, self._heard_own = False, 0
        self._others: dict[str, int] = {}
        self.leader: Beat | None = None

    def sent(self, number: int, at_ms: int) -> None:
        """Note that an own beat went out."""
        self._sent.append(_Sent(number, at_ms))

    def hear(self, beat: Beat, at_ms: int) -> None:
        """Take in a beat, in the topic's order."""
        if not self._heard_any:
            self._heard_any, self._leader_ms = True, max(self._leader_ms, at_ms)
        if beat.owner == self._owner:
            self._heard_own = beat.number
            self._carried(beat.number)
            return
        match beat.role:
            case Role.STANDBY:
                self._others[beat.owner] = at_ms
            case Role.CANDIDATE:
                self._leader_ms = at_ms
            case Role.LEADER | Role.LEAVING:
                self._led(beat, at_ms)

    def listened(self, at_ms: int) -> None:
        """Note that all beats up to now were taken in.

        Whoever did not listen for as long as patience lasts cannot tell who is gone: two engines
        that start together, and have much to load, would take the ledger from each other.
        """
        if at_ms - self._listened_ms > self._patience.silence_ms:
            self._leader_ms = max(self._leader_ms, at_ms)
        self._listened_ms = at_ms

    def _led(self, beat: Beat, at_ms: int) -> None:
        if self.leader is not None and beat.epoch < self.leader.epoch:
            return  # it is deposed and does not know it yet
        self._others.pop(beat.owner, None)
        self.leader = beat
        gone = beat.role is Role.LEAVING
        self._leader_ms = at_ms - self._patience.silence_ms if gone else at_ms

    def _carried(self, number: int) -> None:
        while self._sent and self._sent[0].number <= number:
            self._carried_ms = self._sent.popleft().at_ms

    def unanswered(self, sent: int) -> bool:
        """Whether none of many own beats came back, the last of which has the number `sent`.

        No broker carries them then, or not to here; so nothing is known of any other engine.
        """
        return sent - self._heard_own > _MANY

    def rank(self, at_ms: int) -> int:
        """Return how many living standbys come before this one, by name."""
        since = at_ms - self._patience.silence_ms
        return sum(name < self._owner and seen >= since for name, seen in self._others.items())

    def vacant(self, at_ms: int) -> bool:
        """Whether the broker has carried a beat sent since this one's patience ran out."""
        wait_ms = self._patience.silence_ms + self.rank(at_ms) * self._patience.rank_ms
        return self._carried_ms >= self._leader_ms + wait_ms

    def deposed(self, epoch: int) -> Beat | None:
        """Return the beat of a leader of a later epoch than this leader's, or None."""
        found = self.leader
        return found if found is not None and found.epoch > epoch else None
