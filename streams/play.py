# SPDX-License-Identifier: Apache-2.0
"""Play a workload through the engine under virtual time, on any ledger.

Time passes only when the engine has nothing left to do at it. After a crash the same loop goes on
from the ledger's prefix and ends in the same state: what is pending is found in the ledger, never
in memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from engine.evolve import evolve, skip
from engine.rules import CURRENT_RULES
from engine.state import State
from engine.wakeup import next_wakeup
from schemas.codec import decode_record
from schemas.decisions import Policy, PolicyActivated, RulesActivated
from schemas.ledger import Batch as LedgerBatch
from schemas.ledger import Lease, LedgerWriter, RejectedEvent, scan
from schemas.records import Published
from streams.build import fingerprint
from streams.host import Batch, Host, rejected_event
from streams.intake import take_in
from streams.player import TracePlayer
from streams.traces.workload import Workload

_MOST_HELD = 64


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a play is: virtual time, records so far, jobs ended of all."""

    now_ms: int
    records: int
    ended: int
    jobs: int


@dataclass(frozen=True, slots=True)
class Played:
    """How a play ended."""

    head: int
    digest: bytes
    cycles: int
    refused: int
    end_ms: int


class Play:
    """One workload on one ledger. Mutable; made anew after a crash."""

    def __init__(
        self,
        ledger: LedgerWriter,
        workload: Workload,
        policy: Policy,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        """Take the ledger and go on where its records end; `log` gets one line per cycle."""
        self._log = log
        self._ledger = ledger
        self._workload = workload
        self._policy = policy
        self._lease: Lease = ledger.acquire("singlepool play")
        self._player = TracePlayer(workload)
        self._host = Host(self._recover(), fingerprint())
        self._now_ms = max(self._host.state.now_ms, workload.start_ms)
        self._refused = 0
        self._held: list[Batch] = []
        self._refusals: list[RejectedEvent] = []

    def _recover(self) -> State:
        """Fold the ledger's prefix, and let the player recall its part in it."""
        state = State()
        for data in scan(self._ledger):
            record = decode_record(data)
            if record is None:
                skip(state)
                continue
            evolve(state, record)
            self._player.recall(record.event, record.recorded_ms)
            for directive in state.take_directives():
                self._player.observe(directive, record.recorded_ms)
        return state

    def run(self, watch: Callable[[Progress], None] | None = None) -> Played:
        """Play to the end: no event is due any more and nobody can be placed."""
        host, player = self._host, self._player
        if not host.state.head:
            rules = RulesActivated(CURRENT_RULES)
            self._keep(host.activate((rules, PolicyActivated(self._policy)), self._now_ms))
        while True:
            # 1. Find the next moment at which somebody has something to do.
            wake_ms = next_wakeup(host.state, self._now_ms)
            event_ms = player.next_ms()
            times = [time for time in (wake_ms, event_ms) if time is not None]
            if not times:
                break
            self._now_ms = max(self._now_ms, min(times))
            # 2. Let the engine take what is due, plan, and record both at once.
            arrived = player.due(self._now_ms)
            taken = take_in(arrived)
            batch = host.step(taken.accepted, self._now_ms, retry=wake_ms == self._now_ms)
            self._refusals.extend(refused.stored(self._now_ms) for refused in taken.refused)
            self._refusals.extend(rejected_event(r, self._now_ms) for r in batch.refused)
            self._keep(batch)
            # 3. Let the player see what counted, and what its agents are told.
            self._show(arrived, batch)
            if event_ms is None and not batch.records:
                break
            if watch is not None:
                watch(self._progress())
        self._flush()
        state = host.state
        return Played(
            state.head, host.digest.update(state), state.memory.cycle, self._refused, self._now_ms
        )

    def _show(self, offered: Sequence[Published], batch: Batch) -> None:
        admitted = {published.origin.ce_id for published, _ in batch.facts}
        for _, event in batch.facts:
            self._player.recall(event, self._now_ms)
        if len(batch.facts) < len(offered):
            for published in offered:
                if published.origin.ce_id not in admitted:
                    self._player.dropped(published)
        for directive in batch.directives:
            self._player.observe(directive, self._now_ms)

    def _keep(self, batch: Batch) -> None:
        """Hold a batch until somebody is told something, then make all held durable at once.

        Nobody outside has seen any of it before, so a crash in between only means that it is played
        again.
        """
        self._held.append(batch)
        if batch.planned and self._log is not None:
            self._log.info("cycle", **self._line(batch))
        if batch.directives or len(self._held) >= _MOST_HELD:
            self._flush()

    def _line(self, batch: Batch) -> dict[str, int]:
        """Return what one canonical log line says of a cycle."""
        state = self._host.state
        return {
            "cycle": state.memory.cycle,
            "recorded_ms": self._now_ms,
            "position": batch.start,
            "records": len(batch.records),
            "facts": len(batch.facts),
            "directives": len(batch.directives),
            "refused": len(batch.refused),
        }

    def _flush(self) -> None:
        records = [record for batch in self._held for record in batch.records]
        if records or self._refusals:
            kept = LedgerBatch(records, rejected=tuple(self._refusals))
            self._ledger.append(self._lease, self._held[0].start, kept)
        self._refused += len(self._refusals)
        self._held.clear()
        self._refusals.clear()

    def _progress(self) -> Progress:
        state = self._host.state
        ended = sum(totals.ended for totals in state.tiers.values())
        return Progress(self._now_ms, state.head, ended, len(self._workload.arrivals))
