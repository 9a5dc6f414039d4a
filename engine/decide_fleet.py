# SPDX-License-Identifier: Apache-2.0
"""Whether a fleet event holds.

Its natural key is the entity's generation, or a node's rising sequence.
"""

from msgspec import Struct

from engine.outcomes import DUPLICATE, FACT, Outcome, Parked, reject
from engine.state import State
from engine.tables import MAX_SLOTS
from schemas import fleet
from schemas.reasons import Rejection


def by_generation(
    known: Struct | None, gone_generation: int, offered: Struct, *, changes: bool, key: str
) -> Outcome:
    """Judge a declaration or change by the entity's generation.

    A lower generation is late and an equal one with equal content a duplicate; an equal one with
    other content is a conflict. A change of what is not known yet waits for its declaration.
    """
    generation: int = getattr(offered, "generation")  # noqa: B009  # every entity has one
    if known is None:
        if generation <= gone_generation:
            return DUPLICATE
        return Parked(key) if changes else FACT
    known_generation: int = getattr(known, "generation")  # noqa: B009  # every entity has one
    if generation < known_generation:
        return DUPLICATE
    if generation == known_generation:
        if known == offered:
            return DUPLICATE
        return reject(
            Rejection.CONFLICT,
            "generation",
            generation,
            f"{key} is known at this generation with other content; raise the generation",
        )
    return FACT


def sku(state: State, event: fleet.SkuDeclared | fleet.SkuChanged) -> Outcome:
    """A SKU stands on its own."""
    return _entity(state, "sku", event.sku, changes=isinstance(event, fleet.SkuChanged))


def region(state: State, event: fleet.RegionDeclared | fleet.RegionChanged) -> Outcome:
    """A region stands on its own."""
    return _entity(state, "region", event.region, changes=isinstance(event, fleet.RegionChanged))


def cluster(state: State, event: fleet.ClusterDeclared | fleet.ClusterChanged) -> Outcome:
    """A cluster needs its region."""
    if event.cluster.region not in state.regions:
        return Parked(f"region:{event.cluster.region}")
    return _entity(state, "cluster", event.cluster, changes=isinstance(event, fleet.ClusterChanged))


def domain(state: State, event: fleet.DomainDeclared | fleet.DomainChanged) -> Outcome:
    """A domain needs its cluster."""
    if event.domain.cluster not in state.clusters:
        return Parked(f"cluster:{event.domain.cluster}")
    return _entity(state, "domain", event.domain, changes=isinstance(event, fleet.DomainChanged))


def _entity(
    state: State,
    kind: str,
    offered: fleet.Sku | fleet.Region | fleet.Cluster | fleet.Domain,
    *,
    changes: bool,
) -> Outcome:
    table: dict[str, Struct] = getattr(state, f"{kind}s")
    key = f"{kind}:{offered.name}"
    gone = state.removed.get(key, 0)
    return by_generation(table.get(offered.name), gone, offered, changes=changes, key=key)


def node(state: State, event: fleet.NodeDeclared | fleet.NodeChanged) -> Outcome:
    """A node needs its domain and its SKU, and no more slots than the engine can hold."""
    spec = event.node
    if spec.domain not in state.domains:
        return Parked(f"domain:{spec.domain}")
    if spec.sku and spec.sku not in state.skus:
        return Parked(f"sku:{spec.sku}")
    if spec.devices > MAX_SLOTS:
        rule = f"a node has at most {MAX_SLOTS} device slots"
        return reject(Rejection.INVALID_VALUE, "node.devices", spec.devices, rule)
    known = state.nodes.get(spec.name)
    live = known.spec if known is not None and not known.gone else None
    gone = known.spec.generation if known is not None and known.gone else 0
    changes = isinstance(event, fleet.NodeChanged)
    return by_generation(live, gone, spec, changes=changes, key=f"node:{spec.name}")


def removed(
    state: State,
    event: fleet.SkuRemoved | fleet.RegionRemoved | fleet.ClusterRemoved | fleet.DomainRemoved,
    kind: str,
) -> Outcome:
    """An entity that others still stand on stays."""
    key = f"{kind}:{event.name}"
    table: dict[str, Struct] = getattr(state, f"{kind}s")
    known = table.get(event.name)
    if known is None:
        return DUPLICATE if state.removed.get(key, 0) >= event.generation else Parked(key)
    known_generation: int = getattr(known, "generation")  # noqa: B009  # every entity has one
    if event.generation < known_generation:
        return DUPLICATE
    users = _users(state, kind, event.name)
    if users:
        rule = f"still used by {users[0]}" + (f" and {len(users) - 1} more" if users[1:] else "")
        return reject(Rejection.IN_USE, "name", event.name, rule)
    return FACT


def _users(state: State, kind: str, name: str) -> list[str]:
    nodes = [node.spec for node in state.nodes.values() if not node.gone]
    match kind:
        case "region":
            return [f"cluster {c.name}" for c in state.clusters.values() if c.region == name]
        case "cluster":
            return [f"domain {d.name}" for d in state.domains.values() if d.cluster == name]
        case "domain":
            return [f"node {spec.name}" for spec in nodes if spec.domain == name]
        case _:
            return [f"node {spec.name}" for spec in nodes if spec.sku == name]


def node_removed(state: State, event: fleet.NodeRemoved) -> Outcome:
    """A node that is not known yet may still come."""
    known = state.nodes.get(event.name)
    if known is None:
        return Parked(f"node:{event.name}")
    return FACT if not known.gone and event.generation >= known.spec.generation else DUPLICATE


def node_health(state: State, event: fleet.NodeHealthReported) -> Outcome:
    """A health report counts once, in the order of its sequence."""
    known = state.nodes.get(event.node)
    if known is None:
        return Parked(f"node:{event.node}")
    if known.gone or event.sequence <= known.health_sequence:
        return DUPLICATE
    return FACT


def device(
    state: State, event: fleet.DeviceDeclared | fleet.DeviceChanged | fleet.DeviceRemoved
) -> Outcome:
    """A device event names a slot of a known node and counts once, in the order of its sequence."""
    known = state.nodes.get(event.node)
    if known is None:
        return Parked(f"node:{event.node}")
    if known.gone or event.sequence <= known.device_sequence:
        return DUPLICATE
    if event.slot >= known.spec.devices:
        rule = f"node {known.spec.name} has slots 0 to {known.spec.devices - 1}"
        return reject(Rejection.INVALID_VALUE, "slot", event.slot, rule)
    return FACT
