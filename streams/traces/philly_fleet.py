# SPDX-License-Identifier: Apache-2.0
"""The fleet on which the Philly trace is played: 80 nodes of 8 GPUs, the same in both runs.

The trace says GPUs per job and nodes per team; regions, clusters and racks are ours. All nodes are
alike: 8 P100 (16 GiB each), 48 cores and 512 GiB, of which 8 workers take 32 cores and 256 GiB, so
that devices are what binds. I/O is offloaded: 4,000 MB/s of storage and 12,500 MB/s (100 Gbit/s) of
network a node; clusters are joined by 5,000 MB/s.
"""

from collections.abc import Mapping

from msgspec import Struct

from schemas import fleet as declared
from schemas.ids import ClusterName, DomainName, NodeName, RegionName, SkuName
from schemas.kinds import IoProfile, SkuKind

SKU = "p100"
DEVICES_PER_NODE = 8
NODES_PER_DOMAIN = 4


class ClusterPlan(Struct, frozen=True):
    """A cluster of the fleet: its name, region and number of nodes."""

    name: str
    region: str
    nodes: int


CLUSTERS = (
    ClusterPlan("west-1", "west", 32),
    ClusterPlan("north-1", "north", 16),
    ClusterPlan("east-1", "east", 16),
    ClusterPlan("north-2", "north", 8),
    ClusterPlan("east-2", "east", 8),
)
NODES = sum(cluster.nodes for cluster in CLUSTERS)


def fleet(labels: Mapping[tuple[str, int], declared.Label]) -> list[declared.FleetEvent]:
    """Return the fleet's declarations in order of dependency; `labels` by (cluster, number)."""
    sku = declared.Sku(SkuName(SKU), 1, SkuKind.GPU, "nvidia", memory_mib=16_384)
    events: list[declared.FleetEvent] = [declared.SkuDeclared(sku)]
    regions = dict.fromkeys(cluster.region for cluster in CLUSTERS)
    events += [declared.RegionDeclared(declared.Region(RegionName(r), 1)) for r in regions]
    for plan in CLUSTERS:
        events += _cluster(plan, labels)
    return events


def _cluster(
    plan: ClusterPlan, labels: Mapping[tuple[str, int], declared.Label]
) -> list[declared.FleetEvent]:
    cluster = declared.Cluster(ClusterName(plan.name), 1, RegionName(plan.region), 5_000)
    events: list[declared.FleetEvent] = [declared.ClusterDeclared(cluster)]
    for number in range(plan.nodes):
        rack, in_rack = divmod(number, NODES_PER_DOMAIN)
        domain = DomainName(f"{plan.name}-r{rack:02d}")
        if in_rack == 0:
            events.append(declared.DomainDeclared(declared.Domain(domain, 1, cluster.name)))
        label = labels.get((plan.name, number))
        events.append(declared.NodeDeclared(_node(plan.name, number, domain, label)))
    return events


def _node(
    cluster: str, number: int, domain: DomainName, label: declared.Label | None
) -> declared.Node:
    return declared.Node(
        name=NodeName(f"{cluster}-n{number:03d}"),
        generation=1,
        domain=domain,
        sku=SkuName(SKU),
        devices=DEVICES_PER_NODE,
        cpu_milli=48_000,
        memory_mib=524_288,
        storage_mbps=4_000,
        network_mbps=12_500,
        io=IoProfile.OFFLOAD,
        labels=(label,) if label else (),
    )
