# SPDX-License-Identifier: Apache-2.0
"""The state digest: a multiset hash over canonical entities, hashed lazily for what changed.

Each entity is written canonically (MessagePack of plain tuples) and hashed with SHA-256; the digest
is the sum of these hashes modulo 2^256 (the additive multiset hash of Bellare and Micciancio,
EUROCRYPT '97), so it costs O(change) and does not depend on order.
"""

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from operator import attrgetter
from types import MappingProxyType

from msgspec import msgpack

from engine.job_state import freeze
from engine.state import Memory, NodeState, State, TierTotals

_MODULUS = 2**256
_encode = msgpack.Encoder().encode
_memory = attrgetter(*sorted(Memory.__slots__))
_node_fields = attrgetter(
    "spec", "health", "health_sequence", "device_sequence", "unusable", "gone"
)
_totals = attrgetter(*sorted(TierTotals.__slots__))


def _node(node: NodeState | None) -> object:
    if node is None:
        return None
    return _node_fields(node)


def _job(state: State, name: str) -> object:
    job = state.jobs.get(name)  # type: ignore[call-overload]  # its text
    return None if job is None else freeze(job)


_ENTITIES: Mapping[str, Callable[[State, str], object]] = MappingProxyType(
    {
        "job": _job,
        "node": lambda s, name: _node(s.nodes.get(name)),  # type: ignore[call-overload]  # its text
        "sku": lambda s, name: s.skus.get(name),  # type: ignore[call-overload]  # its text
        "region": lambda s, name: s.regions.get(name),  # type: ignore[call-overload]  # its text
        "cluster": lambda s, name: s.clusters.get(name),  # type: ignore[call-overload]  # its text
        "domain": lambda s, name: s.domains.get(name),  # type: ignore[call-overload]  # its text
        "tenant": lambda s, name: s.tenants.get(name),  # type: ignore[call-overload]  # its text
        "team": lambda s, name: s.teams.get(name),  # type: ignore[call-overload]  # its text
        "reservation": lambda s, name: s.reservations.get(name),  # type: ignore[call-overload]  # its text
        "removed": lambda s, name: s.removed.get(name),
        "parked": lambda s, name: s.parked.get(int(name)),
        "policy": lambda s, _: (s.policy, s.rules.version),
        "memory": lambda s, _: _memory(s.memory),
    }
)


def entities(state: State) -> Iterator[str]:
    """Yield the key of all that the digest of a valid cut is made of, but its head."""
    for kind in ("job", "node", "sku", "region", "cluster", "domain", "tenant", "team"):
        for name in getattr(state, f"{kind}s"):
            yield f"{kind}:{name}"
    yield from (f"reservation:{name}" for name in state.reservations)
    yield from (f"removed:{key}" for key in state.removed)
    yield from (f"parked:{position}" for position in state.parked)
    yield "policy:"
    if state.memory.cycle:
        yield "memory:"


class Digest:
    """The digest of one state, kept up to date by `update`."""

    def __init__(self) -> None:
        """Start with nothing hashed."""
        self._sum = 0
        self._hashes: dict[str, int] = {}

    def update(self, state: State) -> bytes:
        """Hash what changed since the last call and return the digest, 32 bytes.

        Takes the state's list of changed entities, so one state has one digest.
        """
        for key in state.dirty:
            self._sum -= self._hashes.pop(key, 0)
            kind, _, name = key.partition(":")
            entity = _ENTITIES[kind](state, name)
            if entity is not None:
                data = _encode((key, entity))
                hashed = int.from_bytes(sha256(data).digest(), "big")
                self._hashes[key] = hashed
                self._sum += hashed
        state.dirty.clear()
        totals = tuple((tier, _totals(t)) for tier, t in state.tiers.items())
        head = sha256(_encode((state.head, state.now_ms, state.open_cycle, totals))).digest()
        return ((self._sum + int.from_bytes(head, "big")) % _MODULUS).to_bytes(32, "big")
