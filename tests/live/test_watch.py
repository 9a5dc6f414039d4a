# SPDX-License-Identifier: Apache-2.0
"""Whether the leader is gone: silence alone does not say so, a broker that answers does."""

from streams.live.ports import Beat, Role
from streams.live.watch import Patience, Watch

PATIENCE = Patience(beat_ms=100, silence_ms=1_000, rank_ms=500)


def leads(epoch: int = 1, owner: str = "leader", role: Role = Role.LEADER) -> Beat:
    return Beat(owner, role, epoch, 0, 1)


class Listener:
    """A watch whose own beats come back when the test says so."""

    def __init__(self, owner: str = "m") -> None:
        """Listen as an engine of a name."""
        self.owner = owner
        self.watch = Watch(owner, PATIENCE, 0)
        self._number = 0

    def beat(self, at_ms: int, *, carried: bool = True) -> None:
        """Beat, and hear it back at once if the broker carries it."""
        self._number += 1
        self.watch.sent(self._number, at_ms)
        if carried:
            self.watch.hear(Beat(self.owner, Role.STANDBY, 0, 0, self._number), at_ms + 5)


def test_a_leader_that_beats_is_there() -> None:
    """However long a standby listens."""
    one = Listener()
    for at_ms in range(0, 60_000, 100):
        one.watch.hear(leads(), at_ms)
        one.beat(at_ms + 50)
        assert not one.watch.vacant(at_ms + 60)


def test_silence_while_the_broker_answers_is_the_leaders_end() -> None:
    """A beat sent once patience is out comes back, and the leader's did not come before it."""
    one = Listener()
    one.watch.hear(leads(), 0)
    one.beat(999)
    assert not one.watch.vacant(5_000)
    one.beat(1_000)
    assert one.watch.vacant(1_005)


def test_silence_of_the_broker_is_nobodys_end() -> None:
    """While own beats do not come back, nothing is known; nor by one sent before the silence."""
    one = Listener()
    one.watch.hear(leads(), 0)
    one.beat(500)
    for at_ms in range(1_000, 60_000, 100):
        one.beat(at_ms, carried=False)
        assert not one.watch.vacant(at_ms)


def test_beats_that_come_late_together_are_read_in_their_order() -> None:
    """After an outage the leader's beat and the standby's old ones arrive at once: no takeover."""
    one = Listener()
    for at_ms in range(1_000, 3_000, 100):
        one.beat(at_ms, carried=False)
    one.watch.hear(leads(), 9_000)
    one.watch.hear(Beat(one.owner, Role.STANDBY, 0, 0, 20), 9_000)
    assert not one.watch.vacant(9_001)


def test_of_two_standbys_the_first_by_name_goes_first() -> None:
    """The second waits a rank longer, and on when the first says that it takes over."""
    one = Listener("m")
    one.watch.hear(leads(), 0)
    one.watch.hear(leads(0, "a", Role.STANDBY), 900)
    one.beat(1_200)
    assert one.watch.rank(1_200) == 1
    assert not one.watch.vacant(1_210)
    one.watch.hear(leads(0, "a", Role.CANDIDATE), 1_220)
    one.watch.hear(leads(0, "z", Role.STANDBY), 1_220)
    one.beat(1_500)
    assert not one.watch.vacant(1_510)


def test_a_standby_that_fell_silent_has_no_rank() -> None:
    """Whoever comes before is waited for only while it lives."""
    one = Listener("m")
    one.watch.hear(leads(0, "a", Role.STANDBY), 100)
    one.beat(1_700)
    assert one.watch.rank(1_700) == 0
    assert one.watch.vacant(1_710)


def test_a_candidate_that_dies_is_succeeded() -> None:
    """What it said buys it as much time as a leader's beat, no more."""
    one = Listener("m")
    one.watch.hear(leads(0, "a", Role.CANDIDATE), 1_000)
    one.beat(2_000)
    assert one.watch.vacant(2_010)


def test_a_leader_that_leaves_is_succeeded_at_once() -> None:
    """The next beat that comes back is enough."""
    one = Listener()
    one.watch.hear(leads(), 5_000)
    one.watch.hear(leads(role=Role.LEAVING), 5_100)
    one.beat(5_100)
    assert one.watch.vacant(5_110)


def test_who_did_not_listen_waits_anew() -> None:
    """After a pause as long as patience nothing is known of who leads; a short one is none."""
    for pause_ms, waits in ((1_001, True), (900, False)):
        one = Listener()
        one.beat(0)
        one.watch.listened(5)
        one.watch.listened(5 + pause_ms)
        one.beat(1_100)
        assert one.watch.vacant(1_110) is not waits
        one.beat(pause_ms + 1_005)
        assert one.watch.vacant(pause_ms + 1_010)


def test_patience_begins_with_the_first_beat_that_is_heard() -> None:
    """Two that start together on a broker that is slow to begin hear of each other first."""
    first, second = Listener("a"), Listener("m")
    for one, other in ((first, "m"), (second, "a")):
        for at_ms in range(0, 2_000, 100):
            one.beat(at_ms, carried=False)
        one.beat(2_000)
        assert not one.watch.vacant(2_010)
        one.watch.hear(leads(0, other, Role.STANDBY), 2_050)
        one.watch.hear(leads(0, other, Role.STANDBY), 2_950)
        one.beat(3_010)
    assert first.watch.vacant(3_020)
    assert not second.watch.vacant(3_020)


def test_beats_of_which_none_comes_back_are_unanswered() -> None:
    """For five seconds; one that comes back is an answer, and so is the start of a process."""
    one = Listener()
    for number in range(1, 102):
        one.beat(number * 100, carried=number == 50)
        assert one.watch.unanswered(number) is (number == 101)


def test_a_deposed_leader_is_not_heard() -> None:
    """Beats of a lower epoch neither keep a standby waiting nor depose anybody."""
    one = Listener()
    one.watch.hear(leads(5, "new"), 0)
    one.watch.hear(leads(4, "old"), 900)
    one.beat(1_000)
    assert one.watch.vacant(1_010)
    assert one.watch.deposed(5) is None
    assert one.watch.deposed(4) == leads(5, "new")
