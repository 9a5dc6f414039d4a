# SPDX-License-Identifier: Apache-2.0
"""The cells that a group's workers have kept, read from their topic."""

from collections.abc import Iterator, Mapping, Sequence

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaException,
    Message,
    TopicPartition,
)

from streams.intake.cells import later
from streams.intake.lost import IntakeLostError, pass_over
from streams.intake.outbox import LEAVE_S
from streams.kafka.connection import Connection
from streams.kafka.topics import INTAKE, Topology

_BATCH = 2_000
_POLL_S = 0.1
_ASK_S = 5.0


def kept_cells(
    connection: Connection, topology: Topology, partitions: Sequence[int]
) -> dict[bytes, bytes]:
    """Return the cells of these partitions by key, as they were kept when asked.

    Raises `IntakeLostError` where they cannot be read.
    """
    topic = topology.cells.name
    reader = Consumer(
        connection.settings()
        | {"group.id": f"{topology.group(INTAKE)}.cells", "enable.auto.commit": False}
    )
    found: dict[bytes, bytes] = {}
    try:
        ends = {
            p: reader.get_watermark_offsets(TopicPartition(topic, p), timeout=_ASK_S)[1]
            for p in partitions
        }
        for message in _read_to(reader, topic, {p: end for p, end in ends.items() if end}):
            key, data = message.key(), message.value()
            if isinstance(key, bytes) and isinstance(data, bytes):
                found[key] = later(found.get(key), data)
    except KafkaException as error:
        msg = f"{topic} could not be read: {error}"
        raise IntakeLostError(msg) from error
    finally:
        reader.close()
    return found


def _read_to(reader: Consumer, topic: str, ends: Mapping[int, int]) -> Iterator[Message]:
    """Yield the records up to these ends. Raises `IntakeLostError` if none comes for `LEAVE_S`."""
    if not ends:
        return
    places = [TopicPartition(topic, partition) for partition in ends]
    reader.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in ends])
    silent_s = 0.0
    while any(p.offset < ends[p.partition] for p in reader.position(places)):
        batch = reader.consume(_BATCH, _POLL_S)
        silent_s = 0.0 if batch else silent_s + _POLL_S
        if silent_s > LEAVE_S:
            msg = f"{topic} gives no records"
            raise IntakeLostError(msg)
        for message in batch:
            error = message.error()
            if error is None:
                yield message
            else:
                pass_over(error)
