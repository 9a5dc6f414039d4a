# SPDX-License-Identifier: Apache-2.0
"""The part of the Philly trace that is played live."""

from msgspec import structs

from streams.traces.philly import Mode, philly
from streams.traces.workload import Workload

LIVE_DAYS = range(21, 23)
"""Two days: 1,744 jobs."""

_HOUR_MS = 3_600_000


def live_workload(days: range, hours: int | None = None) -> Workload:
    """Return days of the trace as one pool, or only so many hours from their beginning on."""
    workload = philly(days, Mode.POOL)
    if hours is None:
        return workload
    end_ms = min(workload.end_ms, workload.start_ms + hours * _HOUR_MS)
    arrivals = tuple(a for a in workload.arrivals if a.submit_ms < end_ms)
    return structs.replace(workload, arrivals=arrivals, end_ms=end_ms)
