# SPDX-License-Identifier: Apache-2.0
"""How each fleet event changes the state.

Every function is total over facts that `decide` admitted.
"""

from msgspec import structs

from engine.fold_jobs import fail_over
from engine.holdings import account, forget_claim, touch
from engine.phases import HOLDING, Phase
from engine.state import NodeState, State, takes_new_work
from schemas import fleet
from schemas.ids import JobId, NodeName
from schemas.kinds import NodeHealth
from schemas.records import Record

DEVICE_MILLI = 1000
_LOST = frozenset({NodeHealth.QUARANTINED, NodeHealth.REPAIRING})
"""Healths in which a node's work is lost."""


def sku_known(state: State, _: Record, event: fleet.SkuDeclared | fleet.SkuChanged) -> None:
    """A SKU is now as stated."""
    state.skus[event.sku.name] = event.sku
    _fleet_changed(state, f"sku:{event.sku.name}")


def region_known(
    state: State, _: Record, event: fleet.RegionDeclared | fleet.RegionChanged
) -> None:
    """A region is now as stated."""
    state.regions[event.region.name] = event.region
    _fleet_changed(state, f"region:{event.region.name}")


def cluster_known(
    state: State, _: Record, event: fleet.ClusterDeclared | fleet.ClusterChanged
) -> None:
    """A cluster is now as stated."""
    state.clusters[event.cluster.name] = event.cluster
    _fleet_changed(state, f"cluster:{event.cluster.name}")


def domain_known(
    state: State, _: Record, event: fleet.DomainDeclared | fleet.DomainChanged
) -> None:
    """A domain is now as stated; one that moved takes its nodes along."""
    domain = event.domain
    before = state.domains.get(domain.name, domain)
    state.domains[domain.name] = domain
    _fleet_changed(state, f"domain:{domain.name}")
    if before.cluster != domain.cluster:
        for node in state.nodes.values():
            if node.spec.domain == domain.name:
                refresh_node(state, node)


def sku_removed(state: State, _: Record, event: fleet.SkuRemoved) -> None:
    """A SKU is gone."""
    del state.skus[event.name]
    _gone(state, f"sku:{event.name}", event.generation)


def region_removed(state: State, _: Record, event: fleet.RegionRemoved) -> None:
    """A region is gone."""
    del state.regions[event.name]
    _gone(state, f"region:{event.name}", event.generation)


def cluster_removed(state: State, _: Record, event: fleet.ClusterRemoved) -> None:
    """A cluster is gone."""
    del state.clusters[event.name]
    _gone(state, f"cluster:{event.name}", event.generation)


def domain_removed(state: State, _: Record, event: fleet.DomainRemoved) -> None:
    """A domain is gone."""
    del state.domains[event.name]
    _gone(state, f"domain:{event.name}", event.generation)


def _gone(state: State, key: str, generation: int) -> None:
    state.removed[key] = generation
    state.dirty[f"removed:{key}"] = None
    _fleet_changed(state, key)


def _fleet_changed(state: State, key: str) -> None:
    state.dirty[key] = None
    state.fleet_version += 1
    state.cycle_due = True


def node_declared(state: State, _: Record, event: fleet.NodeDeclared) -> None:
    """A node came into the pool, or came back, healthy."""
    spec = event.node
    node = state.nodes.get(spec.name)
    if node is None:
        node = state.nodes[spec.name] = NodeState(spec, state.node_table.add(spec.name))
    node.spec, node.health, node.gone, node.unusable = spec, NodeHealth.HEALTHY, False, ()
    refresh_node(state, node)


def node_changed(state: State, record: Record, event: fleet.NodeChanged) -> None:
    """A node is now as stated; claims on it are given up, work on it goes on while it fits."""
    node = state.nodes[event.node.name]
    _drop_claims(state, node, record.recorded_ms)
    node.spec = event.node
    refresh_node(state, node)
    for pieces in (node.holders, node.growths):
        for job in sorted(pieces):
            if any(slot >= node.spec.devices for slot in pieces[job].slots):
                fail_over(state, state.jobs[job], record.recorded_ms)


def node_removed(state: State, record: Record, event: fleet.NodeRemoved) -> None:
    """A node left the pool; the work on it fails over. Its row stays, since it may come back."""
    node = state.nodes[event.name]
    node.gone = True
    node.spec = structs.replace(node.spec, generation=event.generation)
    _lose_work(state, node, record.recorded_ms)
    refresh_node(state, node)


def node_health_reported(state: State, record: Record, event: fleet.NodeHealthReported) -> None:
    """A node's health is now as reported; work on a lost node fails over."""
    node = state.nodes[event.node]
    node.health, node.health_sequence = event.health, event.sequence
    if event.health in _LOST:
        _lose_work(state, node, record.recorded_ms)
    refresh_node(state, node)


def device_came(state: State, _: Record, event: fleet.DeviceDeclared) -> None:
    """A device slot is usable."""
    _set_slot(state, event.node, event.slot, event.sequence, usable=True)


def device_changed(state: State, record: Record, event: fleet.DeviceChanged) -> None:
    """A device slot is usable or not; work on an unusable one fails over."""
    _set_slot(state, event.node, event.slot, event.sequence, usable=event.usable)
    if not event.usable:
        _fail_slot(state, event.node, event.slot, record.recorded_ms)


def device_removed(state: State, record: Record, event: fleet.DeviceRemoved) -> None:
    """A device slot is out of use; work on it fails over."""
    _set_slot(state, event.node, event.slot, event.sequence, usable=False)
    _fail_slot(state, event.node, event.slot, record.recorded_ms)


def _set_slot(state: State, name: NodeName, slot: int, sequence: int, *, usable: bool) -> None:
    node = state.nodes[name]
    node.device_sequence = sequence
    rest = [s for s in node.unusable if s != slot]
    node.unusable = tuple(rest if usable else sorted([*rest, slot]))
    refresh_node(state, node)


def _fail_slot(state: State, name: NodeName, slot: int, now_ms: int) -> None:
    node = state.nodes[name]
    for job in sorted(node.claimants):
        if slot in node.claimants[job].slots:
            _drop_claim(state, job, now_ms)
    for pieces in (node.holders, node.growths):
        for job in sorted(pieces):
            if slot in pieces[job].slots:
                fail_over(state, state.jobs[job], now_ms)


def _lose_work(state: State, node: NodeState, now_ms: int) -> None:
    _drop_claims(state, node, now_ms)
    for job in sorted({*node.holders, *node.growths}):
        fail_over(state, state.jobs[job], now_ms)


def _drop_claims(state: State, node: NodeState, now_ms: int) -> None:
    for job in sorted(node.claimants):
        _drop_claim(state, job, now_ms)


def _drop_claim(state: State, job_id: JobId, now_ms: int) -> None:
    job = state.jobs[job_id]
    forget_claim(state, job)
    if job.phase not in HOLDING:
        job.phase = Phase.SUSPENDED if job.first_started_ms else Phase.QUEUED
        job.phase_since_ms = now_ms
    touch(state, job)


def refresh_node(state: State, node: NodeState) -> None:
    """Recompute a node's row from its spec, its health and who holds or claims what on it.

    The rows of these jobs say in which pool they are, so they are out of date too. A node that is
    gone keeps its place when its domain goes as well.
    """
    table, row, spec = state.node_table, node.row, node.spec
    domain = state.domains.get(spec.domain)
    if domain is not None:
        table.place[row] = (
            state.index("domain", spec.domain),
            state.index("pool", f"{domain.cluster}/{spec.sku}"),
        )
    table.usable[row] = int(takes_new_work(node))
    table.milli[row] = -1
    table.milli[row, : spec.devices] = DEVICE_MILLI
    for slot in node.unusable:
        table.milli[row, slot] = 0
    table.host[row] = (spec.cpu_milli, spec.memory_mib, spec.storage_mbps, spec.network_mbps)
    for pieces in (node.holders, node.claimants, node.growths):
        for job, piece in pieces.items():
            account(state, piece, state.jobs[job].spec.worker, -1)
            state.stale[job] = None
    _fleet_changed(state, f"node:{spec.name}")
