# SPDX-License-Identifier: Apache-2.0
"""A partition stands still where what is there to be read has not come for long."""

from streams.intake.standstill import Standstills

PLACE = ("job.events.main", 0)
PATIENCE_S = 30.0


def seen(*looks: tuple[int, int, float]) -> list[int | None]:
    """Return what is said at each look: (where reading is, the partition's end, when)."""
    stills = Standstills()
    return [stills.see(PLACE, expected, end, at_s, PATIENCE_S) for expected, end, at_s in looks]


def test_who_is_at_the_end_stands_nowhere() -> None:
    """Silence is no standstill, however long."""
    assert seen((7, 7, 0), (7, 7, 100), (7, 7, 1_000)) == [None] * 3


def test_records_that_do_not_come_for_long_are_a_standstill() -> None:
    """Patience begins when they are first seen to be there, and not to be read."""
    assert seen((7, 7, 0), (7, 9, 100), (7, 9, 130), (7, 9, 131)) == [None, None, None, 9]


def test_slow_reading_is_no_standstill() -> None:
    """One record between two looks is enough."""
    assert seen(*((n, 1_000, 25.0 * n) for n in range(10))) == [None] * 10


def test_a_record_of_this_moment_is_not_what_was_waited_for() -> None:
    """Reading may stand before a hole for long; what comes behind it then has its own patience."""
    looks = seen((23, 24, 0), (23, 29, 31), (24, 29, 36), (24, 29, 66), (24, 29, 67))
    assert looks == [None, 24, None, None, 29]


def test_an_end_that_moves_on_all_the_time_does_not_renew_patience() -> None:
    """Where others go on writing, a partition that is not read is noticed all the same."""
    assert seen((7, 9, 0), (7, 20, 20), (7, 50, 31)) == [None, None, 9]


def test_partitions_are_told_apart_and_a_new_beginning_forgets_them() -> None:
    """What one does says nothing of another; after a rebalance nothing was seen yet."""
    stills, other = Standstills(), ("job.events.main", 1)
    assert stills.see(PLACE, 7, 9, 0, PATIENCE_S) is None
    assert stills.see(other, 7, 9, 31, PATIENCE_S) is None
    assert stills.see(PLACE, 7, 9, 31, PATIENCE_S) == 9
    stills.clear()
    assert stills.see(PLACE, 7, 9, 62, PATIENCE_S) is None
