# SPDX-License-Identifier: Apache-2.0
"""The fleet as arrays: the part of a cut that changes only when the fleet does."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.tables import IntArray
from schemas.fleet import Node
from schemas.ids import ClusterName, NodeName, RegionName, ReservationId, SkuName

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fleet:
    """Nodes by row, shared by all cuts until the fleet changes.

    Arrays are int64 per node row: `pool` and `domain` are indices; a pool is the nodes of one SKU
    in one cluster, and a gang stays in one pool, so that its workers are alike. `host` is
    int64[N, 4]: the node's cpu_milli, memory_mib, storage_mbps and network_mbps. `slots` counts
    usable device slots, `usable` is 1 where new work may go, `draining` where work is moved off.
    """

    version: int
    names: tuple[NodeName, ...]
    rows: dict[NodeName, int]
    specs: tuple[Node, ...]
    pools: tuple[tuple[ClusterName, SkuName], ...]
    pool_region: tuple[RegionName, ...]
    pool: IntArray
    domain: IntArray
    host: IntArray
    slots: IntArray
    usable: IntArray
    draining: IntArray
    attested_until_ms: IntArray
    confidential: IntArray
    shareable: IntArray
    eligible: dict[int, IntArray]
    """Kind index to the rows of nodes that its constraints and worker shape allow.

    Filled as kinds come.
    """
    largest: dict[int, int]
    """Kind index to the workers of one gang that an empty fleet could hold together.

    Filled as kinds come.
    """
    scopes: dict[ReservationId, BoolArray]
    """Reservation to the pools that it covers, as booleans per pool.

    Filled as reservations come.
    """
