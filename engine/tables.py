# SPDX-License-Identifier: Apache-2.0
"""The fold's incremental arrays: what a planner reads, kept current as records arrive.

Both tables are private to the fold. A planner gets copies, so a cut stays what it was while the
fold goes on.
"""

from dataclasses import dataclass, field

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from schemas.decisions import Slice
from schemas.ids import JobId, NodeName
from schemas.jobs import Job

IntArray = NDArray[np.int64]

_FIRST_ROWS = 64
MAX_SLOTS = 16
"""Most device slots of one node."""


def _grown(array: IntArray, rows: int) -> IntArray:
    bigger = np.full((rows, *array.shape[1:]), -1, dtype=np.int64)
    bigger[: len(array)] = array
    return bigger


@dataclass(slots=True)
class NodeTable:
    """Per node: what is neither held nor claimed. Negative while a claim waits for a release.

    `milli`: int64[N, MAX_SLOTS], thousandths of each device slot. `host`: int64[N, 4], cpu_milli,
    memory_mib, storage_mbps, network_mbps. `place`: int64[N, 2], indices of domain and pool (a SKU
    in a cluster). `usable`: 1 where new work may go.
    """

    names: list[NodeName] = field(default_factory=list)
    milli: IntArray = field(default_factory=lambda: np.full((_FIRST_ROWS, MAX_SLOTS), -1, np.int64))
    host: IntArray = field(default_factory=lambda: np.full((_FIRST_ROWS, 4), -1, np.int64))
    place: IntArray = field(default_factory=lambda: np.full((_FIRST_ROWS, 2), -1, np.int64))
    usable: IntArray = field(default_factory=lambda: np.full(_FIRST_ROWS, -1, np.int64))

    def add(self, name: NodeName) -> int:
        """Return the row of a new node."""
        row = len(self.names)
        if row == len(self.usable):
            rows = 2 * row
            self.milli, self.host = _grown(self.milli, rows), _grown(self.host, rows)
            self.place, self.usable = _grown(self.place, rows), _grown(self.usable, rows)
        self.names.append(name)
        return row


JOB_COLUMNS = (
    "position",
    "tier",
    "team",
    "kind",
    "phase",
    "priority",
    "worker_milli",
    "workers_min",
    "workers_max",
    "workers",
    "pool",
    "work",
    "work_since_ms",
    "progress_milli",
    "phase_since_ms",
    "first_started_ms",
    "moves",
    "checkpoint_mib",
    "breach_ms",
    "resizing",
    "cancelled",
    "reason",
)
COLUMN = {name: index for index, name in enumerate(JOB_COLUMNS)}


class JobDetail(Struct, frozen=True):
    """What a plan needs to know of one job beyond its row of numbers."""

    id: JobId
    spec: Job
    attempt: int
    resize_number: int
    checkpoint: int
    slices: tuple[Slice, ...]
    reason: str


@dataclass(slots=True)
class JobTable:
    """Per job that is not over: one row of `JOB_COLUMNS`; a free row has position -1.

    Rows are reused, so their order means nothing: whoever reads sorts by a column.
    """

    values: IntArray = field(
        default_factory=lambda: np.full((_FIRST_ROWS, len(JOB_COLUMNS)), -1, np.int64)
    )
    details: list[JobDetail | None] = field(default_factory=list)
    free: list[int] = field(default_factory=list)
    waiting: dict[int, None] = field(default_factory=dict)
    """Rows of jobs that wait for a place."""
    growable: dict[int, None] = field(default_factory=dict)
    """Rows of jobs with fewer workers than they could have; who waits is among them."""

    def add(self) -> int:
        """Return a row for a new job."""
        if self.free:
            return self.free.pop()
        row = len(self.details)
        if row == len(self.values):
            self.values = _grown(self.values, 2 * row)
        self.details.append(None)
        return row

    def remove(self, row: int) -> None:
        """Give a row back."""
        self.values[row] = -1
        self.details[row] = None
        self.free.append(row)
        self.waiting.pop(row, None)
        self.growable.pop(row, None)

    def note(self, row: int, *, waits: bool, could_grow: bool) -> None:
        """Say of a row what a look at the whole table would find out."""
        for noted, holds in ((self.waiting, waits), (self.growable, could_grow)):
            if holds:
                noted[row] = None
            else:
                noted.pop(row, None)
