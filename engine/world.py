# SPDX-License-Identifier: Apache-2.0
"""The pure model of the world outside: how long things take, and how far a gang gets.

The trace player runs on it now, what-if will later; the engine never reads it to decide, it only knows what is reported. Times are
milliseconds, work is milli-device-milliseconds at the reference speed, all integers.
"""

from enum import IntEnum

from msgspec import Struct

_BYTES_PER_MIB = 1_048_576
_BYTES_PER_MB = 1_000_000
_SPEED_BASE_MILLI = 1_000


class WorldParameters(Struct, frozen=True):
    """What a move costs beside its data.

    `start_ms`: container start and first step of a gang whose image is on the node. `resize_ms`: pause of a gang that re-forms its
    collective group, its state kept in memory. `stop_ms`: from a stop directive to the release.
    """

    start_ms: int = 10_000
    resize_ms: int = 10_000
    stop_ms: int = 1_000


def transfer_ms(mib: int, mbps: int) -> int:
    """Return how long so many MiB take at so many MB/s, rounded up; 0 for nothing."""
    if not mib:
        return 0
    return -(-mib * _BYTES_PER_MIB * 1_000 // (max(mbps, 1) * _BYTES_PER_MB))


def checkpoint_ms(checkpoint_mib: int, storage_mbps: int) -> int:
    """Return how long a gang's checkpoint takes to write or read at its nodes' storage bandwidth, summed over the nodes."""
    return transfer_ms(checkpoint_mib, storage_mbps)


class GangPhase(IntEnum):
    """What one gang does in the world."""

    STARTING = 1
    RUNNING = 2
    SUSPENDING = 3
    RESIZING = 4
    STOPPING = 5
    IDLE = 6


class Gang:
    """One job's gang in the world: what is left to do, and how fast it gets there. Mutable, private to its player."""

    __slots__ = (
        "attempt",
        "checkpoint",
        "checkpointed",
        "cluster",
        "left",
        "phase",
        "rate_milli",
        "since_ms",
        "storage_mbps",
        "version",
        "workers",
    )

    def __init__(self, work: int) -> None:
        """Start with all the work to do, nowhere."""
        self.left = work
        self.checkpointed = work
        self.checkpoint = 0
        self.attempt = 0
        self.workers = 0
        self.rate_milli = 0
        self.since_ms = 0
        self.phase = GangPhase.IDLE
        self.cluster = ""
        self.storage_mbps = 0
        self.version = 0

    def run(self, now_ms: int, workers: int, worker_milli: int, speed_milli: int) -> int:
        """Make progress from `now_ms` on and return when the work is done."""
        self.phase, self.since_ms, self.workers = GangPhase.RUNNING, now_ms, workers
        self.rate_milli = max(workers * worker_milli * speed_milli // _SPEED_BASE_MILLI, 1)
        return now_ms - (-self.left // self.rate_milli)

    def halt(self, now_ms: int, phase: GangPhase) -> None:
        """Make no more progress from `now_ms` on."""
        if self.rate_milli:
            self.left = max(self.left - self.rate_milli * (now_ms - self.since_ms), 0)
        self.rate_milli, self.since_ms, self.phase = 0, now_ms, phase

    def save(self) -> None:
        """Make what was done so far safe."""
        self.checkpoint += 1
        self.checkpointed = self.left

    def roll_back(self) -> None:
        """Lose what was done since the last checkpoint."""
        self.left = self.checkpointed
