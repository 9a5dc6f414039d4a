# SPDX-License-Identifier: Apache-2.0
"""All that an engine touches of the world, in one value."""

from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from schemas.ledger import SnapshotStore
from streams.live.health import Status
from streams.live.metrics import Metrics
from streams.live.ports import Beats, Clock, Herald, Input, LiveLedger, Planner


@dataclass(frozen=True, slots=True)
class Ends:
    """What an engine reads from, writes to, and says what it does by."""

    ledger: LiveLedger
    input: Input
    beats: Beats
    snapshots: SnapshotStore
    herald: Herald
    planner: Planner
    clock: Clock
    metrics: Metrics
    status: Status
    log: FilteringBoundLogger
