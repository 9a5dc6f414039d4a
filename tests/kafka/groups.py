# SPDX-License-Identifier: Apache-2.0
"""What consumer groups have committed on a real broker, for whoever watches them."""

from collections.abc import Mapping
from contextlib import closing

from confluent_kafka import Consumer

from streams.kafka.connection import Connection
from streams.kafka.membership import committed
from streams.kafka.partition import partitions_of

PATIENCE_S = 30.0


def committed_in(connection: Connection, group: str, topic: str) -> Mapping[int, int]:
    """Return up to where a group has committed in a topic, by partition, if at all."""
    with closing(Consumer(connection.settings() | {"group.id": group})) as consumer:
        places = [(topic, number) for number in partitions_of(consumer, topic)]
        found = committed(consumer, places, PATIENCE_S)
    return {number: offset for (_, number), offset in found.items() if offset >= 0}
