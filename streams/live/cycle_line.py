# SPDX-License-Identifier: Apache-2.0
"""The canonical log line of a cycle: one line, all that is asked first about it."""

from collections import Counter

from msgspec import Struct

from schemas.decisions import CycleOpened, PlanCommitted
from streams.host import Batch


class Durations(Struct, frozen=True):
    """How long a cycle took: from its cut until the plan was there, and to append its batch."""

    plan_ms: int
    append_ms: int


def cycle_line(batch: Batch, epoch: int, durations: Durations) -> dict[str, object]:
    """Return the line's fields for the batch of a plan."""
    opened = next(r.event for r in batch.entries if isinstance(r.event, CycleOpened))
    commit = batch.entries[-1]
    kinds = Counter(type(entry.event).__name__ for entry in batch.entries)
    line: dict[str, object] = {
        "cycle": opened.cycle,
        "epoch": epoch,
        "position": batch.start,
        "cut": opened.cut,
        "recorded_ms": commit.recorded_ms,
        "records": len(batch.records),
        "launches": kinds["LaunchOrdered"],
        "suspends": kinds["SuspendOrdered"],
        "migrates": kinds["MigrateOrdered"],
        "resizes": kinds["ResizeOrdered"],
        "stops": kinds["StopOrdered"],
        "dropped": kinds["ActionDropped"],
        "verdicts": kinds["VerdictReached"],
        "directives": len(batch.directives),
        "plan_ms": durations.plan_ms,
        "append_ms": durations.append_ms,
    }
    if isinstance(commit.event, PlanCommitted):
        line |= {
            "gap_ppm": commit.event.gap_ppm,
            "ended": commit.event.reason,
            "full_solve": commit.event.full_solve,
        }
    return line
