# SPDX-License-Identifier: Apache-2.0
"""Transactions that nobody ends, which a broker may leave that was killed while it ended one.

Seen on Apache Kafka 4.3: killed just then and started again, it took a transaction for complete
that had its marker in none of its partitions. Readers see nothing behind it, until the next
transaction of the same producer ends: then it stands or falls with that one, also where whoever
began that one could not know what was there.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from streams.kafka.connection import Connection, failure_of

Place = tuple[str, int]

_ASK_S, _ANSWER_S = 5.0, 10.0
_LOOK_S = 0.02
_LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client's


def open_in(
    connection: Connection, places: Sequence[Place], patience_s: float
) -> Mapping[Place, int]:
    """Return where a transaction is still open when patience is out, and its first offset.

    Of a partition without a leader that answers nobody can say it.
    """
    client: Any = AdminClient(connection.settings())  # it types no answers
    written = _ends(client, places, IsolationLevel.READ_UNCOMMITTED)
    deadline = time.monotonic() + patience_s
    while True:
        ended = _ends(client, tuple(written), IsolationLevel.READ_COMMITTED)
        found = {place: end for place, end in ended.items() if end < written[place]}
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(_LOOK_S)


def _ends(client: Any, places: Sequence[Place], seen: IsolationLevel) -> Mapping[Place, int]:  # noqa: ANN401  # as above
    if not places:
        return {}
    asked = {TopicPartition(*place): _LATEST for place in places}
    answers: Any = {}
    with suppress(KafkaException):
        answers = client.list_offsets(asked, isolation_level=seen, request_timeout=_ASK_S)
    return {
        (at.topic, at.partition): told.result().offset
        for at, told in answers.items()
        if failure_of(told, _ANSWER_S) is None
    }
