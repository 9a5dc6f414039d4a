# SPDX-License-Identifier: Apache-2.0
"""The state of the world: the fold of the ledger.

Private to its one owner, who alone changes it, by `evolve`.
"""

from collections.abc import Iterable

from msgspec import Struct

from engine.fleet import Fleet
from engine.job_state import JobState
from engine.rules import RULES, Rules
from engine.tables import JobTable, NodeTable
from schemas.decisions import EventParked, Policy, Slice
from schemas.directives import Directive
from schemas.errors import InternalError
from schemas.fleet import Cluster, Domain, Node, Region, Sku
from schemas.ids import (
    ClusterName,
    DomainName,
    JobId,
    NodeName,
    RegionName,
    ReservationId,
    SkuName,
    TeamId,
    TenantName,
)
from schemas.jobs import Constraints, WorkerShape
from schemas.kinds import NodeHealth, Tier
from schemas.tenants import Reservation, Team, Tenant


class Kind(Struct, frozen=True):
    """What jobs have in common that decides where they can go."""

    worker: WorkerShape
    constraints: Constraints
    workload_class: str


class NodeState:
    """One node, from its declaration on. Mutable, private to the fold."""

    __slots__ = (
        "claimants",
        "device_sequence",
        "gone",
        "growths",
        "health",
        "health_sequence",
        "holders",
        "row",
        "spec",
        "unusable",
    )

    def __init__(self, spec: Node, row: int) -> None:
        """Take a declared node in, healthy, with all its slots usable."""
        self.spec = spec
        self.row = row
        self.health = NodeHealth.HEALTHY
        self.health_sequence = 0
        self.device_sequence = 0
        self.gone = False
        self.unusable: tuple[int, ...] = ()
        self.holders: dict[JobId, Slice] = {}
        self.claimants: dict[JobId, Slice] = {}
        self.growths: dict[JobId, Slice] = {}
        """What a growing resize took here beyond what its job holds."""


class TierTotals:
    """What a tier's jobs received, waited and lost so far. Mutable, private to the fold."""

    __slots__ = (
        "due",
        "ended",
        "failed",
        "launches",
        "lost_work",
        "moves",
        "received",
        "suspended_ms",
        "waited_ms",
    )

    def __init__(self) -> None:
        """Start with nothing counted."""
        self.due = 0
        self.received = 0
        self.lost_work = 0
        self.moves = 0
        self.launches = 0
        self.waited_ms = 0
        self.suspended_ms = 0
        self.ended = 0
        self.failed = 0


class Memory:
    """What the planner remembers from one cycle to the next. Mutable, private to the fold."""

    __slots__ = ("cycle", "planned_ms", "price_keys", "prices", "solved_ms")

    def __init__(self) -> None:
        """Start with no cycle and no prices."""
        self.cycle = 0
        self.planned_ms = 0
        self.solved_ms = 0
        self.prices: tuple[int, ...] = ()
        self.price_keys: tuple[str, ...] = ()


class State:
    """The world at a position of the ledger.

    Only `evolve` changes it; `head` is the next position.
    """

    def __init__(self) -> None:
        """Start before the first record."""
        self.head = 0
        self.now_ms = 0
        self.rules: Rules = RULES[1]
        self.policy: Policy | None = None
        self.skus: dict[SkuName, Sku] = {}
        self.regions: dict[RegionName, Region] = {}
        self.clusters: dict[ClusterName, Cluster] = {}
        self.domains: dict[DomainName, Domain] = {}
        self.nodes: dict[NodeName, NodeState] = {}
        self.removed: dict[str, int] = {}  # kind:name of what is gone, to its last generation
        self.tenants: dict[TenantName, Tenant] = {}
        self.teams: dict[TeamId, Team] = {}
        self.reservations: dict[ReservationId, Reservation] = {}
        self.jobs: dict[JobId, JobState] = {}
        self.latest_generation: dict[str, int] = {}  # tenant/name of every job there ever was
        self.parked: dict[int, EventParked] = {}
        self.tiers: dict[Tier, TierTotals] = {tier: TierTotals() for tier in Tier}
        self.memory = Memory()
        self.open_cycle = False
        self.cycle_due = False
        # Derived from the above; never hashed.
        self.live: dict[JobId, JobState] = {}
        self.job_table = JobTable()
        self.stale: dict[JobId, None] = {}
        """Jobs whose row of the table is out of date: see `engine.table_rows`."""
        self.node_table = NodeTable()
        self.kinds: dict[Kind, int] = {}
        self.indices: dict[str, int] = {}  # kind:name to a small integer for the tables
        self.index_names: dict[str, list[str]] = {}
        self.fleet_version = 0
        self.fleet_cut: Fleet | None = None
        self.waiters: dict[JobId, dict[JobId, None]] = {}
        self.waiting_events: dict[str, dict[int, None]] = {}
        self.cancelled_holding: dict[JobId, None] = {}
        self.directives: list[Directive] = []
        self.dirty: dict[str, None] = {}

    def index(self, kind: str, name: str) -> int:
        """Return the small integer that stands for a name in the tables; the same for ever."""
        key = f"{kind}:{name}"
        found = self.indices.get(key)
        if found is None:
            names = self.index_names.setdefault(kind, [])
            found = self.indices[key] = len(names)
            names.append(name)
        return found

    def kind_index(self, kind: Kind) -> int:
        """Return the small integer that stands for a kind of job in the tables."""
        found = self.kinds.get(kind)
        if found is None:
            found = self.kinds[kind] = len(self.kinds)
        return found

    def live_jobs(self) -> Iterable[JobState]:
        """Jobs that are not over, in no particular order."""
        return self.live.values()

    def take_directives(self) -> tuple[Directive, ...]:
        """Return the directives that came due since the last call, in ledger order."""
        taken = tuple(self.directives)
        self.directives.clear()
        return taken


def policy_at_cut(state: State) -> Policy:
    """Return the policy of a state that is a valid cut.

    Raises `InternalError` inside a cycle's batch, and before the first policy.
    """
    if state.open_cycle or state.policy is None:
        why = "a cycle is open" if state.open_cycle else "no policy is active"
        msg = f"position {state.head} is no valid cut: {why}"
        raise InternalError(msg)
    return state.policy


def is_draining(node: NodeState) -> bool:
    """Whether a node is there and its work is to be moved off."""
    return not node.gone and node.health is NodeHealth.DRAINING


def takes_new_work(node: NodeState) -> bool:
    """Whether a node is there and its health lets it take new work."""
    return not node.gone and node.health in {NodeHealth.HEALTHY, NodeHealth.PROBATION}
