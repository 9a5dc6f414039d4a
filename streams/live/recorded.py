# SPDX-License-Identifier: Apache-2.0
"""Recorded time: the clock's, but never backwards, and never standing still."""

from streams.live.ports import Clock


class RecordedTime:
    """What one leader records as time. Mutable.

    A time of day that is set back, or that lies behind what an earlier leader recorded, is made up
    for by the steady clock: otherwise no cycle would be due until it had come as far again.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin with the time of day."""
        self._clock = clock
        self._steady_ms = clock.steady_ms()
        self._now_ms = clock.wall_ms()

    def now_ms(self, floor_ms: int) -> int:
        """Return the time to record, at least `floor_ms`."""
        steady_ms = self._clock.steady_ms()
        passed_ms = steady_ms - self._steady_ms
        self._now_ms = max(self._clock.wall_ms(), floor_ms, self._now_ms + passed_ms)
        self._steady_ms = steady_ms
        return self._now_ms
