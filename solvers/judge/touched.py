# SPDX-License-Identifier: Apache-2.0
"""One pass over a plan: what its actions take and give up, and what its nodes look like after it.

Every rule reads from here, so that judging costs what the plan touches and nothing else.
"""

from collections.abc import Mapping

from msgspec import Struct

from schemas.decisions import (
    Action,
    LaunchOrdered,
    MigrateOrdered,
    ResizeOrdered,
    Slice,
    StopOrdered,
    SuspendOrdered,
)
from schemas.ids import JobId, NodeName
from schemas.jobs import WorkerShape
from solvers.judge.facts import JobFacts, NodeFacts, Proposal, Snapshot

Placement = LaunchOrdered | MigrateOrdered | ResizeOrdered


class Act(Struct, frozen=True):
    """An action about a known job.

    `nodes` are those of its slices that are known; `taken` is what it newly takes on them, a slice
    per node. A launch and a migration take all that they name, a resize what the job does not hold
    yet.
    """

    index: int
    action: Action
    job: JobFacts
    nodes: tuple[NodeFacts, ...] = ()
    taken: tuple[tuple[Slice, NodeFacts], ...] = ()


class Taking(Struct, frozen=True):
    """What an action newly takes on a node; it may start once all of `waits_for` have released."""

    index: int
    job: JobId
    slots: tuple[int, ...]
    milli: int
    workers: int
    shape: WorkerShape
    waits_for: tuple[JobId, ...]


class Part(Struct, frozen=True):
    """Part of a holding that stays, or that `leaves` by this plan or an earlier one."""

    job: JobId
    slots: tuple[int, ...]
    milli: int
    workers: int
    shape: WorkerShape
    leaves: bool


class Contested(Struct, frozen=True):
    """A node that the plan takes something on: who is there, and who comes."""

    node: NodeFacts
    parts: tuple[Part, ...]
    takings: tuple[Taking, ...]


class Touched(Struct, frozen=True):
    """A plan laid over the facts.

    `placements`, `launches` and `moves` are the acts that place a gang, those of them that launch
    one, and those that take devices from a gang that runs, with who gains. `leaves_at`: job to the
    index of the action that makes it release, all or some. `contested`: by node, in the order of
    the plan.
    """

    snapshot: Snapshot
    proposal: Proposal
    acts: tuple[Act, ...]
    placements: tuple[tuple[Act, Placement], ...]
    launches: tuple[tuple[Act, LaunchOrdered], ...]
    moves: tuple[tuple[Act, JobId], ...]
    leaves_at: Mapping[JobId, int]
    contested: tuple[Contested, ...]


def touch(snapshot: Snapshot, proposal: Proposal) -> Touched:
    """Return the plan laid over the facts; what names an unknown job or node is left out."""
    acts = _acts(snapshot, proposal)
    placements: list[tuple[Act, Placement]] = []
    launches: list[tuple[Act, LaunchOrdered]] = []
    moves: list[tuple[Act, JobId]] = []
    leaves_at: dict[JobId, int] = {}
    kept: dict[JobId, Mapping[NodeName, Slice]] = {}
    for act in acts:
        match act.action:
            case LaunchOrdered() as action:
                placements.append((act, action))
                launches.append((act, action))
            case MigrateOrdered() as action:
                placements.append((act, action))
                moves.append((act, action.gains))
                leaves_at.setdefault(action.job, act.index)
            case ResizeOrdered() as action:
                placements.append((act, action))
                if action.workers < act.job.workers:
                    moves.append((act, action.gains))
                    leaves_at.setdefault(action.job, act.index)
                    kept.setdefault(action.job, {piece.node: piece for piece in action.slices})
            case SuspendOrdered() as action:
                moves.append((act, action.gains))
                leaves_at.setdefault(action.job, act.index)
            case StopOrdered() as action:
                leaves_at.setdefault(action.job, act.index)
    return Touched(
        snapshot=snapshot,
        proposal=proposal,
        acts=tuple(acts),
        placements=tuple(placements),
        launches=tuple(launches),
        moves=tuple(moves),
        leaves_at=leaves_at,
        contested=_contested(snapshot, placements, leaves_at, kept),
    )


def _contested(
    snapshot: Snapshot,
    placements: list[tuple[Act, Placement]],
    leaves_at: Mapping[JobId, int],
    kept: Mapping[JobId, Mapping[NodeName, Slice]],
) -> tuple[Contested, ...]:
    takings: dict[NodeName, list[Taking]] = {}
    for act, action in placements:
        _take(act, action, takings)
    contested: list[Contested] = []
    for name, taken in takings.items():
        node = snapshot.nodes[name]
        contested.append(Contested(node, _parts(node, leaves_at, kept), tuple(taken)))
    return tuple(contested)


def _acts(snapshot: Snapshot, proposal: Proposal) -> list[Act]:
    jobs, nodes = snapshot.jobs, snapshot.nodes
    acts: list[Act] = []
    for index, action in enumerate(proposal.actions):
        job = jobs.get(action.job)
        if job is None:
            continue
        if not isinstance(action, Placement):
            acts.append(Act(index, action, job))
            continue
        on = [(piece, nodes[piece.node]) for piece in action.slices if piece.node in nodes]
        taken = _added(job, on) if isinstance(action, ResizeOrdered) else tuple(on)
        acts.append(Act(index, action, job, tuple([node for _, node in on]), taken))
    return acts


def _added(job: JobFacts, on: list[tuple[Slice, NodeFacts]]) -> tuple[tuple[Slice, NodeFacts], ...]:
    held = {piece.node: piece for piece in job.slices}
    beyond = [(_beyond(held, piece), node) for piece, node in on]
    return tuple([(piece, node) for piece, node in beyond if piece.workers or piece.slots])


def _beyond(held: Mapping[NodeName, Slice], piece: Slice) -> Slice:
    known = held.get(piece.node)
    if known is None:
        return piece
    slots = tuple([slot for slot in piece.slots if slot not in known.slots])
    return Slice(piece.node, slots, piece.milli, max(piece.workers - known.workers, 0))


def _take(act: Act, action: Placement, takings: dict[NodeName, list[Taking]]) -> None:
    shape = act.job.spec.worker
    waits: tuple[JobId, ...] = ()
    if isinstance(action, LaunchOrdered):
        waits = action.waits_for
    elif isinstance(action, MigrateOrdered):
        # The next attempt never starts before its own gang has left.
        waits = (*action.waits_for, action.job)
    for piece, node in act.taken:
        taking = Taking(
            act.index, action.job, piece.slots, piece.milli, piece.workers, shape, waits
        )
        takings.setdefault(node.name, []).append(taking)


def _parts(
    node: NodeFacts,
    leaves_at: Mapping[JobId, int],
    kept: Mapping[JobId, Mapping[NodeName, Slice]],
) -> tuple[Part, ...]:
    parts: list[Part] = []
    for held in node.holders:
        if not held.releasing and held.job in kept:
            rest = kept[held.job].get(node.name)
            slots = () if rest is None else tuple(s for s in held.slots if s in rest.slots)
            stay = 0 if rest is None else min(rest.workers, held.workers)
            gone = tuple(s for s in held.slots if s not in slots)
            parts.append(Part(held.job, slots, held.milli, stay, held.shape, leaves=False))
            parts.append(
                Part(held.job, gone, held.milli, held.workers - stay, held.shape, leaves=True)
            )
        else:
            leaves = held.releasing or held.job in leaves_at
            parts.append(
                Part(held.job, held.slots, held.milli, held.workers, held.shape, leaves=leaves)
            )
    return tuple(parts)
