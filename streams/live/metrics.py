# SPDX-License-Identifier: Apache-2.0
"""What an operator watches, as Prometheus metrics: all of them are made here and nowhere else.

No label is ever a job, a node or a tenant: what a label can be is a closed list.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from engine.phases import HOLDING, WAITING, Phase
from engine.state import State
from engine.table_rows import REASON_CODE, current_rows
from engine.tables import COLUMN
from schemas.decisions import PlanCommitted, SuspendOrdered
from schemas.reasons import Reason
from schemas.records import Record
from streams.live.ports import Role

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MILLI = 1_000
_PPM = 1_000_000


def _one_of(phases: Collection[Phase]) -> NDArray[np.bool_]:
    """Return by a phase's number whether it is one of these; -1, of a free row, is at the end."""
    found = np.zeros(max(Phase) + 2, np.bool_)
    found[list(phases)] = True
    return found


_IN_WAITING, _IN_HOLDING = _one_of(WAITING), _one_of(HOLDING)


class Metrics:
    """The metrics of one engine, in a registry of their own."""

    def __init__(self) -> None:
        """Start at zero."""
        self._registry = CollectorRegistry()
        self._cycle_s = self._seconds(
            "cycle", "Time of a cycle, by phase: plan, append of its batch.", "phase"
        )
        self._append_s = self._seconds("append", "Time of one transaction on the ledger.")
        self._waiting = self._gauge("jobs_waiting", "Jobs that wait, by reason.", "reason")
        self._decisions = self._count("decisions", "The engine's own records, by kind.", "kind")
        self._preemptions = self._count("preemptions", "Gangs suspended for another's sake.")
        self._gap = self._gauge("solver_gap_ratio", "Certified gap of the last plan.")
        self._terminations = self._count(
            "solver_terminations", "Plans, by how planning ended.", "reason"
        )
        self._allocated = self._gauge("allocated_devices", "Devices that gangs hold.")
        self._capacity = self._gauge("capacity_devices", "Usable devices of nodes that are there.")
        self._lag = self._gauge("consumer_lag_events", "Accepted events not yet decided.")
        self._folded = self._count("fold_events", "Records that this engine folded.")
        self._admitted = self._count(
            "admitted_events", "What became of accepted events.", "outcome"
        )
        self._epoch = self._gauge("epoch", "The ledger's epoch under this leader, or 0.")
        self._head = self._gauge("head_position", "How many records this engine has folded.")
        self._role = self._gauge("role", "1 for what this engine is.", "role")
        self._snapshot = self._gauge("snapshot_position", "Position of the last snapshot kept.")
        self._snapshot_failures = self._count(
            "snapshot_failures", "Snapshots that could not be kept."
        )

    def _seconds(self, name: str, text: str, *labels: str) -> Histogram:
        named = f"singlepool_{name}_seconds"
        return Histogram(named, text, labels, buckets=_SECONDS, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"singlepool_{name}", text, labels, registry=self._registry)

    def _count(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"singlepool_{name}", text, labels, registry=self._registry)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text form."""
        return generate_latest(self._registry)

    def value(self, name: str, **labels: str) -> float | None:
        """Return one sample, or None where there is none: for tests and the status view."""
        return self._registry.get_sample_value(name, labels)

    # --- what happened --------------------------------------------------------------------------

    def became(self, role: Role, epoch: int) -> None:
        """Take a change of role in."""
        for each in Role:
            self._role.labels(each.value).set(each is role)
        self._epoch.set(epoch)
        if role is Role.STANDBY:  # what only a leader counts it knows no more
            for gauge in (self._allocated, self._capacity, self._lag):
                gauge.set(0)
            for reason in Reason:
                self._waiting.labels(reason.value).set(0)

    def followed(self, records: int, head: int) -> None:
        """Count what was folded from the ledger."""
        self._folded.inc(records)
        self._head.set(head)

    def admitted(self, *, facts: int, duplicates: int, refused: int) -> None:
        """Count what became of accepted events."""
        counts = {"fact": facts, "duplicate": duplicates, "refused": refused}
        for outcome, count in counts.items():
            self._admitted.labels(outcome).inc(count)

    def appended(self, entries: Sequence[Record], head: int, seconds: float, lag: int) -> None:
        """Count a batch that is durable."""
        self._append_s.observe(seconds)
        self._head.set(head)
        self._lag.set(lag)
        self._folded.inc(len(entries))

    def planned(self, entries: Sequence[Record], plan_s: float, append_s: float) -> None:
        """Take a cycle in that is on the ledger."""
        self._cycle_s.labels("plan").observe(plan_s)
        self._cycle_s.labels("append").observe(append_s)
        for record in entries:
            self._decisions.labels(type(record.event).__name__).inc()
            match record.event:
                case SuspendOrdered():
                    self._preemptions.inc()
                case PlanCommitted(gap_ppm=gap, reason=reason):
                    self._gap.set(gap / _PPM)
                    self._terminations.labels(reason).inc()
                case _:
                    pass

    def counted(self, state: State) -> None:
        """Count who waits, what is held and what there is; it looks at every job that is not over.

        A million of them cost 45 ms, beyond what brings the rows of those that changed up to date,
        which the next cut need not do again.
        """
        rows = current_rows(state)
        phase = rows[:, COLUMN["phase"]]  # -1 in a free row
        waits = np.flatnonzero(_IN_WAITING[phase])
        waiting = np.bincount(rows[waits, COLUMN["reason"]], minlength=len(REASON_CODE))
        for reason in Reason:
            self._waiting.labels(reason.value).set(int(waiting[REASON_CODE[reason.value]]))
        holds = np.flatnonzero(_IN_HOLDING[phase])
        milli = rows[holds, COLUMN["workers"]] * rows[holds, COLUMN["worker_milli"]]
        self._allocated.set(int(milli.sum()) / _MILLI)
        there = (node for node in state.nodes.values() if not node.gone)
        self._capacity.set(sum(node.spec.devices - len(node.unusable) for node in there))

    def kept(self, position: int | None) -> None:
        """Take in that a snapshot was kept, or (None) that it could not be."""
        if position is None:
            self._snapshot_failures.inc()
        else:
            self._snapshot.set(position)
