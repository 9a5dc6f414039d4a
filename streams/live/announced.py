# SPDX-License-Identifier: Apache-2.0
"""The newest snapshot that an engine announced: where whoever starts elsewhere looks first."""

import time
from contextlib import closing

from schemas.ledger import LedgerStorageError
from streams.kafka.connection import Connection
from streams.kafka.partition import PATIENCE_S, Partition
from streams.kafka.topics import READER, Topology
from streams.live.kafka_ends import Announced, decode_announced

_LOOK_S = 0.5


def newest(connection: Connection, topology: Topology) -> Announced | None:
    """Return what was announced last, or None before the first. Raises `LedgerStorageError`."""
    found: Announced | None = None
    name = topology.snapshots.name
    with closing(Partition(connection, name, topology.group(READER), looks=True)) as partition:
        low, end = partition.bounds()
        partition.seek(low)
        deadline = time.monotonic() + PATIENCE_S
        while not partition.seen(end):
            for message in partition.take(_LOOK_S):
                found = decode_announced(message.value() or b"")
            if time.monotonic() > deadline:
                msg = f"{name} at {connection.bootstrap} gave nothing for too long"
                raise LedgerStorageError(msg)
    return found
