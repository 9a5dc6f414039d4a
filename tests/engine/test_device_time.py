# SPDX-License-Identifier: Apache-2.0
"""Device time against plain integration: totals, the rolling hour, and when a promise breaks."""

from bisect import bisect_left
from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from engine.device_time import BUCKET_MS, BUCKETS, NEVER_MS, PPM, DeviceTime

HOUR_MS = BUCKETS * BUCKET_MS
START_MS = 17 * BUCKET_MS + 12_345


class Span(NamedTuple):
    """A time from `start_ms` to `end_ms` in which both rates stood still."""

    start_ms: int
    end_ms: int
    due_milli: int
    received_milli: int


def over_the_hour(spans: list[Span], now_ms: int) -> tuple[int, int]:
    """Due and received since the start of the bucket eleven before the one of `now_ms`."""
    since_ms = (now_ms // BUCKET_MS - BUCKETS + 1) * BUCKET_MS
    seen = [(max(0, min(s.end_ms, now_ms) - max(s.start_ms, since_ms)), s) for s in spans]
    due = sum(ms * s.due_milli for ms, s in seen)
    return due, sum(ms * s.received_milli for ms, s in seen)


def slack(spans: list[Span], now_ms: int, promise_ppm: int) -> int:
    due, received = over_the_hour(spans, now_ms)
    return received * PPM - due * promise_ppm


def first_breach_ms(spans: list[Span], now_ms: int, promise_ppm: int) -> int:
    """The first millisecond from `now_ms` on at which the promise is broken.

    Within a bucket nothing leaves the hour, so that slack only falls.
    """
    at_ms = now_ms
    while True:
        end_ms = (at_ms // BUCKET_MS + 1) * BUCKET_MS
        span = range(at_ms, end_ms)
        broken = bisect_left(span, 1, key=lambda ms: int(slack(spans, ms, promise_ppm) < 0))
        if broken < len(span):
            return at_ms + broken
        at_ms = end_ms


# A job makes progress with no more than is due; it rests for moments, minutes or hours.
lengths = st.one_of(
    st.integers(0, 1_000),
    st.integers(0, 3 * BUCKET_MS),
    st.integers(0, 2 * HOUR_MS),
    st.integers(1, 30).map(lambda buckets: buckets * BUCKET_MS),
)
histories = st.lists(
    st.tuples(lengths, st.integers(0, 64_000), st.integers(0, 1_000)), min_size=1, max_size=12
)


def played(history: list[tuple[int, int, int]]) -> tuple[DeviceTime, list[Span], int]:
    """A device time that went through a history, the same as spans, and its end."""
    time, spans, now_ms = DeviceTime(), list[Span](), START_MS
    time.since_ms = now_ms
    for length_ms, due_milli, share in history:
        received_milli = due_milli * share // 1_000
        time.set_rates(now_ms, due_milli, received_milli)
        spans.append(Span(now_ms, now_ms + length_ms, due_milli, received_milli))
        now_ms += length_ms
    return time, spans, now_ms


@given(histories)
def test_totals_are_rates_times_time(history: list[tuple[int, int, int]]) -> None:
    """Due and received grow by rate times milliseconds, and each settlement says by how much."""
    time, spans, now_ms = played(history)
    before = time.due, time.received
    added = time.settle(now_ms)
    assert time.due == sum(s.due_milli * (s.end_ms - s.start_ms) for s in spans)
    assert time.received == sum(s.received_milli * (s.end_ms - s.start_ms) for s in spans)
    assert (before[0] + added[0], before[1] + added[1]) == (time.due, time.received)
    assert time.settle(now_ms) == (0, 0)


@given(histories)
def test_the_ring_is_the_integral_over_the_rolling_hour(
    history: list[tuple[int, int, int]],
) -> None:
    """The twelve buckets hold what came since the eleventh bucket before this one, and no more."""
    time, spans, now_ms = played(history)
    time.settle(now_ms)
    assert (sum(time.due_ring), sum(time.received_ring)) == over_the_hour(spans, now_ms)


@given(histories, st.lists(lengths, max_size=8))
def test_settling_in_between_changes_nothing(
    history: list[tuple[int, int, int]], pauses: list[int]
) -> None:
    """Looking at the counters more often gives the same counters."""
    time, _, now_ms = played(history)
    often, _, _ = played(history)
    for pause_ms in pauses:
        now_ms += pause_ms
        often.settle(now_ms)
    time.settle(now_ms)
    often.settle(now_ms)
    assert all(getattr(time, name) == getattr(often, name) for name in DeviceTime.__slots__)


@given(histories, st.integers(1, 64_000), st.integers(1, PPM))
def test_slack_is_received_less_promised(
    history: list[tuple[int, int, int]], due_milli: int, promise_ppm: int
) -> None:
    """Slack is negative exactly while the rolling hour received less than was promised of it."""
    time, spans, now_ms = played([*history, (60_000, due_milli, 500)])
    assert time.slack(now_ms, promise_ppm) == slack(spans, now_ms, promise_ppm)


@given(
    st.lists(st.tuples(lengths, st.integers(0, 1_000)), min_size=1, max_size=12),
    st.integers(1, 64_000),
    st.integers(PPM // BUCKETS + 1, PPM),
)
@example([(60_000, 1_000)], 1_000, 700_000)
@example([(2 * HOUR_MS, 1_000)], 1_000, 700_000)
@example([(2 * HOUR_MS, 500), (10_000, 1_000)], 3, 700_000)
def test_a_breach_is_foretold_to_the_millisecond(
    shares: list[tuple[int, int]], due_milli: int, promise_ppm: int
) -> None:
    """If nothing is received any more, the promise is broken as foretold or a millisecond later.

    Never earlier. Later only if it would break with the first millisecond of a bucket, where what
    leaves the hour may save it.
    """
    time, spans, now_ms = played([(length, due_milli, share) for length, share in shares])
    time.set_rates(now_ms, due_milli, 0)
    foretold_ms = time.breach_ms(now_ms, promise_ppm)
    future = [*spans, Span(now_ms, now_ms + 2 * HOUR_MS, due_milli, 0)]
    early_ms = first_breach_ms(future, now_ms, promise_ppm) - foretold_ms
    assert early_ms in {0, 1} or (early_ms > 1 and (foretold_ms + 1) % BUCKET_MS == 0)


def test_without_a_promise_or_with_nothing_due_there_is_no_breach() -> None:
    """What promises nothing cannot be broken, and what owes nothing cannot break it."""
    time, _, now_ms = played([(60_000, 1_000, 0)])
    assert time.breach_ms(now_ms, 0) == NEVER_MS
    time.set_rates(now_ms, 0, 0)
    assert time.breach_ms(now_ms, 700_000) == NEVER_MS
