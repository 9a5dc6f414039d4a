# SPDX-License-Identifier: Apache-2.0
"""What must hold of a state by itself, between plans.

Here the snapshot holds all nodes and all jobs that are not over, since who holds what is compared
from both sides.
"""

from collections.abc import Callable, Iterator, Mapping

from msgspec import structs

from schemas.decisions import Slice
from schemas.ids import NodeName
from solvers.judge import devices
from solvers.judge.facts import DEVICE_MILLI, JobFacts, NodeFacts, Phase, Proposal, Snapshot
from solvers.judge.touched import Contested, Part, Taking, Touched
from solvers.judge.violation import WHOLE_PLAN, PlanRule, Violation

_HOLDING = (Phase.STARTING, Phase.RUNNING, Phase.SUSPENDING, Phase.STOPPING)
_RELEASING = (Phase.SUSPENDING, Phase.STOPPING)
_PROMISES = (
    devices.unusable_slot,
    devices.promised_twice,
    devices.missing_wait,
    devices.over_capacity,
)


def check_state(snapshot: Snapshot) -> tuple[Violation, ...]:
    """Return all that is wrong with a state, whatever is planned next; empty when nothing is."""
    found = [violation for check in _CHECKS for violation in check(snapshot)]
    return tuple(found)


def promises_kept(snapshot: Snapshot) -> Iterator[Violation]:
    """What is claimed is free, or held by those who release it and are waited for."""
    nodes = [node for node in snapshot.nodes.values() if node.claims]
    contested = tuple([_claims_as_takings(node) for node in nodes])
    seen = Touched(
        snapshot, Proposal(snapshot.position, ()), (), (), (), (), leaves_at={}, contested=contested
    )
    for check in _PROMISES:
        yield from check(seen)


def _claims_as_takings(node: NodeFacts) -> Contested:
    parts = [Part(h.job, h.slots, h.milli, h.workers, h.shape, h.releasing) for h in node.holders]
    takings = [
        Taking(WHOLE_PLAN, c.job, c.slots, c.milli, c.workers, c.shape, (*c.waits_for, c.job))
        for c in node.claims
    ]
    return Contested(structs.replace(node, claims=()), tuple(parts), tuple(takings))


def held_once(snapshot: Snapshot) -> Iterator[Violation]:
    """No slot is held beyond the thousandths of a device."""
    for node in snapshot.nodes.values():
        held: dict[int, int] = {}
        for holding in node.holders:
            for slot in holding.slots:
                held[slot] = held.get(slot, 0) + holding.milli
        for slot, milli in held.items():
            if milli > DEVICE_MILLI:
                sentence = f"{milli} milli of slot {slot} of {node.name} are held"
                yield _broken(PlanRule.PROMISED_TWICE, f"{node.name}/{slot}", sentence)


def waits_are_real(snapshot: Snapshot) -> Iterator[Violation]:
    """A claim waits for jobs that are releasing, so that it ends."""
    for node in snapshot.nodes.values():
        for claim in node.claims:
            for holder in claim.waits_for:
                job = snapshot.jobs.get(holder)
                if job is None or not (job.phase in _RELEASING or job.resizing):
                    sentence = f"{claim.job} waits for {holder}, which releases nothing"
                    yield _broken(PlanRule.VAIN_WAIT, claim.job, sentence)


def gangs_are_whole(snapshot: Snapshot) -> Iterator[Violation]:
    """A gang holds devices whole, exactly in the phases that hold any, and its nodes know."""
    for name, job in snapshot.jobs.items():
        placed = sum([piece.workers for piece in job.slices])
        if (job.phase in _HOLDING) != bool(job.slices) or placed != job.workers:
            sentence = f"{name}, {job.phase.name.lower()} with {job.workers} workers, has {placed}"
            yield _broken(PlanRule.GANG_PARTS, name, sentence)
        if job.slices and not job.spec.workers_min <= placed <= job.spec.workers_max:
            asked = f"{job.spec.workers_min} to {job.spec.workers_max}"
            sentence = f"{name} holds room for {placed} workers, asked are {asked}"
            yield _broken(PlanRule.GANG_SIZE, name, sentence)
        for piece in job.slices:
            if not _known_on(snapshot.nodes, piece, job):
                sentence = f"{name} holds slots {piece.slots} of {piece.node}, which knows others"
                yield _broken(PlanRule.GANG_PARTS, name, sentence)


def _known_on(nodes: Mapping[NodeName, NodeFacts], piece: Slice, job: JobFacts) -> bool:
    node = nodes.get(piece.node)
    mine = [h for h in node.holders if h.job == job.spec.id] if node is not None else []
    slots = [slot for holding in mine for slot in holding.slots]
    workers = sum([holding.workers for holding in mine])
    return workers >= piece.workers and all(slot in slots for slot in piece.slots)


def holders_are_known(snapshot: Snapshot) -> Iterator[Violation]:
    """Who holds something on a node knows of it, or is growing into it."""
    for node in snapshot.nodes.values():
        for holding in node.holders:
            job = snapshot.jobs.get(holding.job)
            if job is None:
                sentence = f"{holding.job} holds slots {holding.slots} of {node.name}: unknown"
                yield _broken(PlanRule.UNKNOWN_JOB, holding.job, sentence)
            elif not job.resizing and node.name not in [piece.node for piece in job.slices]:
                sentence = f"{holding.job} holds slots {holding.slots} of {node.name} unknowingly"
                yield _broken(PlanRule.GANG_PARTS, holding.job, sentence)


def confidential_work_is_trusted(snapshot: Snapshot) -> Iterator[Violation]:
    """Confidential work stands on attested nodes of confidential SKUs, unless it is leaving."""
    for node in snapshot.nodes.values():
        for holding in node.holders:
            job = snapshot.jobs.get(holding.job)
            if job is None or holding.releasing or not job.spec.constraints.confidential:
                continue
            if not node.sku_confidential:
                sentence = f"{holding.job} is on {node.name}, SKU {node.sku!r} not confidential"
                yield _broken(PlanRule.NOT_CONFIDENTIAL, node.name, sentence)
            elif node.attested_until_ms <= snapshot.now_ms:
                sentence = (
                    f"{holding.job} is on {node.name}, attested until {node.attested_until_ms} ms; "
                    f"it is {snapshot.now_ms} ms"
                )
                yield _broken(PlanRule.NOT_ATTESTED, node.name, sentence)


def _broken(rule: PlanRule, subject: str, sentence: str) -> Violation:
    return Violation(rule, WHOLE_PLAN, subject, sentence)


_CHECKS: tuple[Callable[[Snapshot], Iterator[Violation]], ...] = (
    held_once,
    promises_kept,
    waits_are_real,
    gangs_are_whole,
    holders_are_known,
    confidential_work_is_trusted,
)
