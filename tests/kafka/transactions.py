# SPDX-License-Identifier: Apache-2.0
"""Transactions in the ledger's topic that are begun and not ended."""

from collections.abc import Callable, Iterator, Sequence

from confluent_kafka import Producer

from streams.kafka.connection import Connection
from streams.kafka.entries import record_headers
from streams.kafka.lock import Outgoing
from streams.kafka.topics import Topology

PATIENCE_S = 60


def leave_open(
    broker: Connection, topology: Topology, *contents: bytes, head: int = 0, by: str = ""
) -> Producer:
    """A writer that stops in the middle of a transaction: what it wrote lies in the partition.

    By the ledger's own writer, or by another transactional id.
    """
    producer = Producer(broker.settings() | {"transactional.id": by or topology.lock})
    producer.init_transactions(PATIENCE_S)
    producer.begin_transaction()
    for at, data in enumerate(contents, head):
        producer.produce(topology.ledger.name, data, partition=0, headers=record_headers(at))
    assert producer.flush(PATIENCE_S) == 0
    return producer


class CutOff(list[Outgoing]):
    """Records with something that happens after the first was handed over."""

    def __init__(self, entries: Sequence[Outgoing], happens: Callable[[], None]) -> None:
        """Keep them."""
        super().__init__(entries)
        self._happens = happens

    def __iter__(self) -> Iterator[Outgoing]:
        """Let it happen in between."""
        first, *rest = super().__iter__()
        yield first
        self._happens()
        yield from rest
