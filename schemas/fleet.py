# SPDX-License-Identifier: Apache-2.0
"""What the fleet is made of, and the events that say so."""

from msgspec import Struct

from schemas.ids import ClusterName, DomainName, NodeName, RegionName, SkuName
from schemas.kinds import IoProfile, NodeHealth, SkuKind


class WorkloadSpeed(Struct, frozen=True):
    """Speed of one device for a workload class, in thousandths of the reference device."""

    workload_class: str
    speed_milli: int


class Label(Struct, frozen=True):
    """A key and value that a node carries or a job asks for."""

    key: str
    value: str


class Sku(Struct, frozen=True):
    """An accelerator type."""

    name: SkuName
    generation: int
    kind: SkuKind
    vendor: str
    memory_mib: int
    speeds: tuple[WorkloadSpeed, ...] = ()
    shareable: bool = False
    checkpointable: bool = True
    confidential: bool = False


class Region(Struct, frozen=True):
    """A place of the fleet with its own failure and its own latency."""

    name: RegionName
    generation: int


class Cluster(Struct, frozen=True):
    """One building block with one network fabric."""

    name: ClusterName
    generation: int
    region: RegionName
    interconnect_mbps: int


class Domain(Struct, frozen=True):
    """Nodes that share the fastest interconnect."""

    name: DomainName
    generation: int
    cluster: ClusterName


class Node(Struct, frozen=True):
    """One machine with numbered device slots of one SKU."""

    name: NodeName
    generation: int
    domain: DomainName
    sku: SkuName
    devices: int
    cpu_milli: int
    memory_mib: int
    storage_mbps: int
    network_mbps: int
    io: IoProfile
    labels: tuple[Label, ...] = ()
    attested_until_ms: int = 0


class SkuDeclared(Struct, frozen=True):
    """A SKU came into the pool."""

    sku: Sku


class SkuChanged(Struct, frozen=True):
    """A SKU is now as stated."""

    sku: Sku


class SkuRemoved(Struct, frozen=True):
    """A SKU left the pool; no node may use it any more."""

    name: SkuName
    generation: int


class RegionDeclared(Struct, frozen=True):
    """A region came into the pool."""

    region: Region


class RegionChanged(Struct, frozen=True):
    """A region is now as stated."""

    region: Region


class RegionRemoved(Struct, frozen=True):
    """A region left the pool; it holds no cluster any more."""

    name: RegionName
    generation: int


class ClusterDeclared(Struct, frozen=True):
    """A cluster came into the pool."""

    cluster: Cluster


class ClusterChanged(Struct, frozen=True):
    """A cluster is now as stated."""

    cluster: Cluster


class ClusterRemoved(Struct, frozen=True):
    """A cluster left the pool; it holds no domain any more."""

    name: ClusterName
    generation: int


class DomainDeclared(Struct, frozen=True):
    """A domain came into the pool."""

    domain: Domain


class DomainChanged(Struct, frozen=True):
    """A domain is now as stated."""

    domain: Domain


class DomainRemoved(Struct, frozen=True):
    """A domain left the pool; it holds no node any more."""

    name: DomainName
    generation: int


class NodeDeclared(Struct, frozen=True):
    """A node came into the pool, with all its device slots usable."""

    node: Node


class NodeChanged(Struct, frozen=True):
    """A node is now as stated."""

    node: Node


class NodeRemoved(Struct, frozen=True):
    """A node left the pool; work on it fails over."""

    name: NodeName
    generation: int


class DeviceDeclared(Struct, frozen=True):
    """A device slot of a node came into use."""

    node: NodeName
    slot: int
    sequence: int


class DeviceChanged(Struct, frozen=True):
    """A device slot of a node became usable or unusable."""

    node: NodeName
    slot: int
    sequence: int
    usable: bool


class DeviceRemoved(Struct, frozen=True):
    """A device slot of a node went out of use."""

    node: NodeName
    slot: int
    sequence: int


class NodeHealthReported(Struct, frozen=True):
    """A health monitor's word on a node; `sequence` rises per node, over all that report on it."""

    node: NodeName
    sequence: int
    health: NodeHealth
    detail: str = ""


class NodeHeartbeat(Struct, frozen=True):
    """A node's agent is alive: raw, folded by intake into health reports."""

    node: NodeName
    boot: int
    sequence: int
    sent_ms: int
    device_errors: int = 0


FleetEvent = (
    SkuDeclared
    | SkuChanged
    | SkuRemoved
    | RegionDeclared
    | RegionChanged
    | RegionRemoved
    | ClusterDeclared
    | ClusterChanged
    | ClusterRemoved
    | DomainDeclared
    | DomainChanged
    | DomainRemoved
    | NodeDeclared
    | NodeChanged
    | NodeRemoved
    | DeviceDeclared
    | DeviceChanged
    | DeviceRemoved
    | NodeHealthReported
    | NodeHeartbeat
)
