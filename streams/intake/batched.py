# SPDX-License-Identifier: Apache-2.0
"""The batched host of the reducer: Kafka's own client, records in batches, one thread.

It owns its offsets: they are committed by hand at a checkpoint (`streams.intake.worker`), and
before a partition is given away. A producer's transactions are not used; what is read twice has the
effect of once. Upstream's are not honoured: a record counts when it is there, because an upstream
that leaves a transaction open must not be able to hide everybody else's records.
"""

import gc
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import cast

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from structlog.typing import FilteringBoundLogger

from streams.intake.bounds import Bounds
from streams.intake.fold_rules import FOLD, FoldRules
from streams.intake.kept import kept_cells
from streams.intake.lost import IntakeLostError, pass_over
from streams.intake.outbox import LEAVE_S, Outbox
from streams.intake.worker import SESSION_S, Worker
from streams.kafka.connection import Connection
from streams.kafka.ends import Ends
from streams.kafka.headers import Headers
from streams.kafka.membership import commit, committed, leave, send_commit
from streams.kafka.topics import INTAKE, Place, Topology

BATCH = 2_000
CHECKPOINT_S = 1.0
_POLL_S = 0.1
_ASK_S = 5.0
_MS = 1_000

_READING: dict[str, str | int | bool] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,  # an end may lie behind markers, which are no records
    "auto.offset.reset": "earliest",
    "isolation.level": "read_uncommitted",
    "session.timeout.ms": int(SESSION_S * _MS),
    "partition.assignment.strategy": "cooperative-sticky",
    "queued.min.messages": 20_000,
    "fetch.message.max.bytes": 4 * 1_048_576,
}
"""What its consumer is told, its group aside."""


class BatchedIntake:
    """One worker of a group. Use `run`, or `step` and `checkpoint` by turns, then `close`."""

    def __init__(
        self,
        connection: Connection,
        topology: Topology,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        fold: FoldRules = FOLD,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        """Join the group; partitions come with the first steps."""
        self._connection = connection
        self._topology = topology
        self._now_ms = now_ms
        self._fold = fold
        self._worker = Worker(topology.rules, fold)
        self._outbox = Outbox(connection, topology)
        self._broker_ends = Ends(connection)
        self._bounds = Bounds(self._broker_ends, self._worker, log or structlog.get_logger())
        self._next: dict[Place, int] = {}
        self._committed: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}
        self._checkpoint_at = time.monotonic() + CHECKPOINT_S
        self._asked_at = time.monotonic()
        self._told: Callable[[], bool] = lambda: False
        self._leaving = False
        self._lost = False
        self._answered = False
        self.taken = 0
        self._consumer = Consumer(
            connection.settings() | _READING | {"group.id": topology.group(INTAKE)}
        )
        self._consumer.subscribe(
            [topic.name for topic in topology.upstream],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    @property
    def ready(self) -> bool:
        """Whether the group gave it partitions, and the broker answered when last asked."""
        return self._answered and bool(self._worker.places)

    @property
    def expired(self) -> int:
        """How many offsets were gone for their age before they were read."""
        return self._bounds.expired

    def run(self, stop: Callable[[], bool]) -> None:
        """Take in until `stop()` is true, then give everything back in good order.

        Raises `UndeliveredError`, `NotCommittedError` or `IntakeLostError`, also where no broker
        answers within `LEAVE_S` of being told; what was not settled then is read again by whoever
        comes next. So it is where intake fails by a bug of its own, an `InternalError`.
        """
        self._told = stop
        gc.collect()
        gc.freeze()  # what was loaded stays: looking through it again and again costs a tenth
        try:
            while not stop():
                # 1. Take in what has come.
                self.step()
                # 2. Let time pass where nothing waits.
                self._let_time_pass()
                # 3. Keep what changed and commit what is settled.
                if time.monotonic() >= self._checkpoint_at:
                    self.checkpoint()
            self.checkpoint()
        finally:
            self.close()

    def step(self, most: int = BATCH) -> int:
        """Take in up to so many records; return how many came, with the ends that were met."""
        batch = self._consumer.consume(most, _POLL_S)
        now_ms = self._now_ms()
        with self._whole():
            for message in batch:
                self._take(message, now_ms)
            self._outbox.serve()
        return len(batch)

    def checkpoint(self) -> None:
        """Settle, keep and commit, in the order that `streams.intake.worker` gives."""
        with self._whole():
            self._keep()
            due = self._due()
            if due:
                done = commit(self._consumer, due, LEAVE_S)
                self._committed.update({(t.topic, t.partition): t.offset for t in done})
        self._checkpoint_at = time.monotonic() + CHECKPOINT_S

    def close(self) -> None:
        """Leave the group. What is not settled is not committed."""
        self._leaving = True
        leave(self._consumer, LEAVE_S)

    @contextmanager
    def _whole(self) -> Generator[None]:
        """Do what has to succeed as a whole: no later checkpoint keeps or commits half of it."""
        self._lost = True
        yield
        self._lost = False

    # --- records --------------------------------------------------------------------------------

    def _take(self, message: Message, now_ms: int) -> None:
        place, offset = (str(message.topic()), _number(message.partition())), message.offset()
        error = message.error()
        if error is not None:
            if error.code() == _AT_END:
                self._ends[place] = _number(offset)
            else:
                pass_over(error)
            return
        if not self._worker.owns(place) or _number(offset) < self._next.get(place, 0):
            return  # fetched before a rebalance, and no longer or once more ours
        self._bounds.make_sure(place)
        headers = cast("Headers | None", message.headers())
        record = (_number(offset), message.timestamp()[1], headers, message.value())
        for output in self._worker.take(place, record, now_ms):
            self._outbox.send(output, now_ms)
        self._next[place] = _number(offset) + 1
        self.taken += 1

    def _let_time_pass(self) -> None:
        """Let time pass in the partitions whose end is where we are, by the broker's own word."""
        now = time.monotonic()
        if now < self._asked_at + self._fold.sweep_ms / _MS:
            return
        self._asked_at = now
        # Where no broker answers, it is nobody's silence.
        ends = self._broker_ends.of(self._worker.places)
        self._answered = bool(ends)
        for place, end in ends.items():
            known = self._next.get(place, self._committed.get(place, 0))
            if max(known, self._ends.get(place, 0)) >= end:
                now_ms = self._now_ms()
                with self._whole():
                    for output in self._worker.quiet(place, now_ms):
                        self._outbox.send(output, now_ms)

    def _keep(self) -> None:
        cells = self._worker.changed()
        self._outbox.settle(self._told)
        for cell in cells:
            self._outbox.keep(cell.key, cell.data, cell.partition)
        self._outbox.settle(self._told)

    def _due(self) -> Sequence[TopicPartition]:
        return [
            TopicPartition(*place, offset)
            for place, offset in self._next.items()
            if self._worker.owns(place) and self._committed.get(place) != offset
        ]

    # --- partitions come and go -----------------------------------------------------------------

    def _on_assign(self, _: Consumer, assigned: Sequence[TopicPartition]) -> None:
        if self._leaving:
            return  # whoever stays gets them next
        partitions = sorted({place.partition for place in assigned})
        kept = kept_cells(self._connection, self._topology, partitions)
        places = [(place.topic, place.partition) for place in assigned]
        try:
            found = committed(self._consumer, places, _ASK_S)
        except KafkaException as error:
            msg = f"committed offsets could not be read: {error}"
            raise IntakeLostError(msg) from error
        for place, offset in found.items():
            self._worker.assign(place, kept.get)
            self._next.pop(place, None)
            self._ends.pop(place, None)
            self._committed[place] = max(offset, 0)
        self._answered = True
        self._bounds.look(found)

    def _on_revoke(self, _: Consumer, revoked: Sequence[TopicPartition]) -> None:
        if not (self._lost or self._leaving):
            with self._whole():
                self._keep()
                send_commit(self._consumer, self._due())
        self._forget(revoked)

    def _on_lost(self, _: Consumer, lost: Sequence[TopicPartition]) -> None:
        """Drop what somebody else has by now: nothing of it may be kept or committed here."""
        self._forget(lost)

    def _forget(self, gone: Sequence[TopicPartition]) -> None:
        for found in gone:
            self._worker.revoke((found.topic, found.partition))
            self._next.pop((found.topic, found.partition), None)


def _number(value: int | None) -> int:
    """Return a record's partition or offset, which only an error's message lacks."""
    return -1 if value is None else value


_AT_END = KafkaError._PARTITION_EOF  # noqa: SLF001  # the client's own name
