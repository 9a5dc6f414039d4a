# SPDX-License-Identifier: Apache-2.0
"""Where a job stands. The whole model is in prose above `schemas/v1/envelope.proto`."""

from enum import IntEnum


class Phase(IntEnum):
    """A job's phase; the numbers are part of the state digest."""

    QUEUED = 1
    CLAIMED = 2
    STARTING = 3
    RUNNING = 4
    SUSPENDING = 5
    SUSPENDED = 6
    STOPPING = 7
    FINISHED = 8
    FAILED = 9
    CANCELLED = 10


HOLDING = frozenset({Phase.STARTING, Phase.RUNNING, Phase.SUSPENDING, Phase.STOPPING})
"""Phases in which a job holds devices."""

RELEASING = frozenset({Phase.SUSPENDING, Phase.STOPPING})
"""Phases in which a job holds devices that it will give up."""

WAITING = frozenset({Phase.QUEUED, Phase.SUSPENDED})
"""Phases in which a job waits for a plan to place it."""

ENDED = frozenset({Phase.FINISHED, Phase.FAILED, Phase.CANCELLED})
"""Phases that a job never leaves."""
