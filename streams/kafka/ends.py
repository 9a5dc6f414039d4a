# SPDX-License-Identifier: Apache-2.0
"""Where partitions begin and end, by the broker's own word, asked of all at once.

Not by the consumer: on its connection each question stands behind a fetch that waits for records,
half a second a partition, and meanwhile nothing is taken in.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from streams.kafka.connection import Connection, failure_of, reason_of
from streams.kafka.partition import partitions_of
from streams.kafka.topics import Place

_ASK_S, _ANSWER_S = 1.0, 5.0
_EARLIEST: Any = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the client's
_LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # as above


class Ends:
    """A connection for such questions."""

    def __init__(self, connection: Connection) -> None:
        """Connect when asked."""
        self._connection = connection
        self._client: Any = None  # it types no answers
        self._connected = False

    def places(self, topics: Sequence[str]) -> Sequence[Place]:
        """Return each partition that topics have on the broker, however many are declared.

        Raises `KafkaException`, also where one is not there.
        """
        client = self._made()
        found = [(topic, at) for topic in topics for at in partitions_of(client, topic)]
        self._connected = True
        return found

    def of(
        self, places: Sequence[Place], seen: IsolationLevel = IsolationLevel.READ_UNCOMMITTED
    ) -> Mapping[Place, int]:
        """Return the offset after the last record of each of which the broker says it.

        Who sees what is committed sees nothing behind a transaction that is open.
        """
        return self._ask(places, _LATEST, seen)

    def begins(self, places: Sequence[Place]) -> Mapping[Place, int]:
        """Return the offset of the oldest record of each of which the broker says it."""
        return self._ask(places, _EARLIEST, IsolationLevel.READ_UNCOMMITTED)

    def _ask(
        self, places: Sequence[Place], wanted: OffsetSpec, seen: IsolationLevel
    ) -> Mapping[Place, int]:
        if not places or not self._connects(places[0]):
            return {}
        asked = {TopicPartition(*place): wanted for place in places}
        answers = self._client.list_offsets(asked, isolation_level=seen, request_timeout=_ASK_S)
        found: dict[Place, int] = {}
        for at, told in answers.items():
            # One without a leader that answers has an error, or an offset below 0.
            error = failure_of(told, _ANSWER_S)
            if error is None:
                found[at.topic, at.partition] = told.result().offset
            elif _is_refused(error):
                self._client = None  # it would ask the same leader again, for minutes
        return {place: offset for place, offset in found.items() if offset >= 0}

    def _connects(self, place: Place) -> bool:
        """Whether there is a client that has met a broker.

        One that has not, and is asked, may look for a broker again only after three seconds.
        """
        client = self._made()
        if not self._connected:
            try:
                client.list_topics(place[0], timeout=_ASK_S)
            except KafkaException:
                return False
            self._connected = True
        return True

    def _made(self) -> Any:  # noqa: ANN401  # as above
        if self._client is None:
            self._client, self._connected = AdminClient(self._connection.settings()), False
        return self._client


def _is_refused(error: BaseException) -> bool:
    """Whether a broker said it: this client knows a leader that is none, or its epoch is over."""
    reason = reason_of(error) if isinstance(error, KafkaException) else None
    return reason is not None and reason.code() > KafkaError.NO_ERROR
