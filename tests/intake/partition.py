# SPDX-License-Identifier: Apache-2.0
"""One partition of an upstream topic, as intake's tests write it and see it reduced."""

from collections.abc import Sequence

from schemas.catalogue import Event
from schemas.codec import decode_event, publish
from schemas.fleet import NodeHealthReported, NodeHeartbeat
from schemas.ids import DeploymentId, NodeName, RegionName
from schemas.records import Origin, Published
from schemas.serving import RequestProfile, RequestProfileObserved, RequestServed
from streams.intake.cells import decode_cell, encode_cell
from streams.intake.judging import Refused
from streams.intake.reducer import Arrived, Forwarded, IntakeState, Output, Quiet, reduce
from streams.sources import ALLOW_ALL, SourceRules

FAR_MS = 2**52
"""Intake's clock, where a test reads a backlog: far ahead of all records."""

START_MS = 1_767_225_600_000
"""A full minute, so that windows begin there."""


def beat(node: str, sequence: int, *, boot: int = 1, errors: int = 0) -> NodeHeartbeat:
    return NodeHeartbeat(NodeName(node), boot, sequence, 0, errors)


def served(
    sequence: int, at_ms: int = 0, *, gateway: str = "gw-1", latency_ms: int = 100, boot: int = 1
) -> RequestServed:
    return RequestServed(
        deployment=DeploymentId("acme/chat@1"),
        origin_region=RegionName("west"),
        gateway=gateway,
        boot=boot,
        sequence=sequence,
        served_ms=START_MS + at_ms,
        prompt_tokens=10,
        output_tokens=5,
        reused_prefix_tokens=4,
        latency_ms=latency_ms,
    )


class Partition:
    """A log and the state that reduces it. Times are ms after `START_MS`."""

    def __init__(self, topic: str = "fleet.events.main", rules: SourceRules = ALLOW_ALL) -> None:
        """Begin with nothing."""
        self.state = IntakeState(topic, 3, rules)
        self.log: list[Arrived] = []
        self.outputs: list[Output] = []

    def arrives(self, event: Event | Published, at_ms: int) -> Sequence[Output]:
        """Append a record to the log and reduce it."""
        number = len(self.log)
        origin = Origin(f"e-{number}", "upstream")
        published = event if isinstance(event, Published) else publish(event, origin)
        self.log.append(Arrived(number, START_MS + at_ms, published))
        return self.read(number)

    def read(self, offset: int) -> Sequence[Output]:
        """Reduce a record of the log, again perhaps."""
        found = reduce(self.state, self.log[offset], FAR_MS)
        self.outputs.extend(found)
        return found

    def quiet(self, at_ms: int) -> Sequence[Output]:
        """Let time pass while nothing comes."""
        found = reduce(self.state, Quiet(), START_MS + at_ms)
        self.outputs.extend(found)
        return found

    def wait(self, at_ms: int) -> Sequence[Output]:
        """Let time pass in small steps, as a host does."""
        step_ms = self.state.fold.sweep_ms
        begin_ms = self.state.clock_ms - START_MS
        found: list[Output] = []
        for now_ms in (*range(begin_ms, at_ms, step_ms), at_ms):
            found.extend(self.quiet(now_ms))
        return found

    def restarted(self) -> "Partition":
        """Return what a new worker knows: the cells, as they are kept, and the log."""
        again = Partition(self.state.topic, self.state.rules)
        again.state.cells = [decode_cell(encode_cell(cell)) for cell in self.state.cells]
        again.log = self.log
        return again


def events(outputs: Sequence[Output]) -> list[Event]:
    """Return the events that were forwarded, decoded."""
    sent = [o.published for o in outputs if isinstance(o, Forwarded)]
    return [decode_event(p.ce_type, p.payload) for p in sent]


def healths(outputs: Sequence[Output]) -> list[tuple[str, str, int]]:
    """Return node, health and sequence (as ms after `START_MS`) of each report."""
    reports = [e for e in events(outputs) if isinstance(e, NodeHealthReported)]
    return [(r.node, r.health.name, r.sequence - START_MS) for r in reports]


def profiles(outputs: Sequence[Output]) -> list[RequestProfile]:
    """Return the profiles among what was forwarded."""
    return [e.profile for e in events(outputs) if isinstance(e, RequestProfileObserved)]


def refusals(outputs: Sequence[Output]) -> list[Refused]:
    return [o for o in outputs if isinstance(o, Refused)]


def merged(found: Sequence[RequestProfile]) -> dict[tuple[object, ...], RequestProfile]:
    """Return what profiles come to in effect: of one window and source, the one with most."""
    best: dict[tuple[object, ...], RequestProfile] = {}
    for profile in found:
        key = (profile.deployment, profile.origin_region, profile.source, profile.window_start_ms)
        if key not in best or best[key].requests < profile.requests:
            best[key] = profile
    return best
