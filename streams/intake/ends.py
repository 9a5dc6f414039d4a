# SPDX-License-Identifier: Apache-2.0
"""Where partitions end, by the broker's own word, asked of all at once.

Not by the consumer: on its connection each question stands behind a fetch that waits for records,
half a second a partition, and meanwhile nothing is taken in.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from streams.intake.worker import Place
from streams.kafka.connection import Connection

_ASK_S = 1.0
_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client's


class Ends:
    """A connection for such questions."""

    def __init__(self, connection: Connection) -> None:
        """Connect when first asked."""
        self._client: Any = AdminClient(connection.settings())  # it types no answers

    def of(self, places: Sequence[Place]) -> Mapping[Place, int]:
        """Return the offset after the last record of each; empty where the broker does not say."""
        if not places:
            return {}
        asked = {TopicPartition(*place): _LATEST for place in places}
        answers = self._client.list_offsets(asked, request_timeout=_ASK_S)
        try:
            return {(at.topic, at.partition): told.result().offset for at, told in answers.items()}
        except KafkaException:
            return {}
