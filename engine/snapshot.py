# SPDX-License-Identifier: Apache-2.0
"""A cut of the state: frozen arrays and values that a plan is made from while the fold goes on."""

from dataclasses import dataclass

import numpy as np

from engine.fleet import Fleet
from engine.state import Kind, State, is_draining, policy_at_cut
from engine.table_rows import current_rows
from engine.tables import COLUMN, IntArray, JobDetail
from schemas.decisions import Policy
from schemas.fleet import Node, Sku
from schemas.ids import ClusterName, JobId, RegionName, SkuName, TeamId, TenantName
from schemas.tenants import Reservation, Team

DEVICE_MILLI = 1000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The world at `position`, as a plan sees it.

    `jobs`: int64[J, len(JOB_COLUMNS)], ordered by submission; `details` are theirs. `milli`,
    `host`: what is neither held nor claimed, per node row.
    """

    position: int
    now_ms: int
    cycle: int
    policy: Policy
    rules: int
    fleet: Fleet
    skus: dict[SkuName, Sku]
    kinds: tuple[Kind, ...]
    teams: tuple[TeamId, ...]
    team_specs: dict[TeamId, Team]
    tenant_weights: dict[TenantName, int]
    reservations: tuple[Reservation, ...]
    jobs: IntArray
    details: tuple[JobDetail, ...]
    milli: IntArray
    host: IntArray
    stopping: tuple[JobId, ...]
    solved_ms: int
    prices: tuple[int, ...]
    price_keys: tuple[str, ...]

    def column(self, name: str) -> IntArray:
        """Return one column of the jobs."""
        return self.jobs[:, COLUMN[name]]

    def speed_milli(self, kind: int, pool: int) -> int:
        """Return a pool's speed for a kind's workload class, in thousandths of the reference."""
        spec = self.skus.get(self.fleet.pools[pool][1])
        if spec is None:
            return DEVICE_MILLI
        wanted = self.kinds[kind].workload_class
        return next((s.speed_milli for s in spec.speeds if s.workload_class == wanted), 1_000)


def cut(state: State, now_ms: int) -> Snapshot:
    """Return the state as a value, seen at `now_ms`, not before its last record.

    Raises `InternalError` inside a batch, where no cut is valid.
    """
    policy = policy_at_cut(state)
    values = current_rows(state)
    table = state.job_table
    live = np.flatnonzero(values[:, 0] >= 0)
    order = live[np.argsort(values[live, 0], kind="stable")]
    nodes = len(state.node_table.names)
    details = table.details
    return Snapshot(
        position=state.head,
        now_ms=now_ms,
        cycle=state.memory.cycle + 1,
        policy=policy,
        rules=state.rules.version,
        fleet=_fleet(state),
        skus=dict(state.skus),
        kinds=tuple(state.kinds),
        teams=tuple(TeamId(name) for name in state.index_names.get("team", ())),
        team_specs=dict(state.teams),
        tenant_weights={name: tenant.share_weight for name, tenant in state.tenants.items()},
        reservations=tuple(sorted(state.reservations.values(), key=lambda r: r.id)),
        jobs=values[order],
        details=_details(details, order),
        milli=state.node_table.milli[:nodes].copy(),
        host=state.node_table.host[:nodes].copy(),
        stopping=tuple(sorted(state.cancelled_holding)),
        solved_ms=state.memory.solved_ms,
        prices=state.memory.prices,
        price_keys=state.memory.price_keys,
    )


def _details(details: list[JobDetail | None], order: IntArray) -> tuple[JobDetail, ...]:
    rows: list[int] = order.tolist()
    found = [details[row] for row in rows]
    return tuple(detail for detail in found if detail is not None)


def _fleet(state: State) -> Fleet:
    """Return the fleet as arrays; made anew only when it changed."""
    known = state.fleet_cut
    if known is not None and known.version == state.fleet_version:
        return known
    table = state.node_table
    count = len(table.names)
    specs = tuple(state.nodes[name].spec for name in table.names)
    pools = [_pool(name) for name in state.index_names.get("pool", ())]
    slots = [
        0 if state.nodes[s.name].gone else s.devices - len(state.nodes[s.name].unusable)
        for s in specs
    ]
    made = Fleet(
        version=state.fleet_version,
        names=tuple(table.names),
        rows={name: row for row, name in enumerate(table.names)},
        specs=specs,
        pools=tuple(pools),
        pool_region=tuple(
            state.clusters[c].region if c in state.clusters else RegionName("") for c, _ in pools
        ),
        pool=table.place[:count, 1].copy(),
        domain=table.place[:count, 0].copy(),
        host=np.array([_host(s) for s in specs], np.int64).reshape(count, 4),
        slots=np.array(slots, np.int64),
        usable=table.usable[:count].copy(),
        draining=np.array([is_draining(state.nodes[s.name]) for s in specs], np.int64),
        attested_until_ms=np.array([s.attested_until_ms for s in specs], np.int64),
        confidential=np.array(
            [s.sku in state.skus and state.skus[s.sku].confidential for s in specs], np.int64
        ),
        shareable=np.array(
            [s.sku in state.skus and state.skus[s.sku].shareable for s in specs], np.int64
        ),
        eligible={},
        largest={},
        scopes={},
    )
    state.fleet_cut = made
    return made


def _pool(name: str) -> tuple[ClusterName, SkuName]:
    cluster, _, sku = name.rpartition("/")
    return ClusterName(cluster), SkuName(sku)


def _host(node: Node) -> tuple[int, int, int, int]:
    return node.cpu_milli, node.memory_mib, node.storage_mbps, node.network_mbps
