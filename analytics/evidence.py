# SPDX-License-Identifier: Apache-2.0
"""What the fold shows about a waiting job: who may hold it, where most fits, what is missing."""

import numpy as np
from msgspec import Struct

from engine.planning.eligibility import eligible_rows, exclusions, largest_gang
from engine.planning.ground import Ground
from engine.snapshot import DEVICE_MILLI, Snapshot, cut
from engine.state import State
from engine.tables import IntArray
from schemas.ids import JobId
from schemas.jobs import WorkerShape
from schemas.kinds import Span
from schemas.reasons import WORDING, Rule


class Excluded(Struct, frozen=True):
    """How many nodes a rule takes out of those that the rules before it left."""

    rule: str
    meaning: str
    nodes: int


class Lacking(Struct, frozen=True):
    """How many nodes have too little free of something for one worker."""

    what: str
    nodes: int


class Evidence(Struct, frozen=True):
    """Counts about one waiting job at a moment.

    `reason` is what the fold holds: the last verdict, or that of a job not yet concluded about. The
    job needs `needs_devices` (`needs_workers` workers at least) within one `span`. Of `nodes`
    nodes, `excluded` are out by the rules in their order and `eligible_nodes` are left, with
    `free_devices` whole devices free; `lacking` of these have no room for a worker, each counted
    once, for the first amount that is short. `roomiest` is the place where most of the gang fits
    now: `fits_workers` workers, `short_devices` devices too few. `largest_gang` workers would fit
    together if nothing ran at all.
    """

    reason: str
    span: str
    needs_workers: int
    needs_devices: float
    nodes: int
    excluded: tuple[Excluded, ...]
    eligible_nodes: int
    free_devices: int
    lacking: tuple[Lacking, ...]
    roomiest: str
    fits_workers: int
    short_devices: float
    largest_gang: int

    @property
    def can_run(self) -> bool:
        """Whether an empty fleet could hold it as asked."""
        return self.largest_gang >= self.needs_workers


def gather(state: State, job: JobId) -> Evidence | None:
    """Return the evidence about a job from a state that is a valid cut; None unless it waits."""
    known = state.live.get(job)
    if known is None or state.policy is None:
        return None
    snapshot = cut(state, state.now_ms)
    kind, worker = known.kind_index, known.spec.worker
    rows = eligible_rows(snapshot, kind)
    fits = Ground(snapshot).fits(kind)
    group = int(fits.argmax()) if len(fits) else -1
    room = int(fits[group]) if group >= 0 else 0
    # Without moves a gang could never grow, so it starts whole.
    least = known.spec.workers_min if snapshot.policy.moves else known.spec.workers_max
    per_worker = worker.devices * worker.device_milli / DEVICE_MILLI
    most = largest_gang(snapshot, kind)
    return Evidence(
        reason=known.reason,
        span=known.spec.constraints.span.name.lower(),
        needs_workers=least,
        needs_devices=least * per_worker,
        nodes=len(snapshot.fleet.names),
        excluded=_excluded(snapshot, kind, fits_empty=most >= least),
        eligible_nodes=len(rows),
        free_devices=int((snapshot.milli[rows] >= DEVICE_MILLI).sum()),
        lacking=_lacking(snapshot, rows, worker),
        roomiest=_place(snapshot, known.spec.constraints.span, group),
        fits_workers=room,
        short_devices=max(least - room, 0) * per_worker,
        largest_gang=most,
    )


def _lacking(snapshot: Snapshot, rows: IntArray, worker: WorkerShape) -> tuple[Lacking, ...]:
    """Return what the nodes of `rows` lack for one worker, in the order of the amounts."""
    slots = (snapshot.milli[rows] >= worker.device_milli).sum(axis=1)
    cpu, memory, storage, network = snapshot.host[rows].T
    enough = (
        ("free devices", slots >= worker.devices),
        ("free cores", cpu >= worker.cpu_milli),
        ("free memory", memory >= worker.memory_mib),
        ("free storage bandwidth", storage >= worker.storage_mbps),
        ("free network bandwidth", network >= worker.network_mbps),
    )
    left = np.ones(len(rows), np.bool_)
    found: list[Lacking] = []
    for what, has in enough:
        short = int((left & ~has).sum())
        found += [Lacking(what, short)] if short else []
        left &= has
    return tuple(found)


def _excluded(snapshot: Snapshot, kind: int, *, fits_empty: bool) -> tuple[Excluded, ...]:
    """Return the nodes out by each rule; the span excludes nobody where the gang would fit."""
    return tuple(
        Excluded(found.rule, WORDING[Rule(found.rule)], found.nodes)
        for found in exclusions(snapshot, kind)
        if not (fits_empty and found.rule == Rule.GANG_SPAN)
    )


def _place(snapshot: Snapshot, span: Span, group: int) -> str:
    """Return the name of a group of nodes as the planner numbers them; empty for none."""
    fleet = snapshot.fleet
    if group < 0:
        return ""
    match span:
        case Span.NODE:
            return fleet.names[group]
        case Span.DOMAIN:
            row = int((fleet.domain == group).argmax())
            return str(fleet.specs[row].domain)
        case _:
            cluster, sku = fleet.pools[group]
            return f"{cluster} ({sku})"
