# SPDX-License-Identifier: Apache-2.0
"""Whether offsets that a client passed over held records, by the broker's own word.

Offsets have holes where a producer's transactions ended or were compacted away, so a hole alone
proves no loss.
"""

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.kafka.connection import Connection

_AT_END = KafkaError._PARTITION_EOF  # noqa: SLF001  # the client's own name
_LOOK_S = 0.2
_PATIENCE_S = 30.0


def holds_records(
    connection: Connection, group: str, place: tuple[str, int], first: int, end: int
) -> bool:
    """Tell whether a record lies at `first` or behind it, before `end`; True where nobody says."""
    reader = Consumer(
        connection.settings()
        | {
            "group.id": f"{group}-gaps",
            "enable.auto.commit": False,
            "isolation.level": "read_uncommitted",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    deadline = time.monotonic() + _PATIENCE_S
    try:
        reader.assign([TopicPartition(*place, first)])
        while time.monotonic() < deadline:
            for message in reader.consume(1, _LOOK_S):
                error = message.error()
                if error is None:
                    return first <= (message.offset() or 0) < end
                if error.code() == _AT_END:
                    return False
    except KafkaException:
        return True
    else:
        return True
    finally:
        reader.close()
