# SPDX-License-Identifier: Apache-2.0
"""Who may not stay: work on draining nodes, confidential work whose attestation has ended."""

import numpy as np

from engine.planning.view import BoolArray, View
from engine.snapshot import Snapshot
from engine.tables import IntArray


def leaving(snapshot: Snapshot, view: View) -> IntArray:
    """Return the jobs that run, or are about to, where they may not stay: int64, rising.

    A gang leaves whole, though only one of its nodes sends it away.
    """
    draining = snapshot.fleet.draining == 1
    asks = np.array([kind.constraints.confidential for kind in snapshot.kinds], np.bool_)
    if not draining.any() and not asks.any():
        return np.zeros(0, np.int64)
    placed = np.flatnonzero(view.movable | view.starting)
    exposed = placed[asks[snapshot.column("kind")[placed]]]
    untrusted = ~_trusted(snapshot)
    gone = [job for job in placed.tolist() if _stands_on(snapshot, job, draining)]
    gone += [job for job in exposed.tolist() if _stands_on(snapshot, job, untrusted)]
    return np.array(sorted(set(gone)), np.int64)


def _trusted(snapshot: Snapshot) -> BoolArray:
    fleet = snapshot.fleet
    current: BoolArray = (fleet.attested_until_ms > snapshot.now_ms) & (fleet.confidential == 1)
    return current


def _stands_on(snapshot: Snapshot, job: int, nodes: BoolArray) -> bool:
    rows = snapshot.fleet.rows
    return any(nodes[rows[piece.node]] for piece in snapshot.details[job].slices)
