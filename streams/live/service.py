# SPDX-License-Identifier: Apache-2.0
"""One engine's life: stand by until the leader is gone, lead until told to stop or fenced."""

from collections.abc import Callable

from schemas.errors import WorldError
from schemas.ledger import CorruptLedgerError, FencedError
from streams.live.ends import Ends
from streams.live.following import Follower
from streams.live.heart import Pulse
from streams.live.leader import Manner, take_over
from streams.live.ports import Role
from streams.live.watch import Watch

STRIDE = 2_000
"""Records that a standby folds between two beats: far less than anybody's patience lasts."""

LIVELY_MS = 60_000
"""Whoever lived for so long before the world failed has begun anew: the next rest is short."""

_WAIT_MS = 20
_REST_MS, _LONGEST_REST_MS = 500, 8_000


class Service:
    """An engine, as standby and as leader."""

    def __init__(self, ends: Ends, manner: Manner, stop: Callable[[], bool]) -> None:
        """Make an engine that goes on until `stop()`, which is asked all the time."""
        self._ends = ends
        self._manner = manner
        self._stop = stop
        self._pulse = Pulse(ends.beats, manner.owner)
        self._was_answered = True

    def run(self) -> None:
        """Stand by and lead, until told to stop.

        Raises `FencedError` once another leads, and `CorruptLedgerError` where records are lost:
        no trying again helps.

        Where else the world fails (no broker answers, the fate of an append is not known) this
        engine is a standby again, from the newest snapshot on: what it held may be ahead of the
        ledger. It rests ever longer between tries, each of which may cost an epoch.
        """
        clock, rest_ms = self._ends.clock, _REST_MS
        while not self._stop():
            began_ms = clock.steady_ms()
            try:
                self._live()
            except (FencedError, CorruptLedgerError):
                raise
            except WorldError as error:
                if clock.steady_ms() - began_ms > LIVELY_MS:
                    rest_ms = _REST_MS
                self._ends.log.warning("stands back", error=str(error), rest_ms=rest_ms)
                self._rest(rest_ms)
                rest_ms = min(2 * rest_ms, _LONGEST_REST_MS)

    def _rest(self, ms: int) -> None:
        """Rest, but not when told to stop."""
        for _ in range(0, ms, _REST_MS):
            if not self._stop():
                self._ends.clock.rest(_REST_MS)

    def _live(self) -> None:
        ends = self._ends
        follower = Follower(ends.ledger, ends.snapshots)
        ends.log.info("standing by", position=follower.began)
        ends.metrics.became(Role.STANDBY, 0)
        watch = Watch(self._manner.owner, self._manner.patience, ends.clock.steady_ms())
        if self._stand_by(follower, watch):
            self._lead(follower, watch)

    def _stand_by(self, follower: Follower, watch: Watch) -> bool:
        """Fold along until the leader is gone; return whether it is, or this engine is to stop."""
        ends, state = self._ends, follower.state
        beaten_ms, rehearsed = -self._manner.patience.beat_ms, False
        while not self._stop():
            # 1. Beat, and hear who else does.
            at_ms = ends.clock.steady_ms()
            if at_ms >= beaten_ms + self._manner.patience.beat_ms:
                watch.sent(self._pulse.beat(Role.STANDBY, 0, state.head), at_ms)
                beaten_ms = at_ms
            for beat in ends.beats.poll():
                watch.hear(beat, ends.clock.steady_ms())
            watch.listened(ends.clock.steady_ms())
            # 2. Fold what the leader wrote, and be warm when there is nothing left.
            head = ends.ledger.wait(state.head, _WAIT_MS)
            followed = follower.follow(head, STRIDE)
            ends.metrics.followed(followed, state.head)
            caught_up = followed < STRIDE
            if caught_up:
                follower.warm()
            ready = caught_up and self._answered(watch)
            ends.status.touch(Role.STANDBY, ready=ready, epoch=0, head=state.head)
            if not caught_up:
                continue
            rehearsed = rehearsed or follower.rehearse()
            # 3. Take over where there is no leader any more.
            if watch.vacant(ends.clock.steady_ms()):
                return True
        return False

    def _answered(self, watch: Watch) -> bool:
        """Whether own beats come back; where that changes, say so."""
        answered = not watch.unanswered(self._pulse.sent)
        if answered is not self._was_answered:
            self._was_answered = answered
            if answered:
                self._ends.log.info("beats come back")
            else:
                self._ends.log.warning(
                    "beats do not come back", why="no broker answers, or beats may not be written"
                )
        return answered

    def _lead(self, follower: Follower, watch: Watch) -> None:
        try:
            leader = take_over(self._ends, self._manner, watch, follower, self._pulse)
        except FencedError as error:  # somebody was quicker: stand by for that one
            self._ends.log.info("not elected", error=str(error))
            return
        leaving = False
        try:
            while not self._stop():
                leader.turn()
            leaving = True
        finally:
            leader.close(leaving=leaving)
