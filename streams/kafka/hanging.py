# SPDX-License-Identifier: Apache-2.0
"""Transactions that nobody ends, which a broker may leave that was killed while it ended one.

Seen on Apache Kafka 4.3: killed just then and started again, it took a transaction for complete
that had its marker in none of its partitions. Readers see nothing behind it, until the next
transaction of the same producer ends: then it stands or falls with that one, also where whoever
began that one could not know what was there.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from schemas.ledger import LedgerBusyError
from streams.kafka.connection import Connection, failure_of

Place = tuple[str, int]

_PATIENCE_S, _ASK_S, _ANSWER_S = 30.0, 5.0, 10.0
_LOOK_S = 0.02
_LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client's


def open_in(
    connection: Connection, places: Sequence[Place], patience_s: float
) -> Mapping[Place, int]:
    """Return where a transaction is still open when patience is out, and its first offset.

    Raises `LedgerBusyError` where no broker says it of each of them.
    """
    written = _ends(connection, places, IsolationLevel.READ_UNCOMMITTED)
    deadline = time.monotonic() + patience_s
    while True:
        ended = _ends(connection, places, IsolationLevel.READ_COMMITTED)
        found = {place: end for place, end in ended.items() if end < written[place]}
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(_LOOK_S)


def _ends(
    connection: Connection, places: Sequence[Place], seen: IsolationLevel
) -> Mapping[Place, int]:
    """Return where partitions end. A broker that has just started does not know it of all."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        found = _told(connection, places, seen)
        if unknown := [place for place in places if found.get(place, -1) < 0]:
            if time.monotonic() > deadline:
                topic, number = unknown[0]
                msg = f"no broker at {connection.bootstrap} says where {topic}/{number} ends"
                raise LedgerBusyError(msg)
            time.sleep(_LOOK_S)
            continue
        return found


def _told(
    connection: Connection, places: Sequence[Place], seen: IsolationLevel
) -> Mapping[Place, int]:
    client: Any = AdminClient(connection.settings())  # it types no answers
    asked = {TopicPartition(*place): _LATEST for place in places}
    try:
        client.list_topics(timeout=_ASK_S)  # one that is not connected yet may look again after 3 s
        answers = client.list_offsets(asked, isolation_level=seen, request_timeout=_ASK_S)
    except KafkaException:
        return {}
    return {
        (at.topic, at.partition): told.result().offset
        for at, told in answers.items()
        if failure_of(told, _ANSWER_S) is None
    }
