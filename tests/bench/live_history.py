# SPDX-License-Identifier: Apache-2.0
"""A long history for the bench of a start: small jobs that come, run and end on a fleet, by rote.

Nothing is planned, so a million records take seconds. Each job leaves four records and stays in the
state for good, which is as much state as a history of this length can have.
"""

from collections.abc import Iterator

from engine.evolve import evolve
from engine.policies import POOL
from engine.rules import CURRENT_RULES
from engine.state import State
from schemas import fleet, jobs
from schemas.catalogue import Event
from schemas.codec import encode_record, publish
from schemas.decisions import (
    CycleOpened,
    LaunchOrdered,
    PlanCommitted,
    PolicyActivated,
    RulesActivated,
    Slice,
)
from schemas.ids import NodeName
from schemas.records import Origin, Record
from tests.engine.stage import START_MS, genesis, job, node

NODE_DEVICES = 8
_CYCLE_MS = 1_000


def wide_fleet(nodes: int) -> tuple[Event, ...]:
    """The stage's fleet with so many more nodes of eight devices in its first cluster."""
    more = (fleet.NodeDeclared(node(f"w{n:05}", "a", NODE_DEVICES)) for n in range(nodes))
    return (*genesis(), *more)


class History:
    """Records, and the state that they give."""

    def __init__(self, nodes: int) -> None:
        """Declare a fleet."""
        self.state = State()
        self.records: list[bytes] = []
        self._nodes = nodes
        self._now_ms = START_MS
        for event in (RulesActivated(CURRENT_RULES), PolicyActivated(POOL), *wide_fleet(nodes)):
            self._record(event)

    def grow(self, records: int) -> None:
        """Add whole rounds of jobs, one for each device, until there are so many records."""
        slots = [
            (NodeName(f"w{n:05}"), slot) for n in range(self._nodes) for slot in range(NODE_DEVICES)
        ]
        while len(self.records) < records:
            self._now_ms += _CYCLE_MS
            for event in self._round(slots):
                self._record(event)

    def _round(self, slots: list[tuple[NodeName, int]]) -> Iterator[Event]:
        cycle = self.state.memory.cycle + 1
        wanted = [job(f"h{cycle}-{n}") for n in range(len(slots))]
        yield from (jobs.JobSubmitted(each) for each in wanted)
        yield CycleOpened(cycle, self.state.head)
        for each, (name, slot) in zip(wanted, slots, strict=True):
            yield LaunchOrdered(each.id, 1, 1, (Slice(name, (slot,), 1_000, 1),))
        yield self._commit(cycle, len(slots))
        yield from (jobs.JobStarted(each.id, 1) for each in wanted)
        yield from (jobs.JobFinished(each.id, 1) for each in wanted)

    def _commit(self, cycle: int, launches: int) -> PlanCommitted:
        return PlanCommitted(
            cycle=cycle,
            proposed=launches,
            applied=launches,
            dropped=0,
            actions_digest=bytes(32),
            policy="pool@1",
            rules=CURRENT_RULES,
            build="by rote",
            problem_digest=bytes(32),
            reason="by rote",
            objective=0,
            bound=0,
            gap_ppm=0,
            full_solve=False,
            prices=(),
            state_digest=bytes(32),
        )

    def _record(self, event: Event) -> None:
        position = self.state.head
        published = publish(event, Origin(f"h-{position}", "history"))
        self.records.append(encode_record(position, self._now_ms, published, None))
        evolve(self.state, Record(position, self._now_ms, event))
        self.state.directives.clear()
