# SPDX-License-Identifier: Apache-2.0
"""Whether offsets that a client passed over held records, by the broker's own word.

Offsets have holes where a producer's transactions ended and where records were compacted away or
dropped for their age, so a hole alone proves no loss. What its group has committed is no loss
either: somebody has taken it in, also where this client's own library does not know of it.
"""

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.kafka.connection import Connection
from streams.kafka.membership import committed
from streams.kafka.topics import Place

_AT_END = KafkaError._PARTITION_EOF  # noqa: SLF001  # the client's own name
_LOOK_S = 0.2
_PATIENCE_S = 30.0


def holds_records(connection: Connection, group: str, place: Place, first: int, end: int) -> bool:
    """Tell whether a record lies at `first` or behind it, before `end`, that is not committed.

    True where nobody says. An aborted record is one: intake takes in whatever is in the topic.
    """
    reader = Consumer(
        connection.settings()
        | {
            "group.id": group,  # to ask for what is committed; it is never joined
            "enable.auto.commit": False,
            "isolation.level": "read_uncommitted",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    deadline = time.monotonic() + _PATIENCE_S
    try:
        first = max(first, committed(reader, [place], _PATIENCE_S)[place])
        reader.assign([TopicPartition(*place, first)])
        while first < end and time.monotonic() < deadline:
            for message in reader.consume(1, _LOOK_S):
                error = message.error()
                if error is None:
                    return first <= (message.offset() or 0) < end
                if error.code() == _AT_END:
                    return False
    except KafkaException:
        return True
    else:
        return first < end
    finally:
        reader.close()
