# SPDX-License-Identifier: Apache-2.0
"""What intake sends, and the proof that it got there.

A producer's `flush` says that nothing is under way any more, not that all of it arrived. So each
record has a delivery report, and the reports are counted: an input counts as done only when every
record that came of it was reported delivered.
"""

import time
from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from msgspec import structs

from schemas.errors import InternalError, WorldError
from schemas.records import Origin, Published
from schemas.value_rules import ATTRIBUTE_LENGTH
from streams.intake.judging import Refused
from streams.intake.reducer import Output
from streams.kafka.connection import Connection
from streams.kafka.headers import to_headers
from streams.kafka.rejected import refused_headers
from streams.kafka.topics import KEPT_BYTES, Topology

LEAVE_S = 10.0
"""How long a worker that was told to stop waits for a broker that does not answer."""

_PATIENCE_S = 120.0
_POLL_S = 0.05
_QUEUE_POLL_S = 0.1
_MARGIN_BYTES = 4_096
"""What a record's own framing, and what was wrong with it, may take of its topic's limit."""


class UndeliveredError(WorldError):
    """A record did not get to the broker; what it came of must not count as done."""


class Outbox:
    """Sends to the topics that intake writes. One thread; `settle` is where it waits."""

    def __init__(self, connection: Connection, topology: Topology) -> None:
        """Connect; nothing is sent yet."""
        self._producer = Producer(
            connection.settings()
            | {
                "enable.idempotence": True,  # in order and once per producer, acks from all in sync
                "compression.type": "lz4",
                "linger.ms": 5,
                "message.max.bytes": KEPT_BYTES,
                "message.timeout.ms": int(_PATIENCE_S * 1_000),
                "queue.buffering.max.messages": 500_000,
            }
        )
        self._accepted = topology.accepted.name
        self._rejected = topology.rejected.name
        self._cells = topology.cells.name
        self.sent = 0
        self._delivered = 0
        self._failed: KafkaError | None = None

    def send(self, output: Output, now_ms: int) -> None:
        """Send what the reducer said: to the engine, or to those that were refused at `now_ms`."""
        if isinstance(output, Refused):
            kept = storable(output)
            headers = refused_headers(kept.stored(now_ms))
            self._produce(self._rejected, None, kept.published.payload, headers)
        else:
            headers = to_headers(output.published)
            self._produce(self._accepted, output.key, output.published.payload, headers)

    def keep(self, key: bytes, cell: bytes, partition: int) -> None:
        """Keep a cell beside the partition that it is of."""
        self._produce(self._cells, key, cell, None, partition)

    def serve(self) -> None:
        """Take in delivery reports that have come, without waiting."""
        self._producer.poll(0)

    def settled(self, sent: int) -> bool:
        """Tell whether the first `sent` records are delivered, as far as reports have come.

        Raises `UndeliveredError` once any record has failed: none after it may count as done.
        """
        if self._failed is not None:
            msg = f"{self._failed}; {self._delivered} of {self.sent} records were delivered"
            raise UndeliveredError(msg)
        return self._delivered >= sent

    def settle(self, told: Callable[[], bool] = lambda: False) -> None:
        """Wait until all that was sent is delivered, and once `told` to stop not for long.

        Raises `UndeliveredError`.
        """
        begun = not_told = time.monotonic()
        while not self.settled(self.sent):
            now = time.monotonic()
            if not told():
                not_told = now
            if now > min(begun + _PATIENCE_S, not_told + LEAVE_S):
                msg = f"{self.sent - self._delivered} records had no report in {now - begun:.0f} s"
                raise UndeliveredError(msg)
            self._producer.poll(_POLL_S)

    def _produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes,
        headers: list[tuple[str, str | bytes | None]] | None,
        partition: int = -1,
    ) -> None:
        self.sent += 1
        while True:
            try:
                self._producer.produce(
                    topic,
                    value,
                    key,
                    partition,
                    on_delivery=self._on_delivery,
                    headers=headers,
                )
            except BufferError:  # the queue is full: let some of it go
                self._producer.poll(_QUEUE_POLL_S)
            except KafkaException as error:
                msg = f"{topic} takes no record of {len(value)} bytes: {error}"
                raise InternalError(msg) from error
            else:
                return

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self._delivered += 1
        elif self._failed is None:
            self._failed = error


def storable(refused: Refused) -> Refused:
    """Return a refusal that its topic can hold.

    What is even larger (headers that are no text take four times their size) is kept without its
    bytes and with clipped attributes: all of it lies in the upstream topic for as long as that
    keeps its records.
    """
    published = refused.published
    texts = [published.ce_type, *structs.astuple(published.origin)]
    size = len(published.payload) + sum(len(text.encode()) for text in texts)
    if size + len(refused.rule.encode()) <= KEPT_BYTES - _MARGIN_BYTES:
        return refused
    ce_type, *attributes = (text[:ATTRIBUTE_LENGTH] for text in texts)
    rule = f"{refused.rule}; {size} bytes are too many to keep, look for them in {refused.topic}"
    return structs.replace(
        refused, published=Published(ce_type, b"", Origin(*attributes)), rule=rule
    )
