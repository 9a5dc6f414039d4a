# SPDX-License-Identifier: Apache-2.0
"""Device time of one job: what it is due, what it received, in total and over the rolling hour.

Both are piecewise linear in time, so they are settled only when a rate changes; time passing costs
nothing. The rolling hour is twelve buckets of five minutes on the absolute clock: the bucket that
runs now and the eleven before it. Amounts are integers of milli-device-milliseconds (thousandths of
a device times milliseconds).
"""

BUCKET_MS = 300_000
BUCKETS = 12
PPM = 1_000_000
NEVER_MS = 2**62
"""A time that never comes."""


class DeviceTime:
    """Due and received device time of one job. Mutable, private to the fold."""

    __slots__ = (
        "due",
        "due_milli",
        "due_ring",
        "received",
        "received_milli",
        "received_ring",
        "since_ms",
    )

    def __init__(self) -> None:
        """Start with nothing due and nothing received."""
        self.since_ms = 0
        self.due_milli = 0
        self.received_milli = 0
        self.due = 0
        self.received = 0
        self.due_ring = [0] * BUCKETS
        self.received_ring = [0] * BUCKETS

    def settle(self, now_ms: int) -> tuple[int, int]:
        """Bring the counters up to `now_ms`; return what was added to (due, received)."""
        span_ms = now_ms - self.since_ms
        if span_ms <= 0:
            return 0, 0
        due, received = self.due_milli * span_ms, self.received_milli * span_ms
        self.due += due
        self.received += received
        if self.due or self.received:  # else all buckets are empty, and stay so
            self._turn(now_ms)
        self.since_ms = now_ms
        return due, received

    def set_rates(self, now_ms: int, due_milli: int, received_milli: int) -> tuple[int, int]:
        """Settle, then go on at these rates (thousandths of a device)."""
        added = self.settle(now_ms)
        self.due_milli, self.received_milli = due_milli, received_milli
        return added

    def _turn(self, now_ms: int) -> None:
        """Bring the buckets up to `now_ms`, which is later than the last settlement."""
        last, current = self.since_ms // BUCKET_MS, now_ms // BUCKET_MS
        if last == current:
            self._add(current, now_ms - self.since_ms)
            return
        # Buckets that the clock entered since hold what is of an hour ago, or more.
        due, received = self.due_milli * BUCKET_MS, self.received_milli * BUCKET_MS
        if last <= current - BUCKETS:
            self.due_ring, self.received_ring = [due] * BUCKETS, [received] * BUCKETS
        else:
            self._add(last, (last + 1) * BUCKET_MS - self.since_ms)
            for bucket in range(last + 1, current):
                self.due_ring[bucket % BUCKETS] = due
                self.received_ring[bucket % BUCKETS] = received
        into_ms = now_ms - current * BUCKET_MS
        self.due_ring[current % BUCKETS] = self.due_milli * into_ms
        self.received_ring[current % BUCKETS] = self.received_milli * into_ms

    def _add(self, bucket: int, span_ms: int) -> None:
        self.due_ring[bucket % BUCKETS] += self.due_milli * span_ms
        self.received_ring[bucket % BUCKETS] += self.received_milli * span_ms

    def slack(self, now_ms: int, promise_ppm: int) -> int:
        """Return received minus promised over the rolling hour, times a million.

        Settles up to `now_ms` first. Negative means that the promise is broken now.
        """
        self.settle(now_ms)
        return sum(self.received_ring) * PPM - sum(self.due_ring) * promise_ppm

    def breach_ms(self, now_ms: int, promise_ppm: int) -> int:
        """Return when the promise would break if nothing were received from `now_ms` on.

        `NEVER_MS` without a promise or with nothing due. Exact to a millisecond, and never late,
        for a promise above a twelfth while what is due stays the same. Walks the twelve buckets
        once.
        """
        if not promise_ppm or not self.due_milli:
            return NEVER_MS
        self.settle(now_ms)
        received, due = sum(self.received_ring), sum(self.due_ring)
        current, at_ms = now_ms // BUCKET_MS, now_ms
        for step in range(BUCKETS + 1):
            spare_ms = (received * PPM // promise_ppm - due) // self.due_milli
            end_ms = (current + step + 1) * BUCKET_MS
            if at_ms + max(spare_ms, 0) < end_ms:
                return at_ms + max(spare_ms, 0)
            due += self.due_milli * (end_ms - at_ms)
            leaving = (current + step + 1) % BUCKETS
            if step + 1 < BUCKETS:
                received -= self.received_ring[leaving]
                due -= self.due_ring[leaving]
            at_ms = end_ms
        return at_ms
