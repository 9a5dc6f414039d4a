# SPDX-License-Identifier: Apache-2.0
"""An engine of one process on an embedded ledger: what is published is decided at once.

The clock is read here, at the edge, and becomes recorded time; it never runs backwards.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.evolve import advance
from engine.rules import CURRENT_RULES
from engine.state import State
from schemas.codec import decode_record
from schemas.decisions import Policy, PolicyActivated, RulesActivated
from schemas.ids import JobId
from schemas.ledger import Batch, NoSuchRejectedError, RejectedEvent, scan
from schemas.records import Published
from streams.build import fingerprint
from streams.closing import Closing
from streams.embedded import EmbeddedLedger
from streams.host import Host, rejected_event
from streams.intake import take_in

INBOX = "inbox"
_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the events of one call."""

    facts: int
    duplicates: int
    refused: tuple[RejectedEvent, ...]
    head: int


class Desk(Closing):
    """One engine on one ledger file. Use as a context manager."""

    def __init__(self, path: Path, policy: Policy) -> None:
        """Open or make the ledger, take its lease, and fold what is there."""
        self._ledger = EmbeddedLedger(path)
        self._lease = self._ledger.acquire("singlepool desk")
        self.state = self._folded()
        self._host = Host(self.state, fingerprint())
        if not self.state.head:
            start = self._host.activate(
                (RulesActivated(CURRENT_RULES), PolicyActivated(policy)), self._now_ms()
            )
            self._ledger.append(self._lease, 0, Batch(start.records))

    def _folded(self) -> State:
        state = State()
        for data in scan(self._ledger):
            advance(state, decode_record(data))
        state.directives.clear()
        return state

    def _now_ms(self) -> int:
        return max(time.time_ns() // 1_000_000, self.state.now_ms)

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    def publish(self, events: Sequence[Published]) -> Taken:
        """Keep events in the inbox, durably, then take in all that lies there and plan."""
        self._ledger.publish(events)
        facts, duplicates = 0, 0
        refused: list[RejectedEvent] = []
        while arrived := self._ledger.poll(self._ledger.consumed().get(INBOX, 0), _AT_ONCE):
            now_ms = self._now_ms()
            taken = take_in(event.published for event in arrived)
            batch = self._host.step(taken.accepted, now_ms, retry=True)
            wrong = [r.stored(now_ms) for r in taken.refused]
            wrong.extend(rejected_event(refusal, now_ms) for refusal in batch.refused)
            kept = Batch(batch.records, {INBOX: arrived[-1].offset}, wrong)
            self._ledger.append(self._lease, batch.start, kept)
            facts += len(batch.facts)
            duplicates += batch.duplicates
            refused.extend(wrong)
        return Taken(facts, duplicates, tuple(refused), self.state.head)

    def replay(self, numbers: Sequence[int]) -> Taken:
        """Publish refused events again, byte by byte, and remember that they were.

        Raises `NoSuchRejectedError`, and then publishes none. A crash in between leaves them to be
        published once more, which has no second effect.
        """
        again = [self._refused(number) for number in dict.fromkeys(numbers)]
        taken = self.publish(again)
        self._ledger.mark_replayed(numbers)
        return taken

    def _refused(self, number: int) -> Published:
        found = self._ledger.rejected(number, 1) if number > 0 else ()
        if not found or found[0][0] != number:
            msg = f"there is no refused event {number}; list them first"
            raise NoSuchRejectedError(msg)
        return found[0][1].published

    def verdicts(self) -> tuple[tuple[JobId, str, str], ...]:
        """Return (job, phase, reason) of every job that is not over, by id."""
        live = sorted(self.state.live_jobs(), key=lambda job: job.id)
        return tuple((job.id, job.phase.name.lower(), job.reason) for job in live)
