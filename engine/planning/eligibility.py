# SPDX-License-Identifier: Apache-2.0
"""Which nodes a kind of job may use, and which rule excludes the others."""

import numpy as np
from numpy.typing import NDArray

from engine.fleet import Fleet
from engine.snapshot import DEVICE_MILLI, Snapshot
from engine.state import Kind
from engine.tables import IntArray
from schemas.decisions import Exclusion
from schemas.jobs import WorkerShape
from schemas.kinds import Span
from schemas.reasons import Rule

BoolArray = NDArray[np.bool_]


def eligible_rows(snapshot: Snapshot, kind_index: int) -> IntArray:
    """Return the sorted rows of nodes that may take new work of this kind now.

    What depends on the fleet alone is worked out once per fleet and kind; attestation and health
    are looked at each time.
    """
    fleet = snapshot.fleet
    kind = snapshot.kinds[kind_index]
    rows = fleet.eligible.get(kind_index)
    if rows is None:
        mask = np.ones(len(fleet.names), np.bool_)
        for _, passes in _static_rules(fleet, kind):
            mask &= passes
        rows = fleet.eligible[kind_index] = np.flatnonzero(mask & (fleet.usable == 1))
    if kind.constraints.confidential:
        rows = rows[fleet.attested_until_ms[rows] > snapshot.now_ms]
    return rows


def _static_rules(fleet: Fleet, kind: Kind) -> list[tuple[Rule, BoolArray]]:
    """Return each rule that does not change with time, with the nodes that pass it."""
    asked, worker = kind.constraints, kind.worker
    everywhere = np.ones(len(fleet.names), np.bool_)
    skus = np.array([not asked.skus or sku in asked.skus for _, sku in fleet.pools], np.bool_)
    regions = np.array(
        [not asked.regions or r in asked.regions for r in fleet.pool_region], np.bool_
    )
    labels = np.array([set(asked.labels) <= set(spec.labels) for spec in fleet.specs], np.bool_)
    confidential = fleet.confidential == 1 if asked.confidential else everywhere
    shares = fleet.shareable == 1
    fits = (fleet.host >= host_asked(worker)).all(axis=1)
    return [
        (Rule.SKU, skus[fleet.pool]),
        (Rule.REGION, regions[fleet.pool]),
        (Rule.LABELS, labels),
        (Rule.CONFIDENTIAL, confidential),
        (Rule.SHARING, everywhere if worker.device_milli == DEVICE_MILLI else shares),
        (Rule.WORKER_SHAPE, fits & (fleet.slots >= worker.devices)),
    ]


def host_asked(worker: WorkerShape) -> IntArray:
    """Return what a worker takes of its host, int64[4], in the order of `Fleet.host`."""
    return np.array(
        [worker.cpu_milli, worker.memory_mib, worker.storage_mbps, worker.network_mbps], np.int64
    )


def largest_gang(snapshot: Snapshot, kind_index: int) -> int:
    """Return how many workers of one gang of this kind an empty fleet could hold together.

    Worked out once per fleet and kind, but for confidential work, whose nodes change with time.
    """
    if snapshot.kinds[kind_index].constraints.confidential:
        return _largest_gang(snapshot, kind_index)
    known = snapshot.fleet.largest.get(kind_index)
    if known is None:
        known = snapshot.fleet.largest[kind_index] = _largest_gang(snapshot, kind_index)
    return known


def _largest_gang(snapshot: Snapshot, kind_index: int) -> int:
    fleet = snapshot.fleet
    rows = eligible_rows(snapshot, kind_index)
    if not len(rows):
        return 0
    kind = snapshot.kinds[kind_index]
    group = {
        Span.CLUSTER: fleet.pool,
        Span.DOMAIN: fleet.domain,
        Span.NODE: np.arange(len(fleet.names)),
    }[kind.constraints.span]
    per_node = _workers_per_node(fleet, kind.worker, rows)
    return int(np.bincount(group[rows], weights=per_node).max())


_MANY = 2**31
"""More workers than any node holds."""


def _workers_per_node(fleet: Fleet, worker: WorkerShape, rows: IntArray) -> IntArray:
    share = DEVICE_MILLI // worker.device_milli if worker.devices == 1 else 1
    most = np.full(len(rows), _MANY, np.int64)
    if worker.devices:
        most = fleet.slots[rows] * share // worker.devices
    asked = host_asked(worker)
    needs = asked > 0
    if needs.any():
        most = np.minimum(most, (fleet.host[rows][:, needs] // asked[needs]).min(axis=1))
    return most


def exclusions(snapshot: Snapshot, kind_index: int) -> tuple[Exclusion, ...]:
    """Return how many nodes each rule excludes, in the order of the rules.

    Each node is counted once.
    """
    fleet = snapshot.fleet
    kind = snapshot.kinds[kind_index]
    left = np.ones(len(fleet.names), np.bool_)
    found: list[Exclusion] = []
    rules = [(Rule.NODE_HEALTH, fleet.usable == 1), *_static_rules(fleet, kind)]
    for rule, passes in rules:
        out = int((left & ~passes).sum())
        if out:
            found.append(Exclusion(rule.value, out))
        left &= passes
    if left.any():
        found.append(Exclusion(Rule.GANG_SPAN.value, int(left.sum())))
    return tuple(found)
