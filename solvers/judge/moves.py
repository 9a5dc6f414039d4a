# SPDX-License-Identifier: Apache-2.0
"""Rules on moves: who may be suspended, migrated or shrunk, when, and for whose sake."""

from collections.abc import Iterator

from schemas.decisions import ResizeOrdered
from schemas.ids import JobId
from solvers.judge.facts import JobFacts, NodeFacts, Snapshot
from solvers.judge.touched import Act, Touched
from solvers.judge.violation import PlanRule, Violation


def _for_others(seen: Touched) -> Iterator[tuple[Act, JobId]]:
    return ((act, gains) for act, gains in seen.moves if gains != act.action.job)


def moves_off(seen: Touched) -> Iterator[Violation]:
    """Where the policy moves nothing, only work that must leave its node is moved."""
    if seen.snapshot.moves:
        return
    for act, gains in seen.moves:
        if gains != act.action.job or not _must_leave(seen.snapshot, act.job):
            sentence = f"{act.action.job} is moved for {gains}; the policy moves nothing"
            yield Violation(PlanRule.MOVES_OFF, act.index, act.action.job, sentence)


def _must_leave(snapshot: Snapshot, job: JobFacts) -> bool:
    nodes = [snapshot.nodes[piece.node] for piece in job.slices if piece.node in snapshot.nodes]
    return any(_unfit(snapshot, job, node) for node in nodes)


def _unfit(snapshot: Snapshot, job: JobFacts, node: NodeFacts) -> bool:
    if not node.healthy_for_new_work:
        return True
    trusted = node.sku_confidential and node.attested_until_ms > snapshot.now_ms
    return job.spec.constraints.confidential and not trusted


def moved_too_soon(seen: Touched) -> Iterator[Violation]:
    """A run is displaced after the policy's shortest time, and by a reservation's owner at once."""
    snapshot = seen.snapshot
    for act, gains in _for_others(seen):
        gainer, ran_ms = snapshot.jobs.get(gains), snapshot.now_ms - act.job.running_since_ms
        owner = gainer is not None and gainer.reservation is not None
        if ran_ms < snapshot.min_run_ms and not owner:
            sentence = (
                f"{act.action.job} is moved for {gains} after a run of {ran_ms} ms, "
                f"shortest is {snapshot.min_run_ms} ms"
            )
            yield Violation(PlanRule.MOVED_TOO_SOON, act.index, act.action.job, sentence)


def moved_in_vain(seen: Touched) -> Iterator[Violation]:
    """Who is said to gain by a move takes devices in this plan."""
    takers = {act.action.job for act in seen.acts if act.taken}
    for act, gains in _for_others(seen):
        if gains not in takers:
            sentence = f"{act.action.job} is moved for {gains}, which takes nothing"
            yield Violation(PlanRule.MOVED_IN_VAIN, act.index, act.action.job, sentence)


def reserved_displaced(seen: Touched) -> Iterator[Violation]:
    """Premium work inside its reservation gives way to nobody but such work.

    What an elastic gang has beyond its fewest workers is not guaranteed.
    """
    for act, gains in _for_others(seen):
        action, gainer = act.action, seen.snapshot.jobs.get(gains)
        if act.job.reservation is None or gainer is None or gainer.reservation is not None:
            continue
        if isinstance(action, ResizeOrdered) and action.workers >= act.job.spec.workers_min:
            continue
        sentence = (
            f"{action.job}, premium inside {act.job.reservation}, is displaced for {gains}, "
            f"{gainer.tier.name.lower()} outside reservations"
        )
        yield Violation(PlanRule.RESERVED_DISPLACED, act.index, action.job, sentence)
