# SPDX-License-Identifier: Apache-2.0
"""A state as bytes, and back: what a snapshot of the ledger holds.

Stored is what the records say. What the fold derives from it (free amounts, holders, the job table,
who is alive) is made again by the functions that made it, and what hangs on the order in which
things came (numbers of pools, teams and kinds, who waits for whom) is stored in that order: so a
restored state goes on as the fold would, to the same digest, the same plans, the same bytes.
"""

from operator import attrgetter

from msgspec import DecodeError, Raw, Struct, msgpack

from engine.device_time import DeviceTime
from engine.digest import entities
from engine.fold_fleet import refresh_node
from engine.holdings import name_on_nodes
from engine.job_state import JobState
from engine.rules import RULES
from engine.state import Kind, NodeState, State, policy_at_cut
from engine.stored_form import (
    VERSION,
    StoredJob,
    StoredMemory,
    StoredNode,
    StoredProgress,
    StoredSpec,
    StoredState,
    StoredTime,
    StoredTotals,
)
from schemas.errors import CallerError
from schemas.jobs import Job

_FORMAT = "singlepool state"


class StoredStateError(CallerError):
    """Bytes that are no stored state, or one that this build does not understand.

    Nothing is lost: an older snapshot, or the ledger from zero, gives the same state.
    """


class _Envelope(Struct, array_like=True, frozen=True):
    format: str
    version: int
    body: Raw


_encode = msgpack.Encoder().encode
_open = msgpack.Decoder(_Envelope).decode
_decode = msgpack.Decoder(StoredState).decode


# --- to bytes -------------------------------------------------------------------------------------

_spec = attrgetter(*StoredSpec.__struct_fields__[1:])
_time = attrgetter(*StoredTime.__struct_fields__)
_progress = attrgetter(*StoredProgress.__struct_fields__)
_node = attrgetter(*StoredNode.__struct_fields__[1:])
_totals = attrgetter(*StoredTotals.__struct_fields__)
_memory = attrgetter(*StoredMemory.__struct_fields__)


def store(state: State) -> bytes:
    """Return a state as bytes, the same for the same ledger.

    Directives that nobody took yet are not part of it. Raises `InternalError` where the state is no
    valid cut.
    """
    body = StoredState(
        head=state.head,
        now_ms=state.now_ms,
        rules=state.rules.version,
        policy=policy_at_cut(state),
        cycle_due=state.cycle_due,
        memory=StoredMemory(*_memory(state.memory)),
        tiers={tier: StoredTotals(*_totals(totals)) for tier, totals in state.tiers.items()},
        skus=tuple(state.skus.values()),
        regions=tuple(state.regions.values()),
        clusters=tuple(state.clusters.values()),
        domains=tuple(state.domains.values()),
        nodes=tuple([_stored_node(state, node) for node in state.nodes.values()]),
        removed=state.removed,
        tenants=tuple(state.tenants.values()),
        teams=tuple(state.teams.values()),
        reservations=tuple(state.reservations.values()),
        kinds=tuple(state.kinds),
        jobs=tuple([_stored(job) for job in state.jobs.values()]),
        parked=state.parked,
        index_names=state.index_names,
        waiters={holder: tuple(waiting) for holder, waiting in state.waiters.items()},
        cancelled_holding=tuple(state.cancelled_holding),
    )
    return _encode(_Envelope(_FORMAT, VERSION, Raw(_encode(body))))


def _stored_node(state: State, node: NodeState) -> StoredNode:
    place: list[int] = state.node_table.place[node.row].tolist()
    return StoredNode(tuple(place), *_node(node))


def _stored(job: JobState) -> StoredJob:
    return StoredJob(
        StoredSpec(job.kind_index, *_spec(job.spec)),
        StoredTime(*_time(job.time)),
        StoredProgress(*_progress(job)),
    )


# --- and back -------------------------------------------------------------------------------------


def restore(data: bytes) -> State:
    """Return the state in the bytes of `store`; a new `Digest` of it hashes everything.

    Raises `StoredStateError` for other bytes, and where this build does not know their version or
    the rules that they hold under.
    """
    stored = _read(data)
    state = State()
    state.head, state.now_ms = stored.head, stored.now_ms
    state.rules, state.policy = RULES[stored.rules], stored.policy
    _fill(state.memory, stored.memory)
    for tier, totals in stored.tiers.items():
        _fill(state.tiers[tier], totals)
    for kind, names in stored.index_names.items():
        for name in names:
            state.index(kind, name)
    _restore_world(state, stored)
    _restore_jobs(state, stored)
    for node in state.nodes.values():
        refresh_node(state, node)
    state.cycle_due = stored.cycle_due
    state.dirty = dict.fromkeys(entities(state))
    return state


def _read(data: bytes) -> StoredState:
    try:
        envelope = _open(data)
        if (envelope.format, envelope.version) != (_FORMAT, VERSION):
            msg = (
                f"this build restores {_FORMAT!r} of version {VERSION}, not {envelope.format!r} of "
                f"version {envelope.version}; use an older snapshot, or fold from zero"
            )
            raise StoredStateError(msg)
        stored = _decode(envelope.body)
    except DecodeError as error:
        msg = f"{len(data)} bytes are not a {_FORMAT}: {error}; use an older snapshot"
        raise StoredStateError(msg) from error
    if stored.rules not in RULES:
        msg = f"rules version {stored.rules} is not known to this build (it knows {sorted(RULES)})"
        raise StoredStateError(msg)
    return stored


def _restore_world(state: State, stored: StoredState) -> None:
    state.skus = {sku.name: sku for sku in stored.skus}
    state.regions = {region.name: region for region in stored.regions}
    state.clusters = {cluster.name: cluster for cluster in stored.clusters}
    state.domains = {domain.name: domain for domain in stored.domains}
    state.tenants = {tenant.name: tenant for tenant in stored.tenants}
    state.teams = {team.id: team for team in stored.teams}
    state.reservations = {reservation.id: reservation for reservation in stored.reservations}
    state.removed, state.parked = stored.removed, stored.parked
    for position, parked in stored.parked.items():
        state.waiting_events.setdefault(parked.waits_for, {})[position] = None
    for entry in stored.nodes:
        node = NodeState(entry.spec, state.node_table.add(entry.spec.name))
        for name in StoredNode.__struct_fields__[1:]:
            setattr(node, name, getattr(entry, name))
        state.node_table.place[node.row] = entry.place
        state.nodes[entry.spec.name] = node


def _restore_jobs(state: State, stored: StoredState) -> None:
    state.kinds = {kind: number for number, kind in enumerate(stored.kinds)}
    for entry in stored.jobs:
        job = _job(entry, stored.kinds[entry.spec.kind])
        job.team_index = state.index("team", job.spec.team_id)
        state.jobs[job.id] = job
        state.latest_generation[f"{job.spec.tenant}/{job.spec.name}"] = job.spec.generation
        if not job.ended:
            state.live[job.id] = job
            state.stale[job.id] = None
            name_on_nodes(state, job)
    state.waiters = {holder: dict.fromkeys(waiting) for holder, waiting in stored.waiters.items()}
    state.cancelled_holding = dict.fromkeys(stored.cancelled_holding)


def _job(entry: StoredJob, kind: Kind) -> JobState:
    asked = entry.spec
    spec = Job(
        tenant=asked.tenant,
        name=asked.name,
        generation=asked.generation,
        team=asked.team,
        tier=asked.tier,
        priority=asked.priority,
        workers_min=asked.workers_min,
        workers_max=asked.workers_max,
        worker=kind.worker,
        constraints=kind.constraints,
        workload_class=kind.workload_class,
        checkpoint_mib=asked.checkpoint_mib,
    )
    progress = entry.progress
    job = JobState(spec, progress.position, progress.submitted_ms, progress.reason)
    _fill_progress(job, progress)
    _fill_time(job.time, entry.time)
    job.kind_index = asked.kind
    return job


# Field by field, as there are many jobs: a loop over names takes five times as long.


def _fill_progress(job: JobState, stored: StoredProgress) -> None:
    job.tier = stored.tier
    job.priority = stored.priority
    job.phase = stored.phase
    job.phase_since_ms = stored.phase_since_ms
    job.first_started_ms = stored.first_started_ms
    job.ended_ms = stored.ended_ms
    job.stopped_ms = stored.stopped_ms
    job.suspended_ms = stored.suspended_ms
    job.attempt = stored.attempt
    job.workers = stored.workers
    job.slices = stored.slices
    job.claim = stored.claim
    job.resize = stored.resize
    job.resize_number = stored.resize_number
    job.checkpoint = stored.checkpoint
    job.work = stored.work
    job.work_since_ms = stored.work_since_ms
    job.checkpointed_work = stored.checkpointed_work
    job.lost_work = stored.lost_work
    job.moves = stored.moves
    job.failures = stored.failures
    job.cancelled = stored.cancelled
    job.change_sequence = stored.change_sequence
    job.progress_sequence = stored.progress_sequence
    job.progress_ppm = stored.progress_ppm
    job.progress_milli = stored.progress_milli
    job.breach_ms = stored.breach_ms


def _fill_time(time: DeviceTime, stored: StoredTime) -> None:
    time.since_ms = stored.since_ms
    time.due_milli = stored.due_milli
    time.received_milli = stored.received_milli
    time.due = stored.due
    time.received = stored.received
    time.due_ring = stored.due_ring
    time.received_ring = stored.received_ring


def _fill(target: object, stored: Struct) -> None:
    """Give an object of the fold the fields that are stored of it."""
    for name in stored.__struct_fields__:
        setattr(target, name, getattr(stored, name))
