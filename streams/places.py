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
        self._rates: dict[tuple[NodeName, str], NodeRates] = {}

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
        self._rates.clear()

    def site(self, slices: tuple[Slice, ...], workload_class: str) -> Site:
        """Return the site that a gang's slices make for work of a class."""
        rates = tuple(self._node_rates(piece.node, workload_class) for piece in slices)
        return site_of(rates, self._parameters)

    def checkpointable(self, slices: tuple[Slice, ...]) -> bool:
        """Whether every device of the slices supports transparent checkpoints."""
        skus = (self._skus.get(self._nodes[piece.node].sku) for piece in slices)
        return all(sku is None or sku.checkpointable for sku in skus)

    def _node_rates(self, name: NodeName, workload_class: str) -> NodeRates:
        found = self._rates.get((name, workload_class))
        if found is None:
            node = self._nodes[name]
            cluster = self._clusters[self._domains[node.domain].cluster]
            found = NodeRates(
                cluster=cluster.name,
                storage_mbps=node.storage_mbps,
                network_mbps=node.network_mbps,
                io=node.io,
                interconnect_mbps=cluster.interconnect_mbps,
                speed_milli=self._speed_milli(node.sku, workload_class),
            )
            self._rates[name, workload_class] = found
        return found

    def _speed_milli(self, name: SkuName, workload_class: str) -> int:
        sku = self._skus.get(name)
        speeds = sku.speeds if sku is not None else ()
        named = (s.speed_milli for s in speeds if s.workload_class == workload_class)
        return next(named, _REFERENCE_SPEED_MILLI)
