# SPDX-License-Identifier: Apache-2.0
"""A moment is a position or a time, and nobody has to say which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose.exits import NotFoundError
from compose.moments import FIRST_TIME, Position, Time, check_within, parse_moment, written

NOON_MS = 1_506_859_200_000


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("0", Position(0)),
        ("50000", Position(50_000)),
        ("50,000", Position(50_000)),
        (str(FIRST_TIME - 1), Position(FIRST_TIME - 1)),
        (str(FIRST_TIME), Time(FIRST_TIME)),
        (str(NOON_MS), Time(NOON_MS)),
        ("2017-10-01T12:00:00Z", Time(NOON_MS)),
        ("2017-10-01 12:00:00", Time(NOON_MS)),
        ("2017-10-01T14:00:00+02:00", Time(NOON_MS)),
        ("2017-10-01T12:00:00.250Z", Time(NOON_MS + 250)),
        ("2017-10-01", Time(NOON_MS - 12 * 3_600_000)),
    ],
)
def test_a_text_names_one_moment(text: str, moment: Position | Time) -> None:
    """Small numbers are positions, large ones milliseconds; a time without a zone is UTC."""
    assert parse_moment(text) == moment


@pytest.mark.parametrize("text", ["", "x", "-5", "1.5", "12:00", "2017-13-01", "1969-12-31", "²"])
def test_what_names_no_moment_is_refused(text: str) -> None:
    """It is never taken for another moment than was meant."""
    with pytest.raises(ValueError, match=r"no moment|before 1970"):
        parse_moment(text)


@given(st.integers(min_value=FIRST_TIME, max_value=4_000_000_000_000))
def test_a_written_time_reads_back(recorded_ms: int) -> None:
    """What tables and messages show can be given to --at, to the millisecond."""
    assert parse_moment(written(recorded_ms)) == Time(recorded_ms)


def test_a_history_reaches_from_its_first_record_to_its_last() -> None:
    """Its end may be named, a position past it or a time before it may not; later times may."""
    for moment in (Position(0), Position(10), Time(NOON_MS), Time(NOON_MS * 2)):
        check_within(moment, 10, NOON_MS)
    for moment in (Position(11), Time(NOON_MS - 1)):
        with pytest.raises(NotFoundError):
            check_within(moment, 10, NOON_MS)
