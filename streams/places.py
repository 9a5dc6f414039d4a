# SPDX-License-Identifier: Apache-2.0
"""What node agents know of the fleet they run on: where each node is and how fast its I/O is."""

from engine.world import NodeRates, Site, WorldParameters, site_of
from schemas import fleet
from schemas.catalogue import Event
from schemas.decisions import Slice
from schemas.ids import ClusterName, DomainName, NodeName, SkuName

_REFERENCE_SPEED_MILLI = 1_000


class Places:
    """Learns the fleet from accepted fleet facts and answers where a gang runs."""

    def __init__(self, parameters: WorldParameters) -> None:
        """Start with no fleet."""
        self._parameters = parameters
        self._skus: dict[SkuName, fleet.Sku] = {}
        self._clusters: dict[ClusterName, fleet.Cluster] = {}
        self._domains: dict[DomainName, fleet.Domain] = {}
        self._nodes: dict[NodeName, fleet.Node] = {}
        self._sites: dict[tuple[str, ...], Site] = {}  # by class and nodes

    def learn(self, event: Event) -> None:
        """Take in what a fleet fact says; other facts are passed over."""
        match event:
            case fleet.SkuDeclared() | fleet.SkuChanged():
                self._skus[event.sku.name] = event.sku
            case fleet.ClusterDeclared() | fleet.ClusterChanged():
                self._clusters[event.cluster.name] = event.cluster
            case fleet.DomainDeclared() | fleet.DomainChanged():
                self._domains[event.domain.name] = event.domain
            case fleet.NodeDeclared() | fleet.NodeChanged():
                self._nodes[event.node.name] = event.node
            case _:
                return
        self._sites.clear()

    def site(self, slices: tuple[Slice, ...], workload_class: str) -> Site:
        """Return the site that a gang's slices make for work of a class."""
        key = (workload_class, *[piece.node for piece in slices])
        found = self._sites.get(key)
        if found is None:
            rates = tuple(self._node_rates(piece.node, workload_class) for piece in slices)
            found = self._sites[key] = site_of(rates, self._parameters)
        return found

    def _node_rates(self, name: NodeName, workload_class: str) -> NodeRates:
        node = self._nodes[name]
        cluster = self._clusters[self._domains[node.domain].cluster]
        sku = self._skus.get(node.sku)
        return NodeRates(
            cluster=cluster.name,
            storage_mbps=node.storage_mbps,
            network_mbps=node.network_mbps,
            io=node.io,
            interconnect_mbps=cluster.interconnect_mbps,
            speed_milli=_speed_milli(sku, workload_class),
            checkpointable=sku is None or sku.checkpointable,
        )


def _speed_milli(sku: fleet.Sku | None, workload_class: str) -> int:
    """Return the speed for a class of work; a class that is not named runs at the reference's."""
    speeds = sku.speeds if sku is not None else ()
    named = (s.speed_milli for s in speeds if s.workload_class == workload_class)
    return next(named, _REFERENCE_SPEED_MILLI)
