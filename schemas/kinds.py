# SPDX-License-Identifier: Apache-2.0
"""Closed enumerations of the contract; the numbers are those of the wire."""

from enum import IntEnum


class SkuKind(IntEnum):
    """What kind of accelerator a SKU is."""

    CPU = 1
    GPU = 2
    FPGA = 3
    ASIC = 4


class IoProfile(IntEnum):
    """How a node processes network and storage traffic."""

    HOST = 1
    OFFLOAD = 2


class NodeHealth(IntEnum):
    """Where a node stands between healthy and repaired."""

    HEALTHY = 1
    SUSPECT = 2
    DRAINING = 3
    QUARANTINED = 4
    REPAIRING = 5
    PROBATION = 6


class Tier(IntEnum):
    """What a job was promised."""

    PREMIUM = 1
    STANDARD = 2
    BASIC = 3


class Span(IntEnum):
    """How close together the workers of a gang must be."""

    CLUSTER = 1
    DOMAIN = 2
    NODE = 3


class ApiKind(IntEnum):
    """How a deployment is sold."""

    PROVISIONED = 1
    PAYGO = 2
    DEDICATED = 3
