# SPDX-License-Identifier: Apache-2.0
"""What follows from a batch for those outside: directives for nodes, verdicts for upstream.

A function of the batch and of the state after it, so whoever leads says the same. Both are told in
the batch's own transaction: nobody sees a directive whose plan is not committed, and a takeover
neither loses nor repeats one.
"""

from collections.abc import Iterator

from engine.state import State
from schemas import decisions, jobs
from schemas.catalogue import BY_EVENT
from schemas.codec import encode_directive, encode_event
from schemas.decisions import VerdictReached
from schemas.directives import (
    DIRECTIVE_NAMES,
    Directive,
    LaunchDirective,
    ResizeDirective,
    StopDirective,
    SuspendDirective,
)
from schemas.ids import JobId, NodeName
from schemas.records import Record
from streams.host import Batch
from streams.live.ports import Channel, Output

TYPE_HEADER, POSITION_HEADER = "ce_type", "position"
"""What a message is, and the ledger position that it follows from; an agent ignores one whose
position is not above the last that it acted on for the job."""

_Standing = (
    jobs.JobSubmitted
    | jobs.JobCancelled
    | jobs.JobStarted
    | jobs.JobResumed
    | jobs.JobSuspended
    | jobs.JobFailed
    | jobs.JobFinished
    | jobs.JobStopped
    | decisions.LaunchOrdered
    | decisions.SuspendOrdered
    | decisions.MigrateOrdered
    | decisions.StopOrdered
    | decisions.VerdictReached
)
"""Events after which upstream may have to read something else about their job."""


def follows(state: State, batch: Batch) -> tuple[Output, ...]:
    """Return what is to be told once a batch is durable; `state` is that after it."""
    return (*_directives(state, batch), *_verdicts(state, batch))


# --- directives -----------------------------------------------------------------------------------


def _directives(state: State, batch: Batch) -> Iterator[Output]:
    """Yield one message per directive and node, so that a node's agent needs only its own."""
    for directive in batch.directives:
        value = encode_directive(directive)
        headers = _headers(DIRECTIVE_NAMES[type(directive)], directive.position)
        for node in _told(state, directive):
            yield Output(Channel.DIRECTIVES, node, value, headers)


def _told(state: State, directive: Directive) -> tuple[NodeName, ...]:
    """Return the nodes that a directive concerns: where the gang goes, and where it is."""
    slices = state.jobs[directive.job].slices
    match directive:
        case LaunchDirective():
            slices = directive.slices
        case ResizeDirective():
            slices = (*slices, *directive.slices)
        case SuspendDirective() | StopDirective():
            pass
    return tuple(dict.fromkeys(piece.node for piece in slices))


# --- verdicts -------------------------------------------------------------------------------------


def _verdicts(state: State, batch: Batch) -> Iterator[Output]:
    """Yield where each job stands that the batch may have moved; one that is over is forgotten."""
    said: dict[JobId, tuple[int, VerdictReached | None]] = {}
    for record in batch.entries:
        if isinstance(record.event, _Standing):
            said[_job(record.event)] = record.position, _evidence(record)
    for directive in batch.directives:
        if directive.job not in said:
            said[directive.job] = directive.position, None
    for name, (position, evidence) in said.items():
        verdict = _verdict(state, name, evidence)
        value = None if verdict is None else encode_event(verdict)
        headers = _headers(BY_EVENT[VerdictReached].ce_type, position)
        yield Output(Channel.VERDICTS, name, value, headers)


def _job(event: _Standing) -> JobId:
    return event.job.id if isinstance(event, jobs.JobSubmitted) else event.job


def _evidence(record: Record) -> VerdictReached | None:
    return record.event if isinstance(record.event, VerdictReached) else None


def _verdict(state: State, name: JobId, evidence: VerdictReached | None) -> VerdictReached | None:
    job = state.jobs[name]
    if job.ended:
        return None
    if evidence is not None and evidence.reason == job.reason:
        return evidence
    return VerdictReached(name, job.reason, 0, 0)


def _headers(ce_type: str, position: int) -> tuple[tuple[str, bytes], ...]:
    return (TYPE_HEADER, ce_type.encode()), (POSITION_HEADER, str(position).encode())
