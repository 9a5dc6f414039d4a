# SPDX-License-Identifier: Apache-2.0
"""The batched host of the reducer: Kafka's own client, records in batches, one thread.

It owns its offsets: they are committed by hand at a checkpoint (`streams.intake.worker`), and
before a partition is given away. A producer's transactions are not used; what is read twice has the
effect of once. Upstream's are not honoured: a record counts when it is there, because an upstream
that leaves a transaction open must not be able to hide everybody else's records.
"""

import gc
import time
from collections.abc import Callable, Sequence
from typing import cast

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from schemas.errors import WorldError
from streams.intake.cells import decode_cell
from streams.intake.ends import Ends
from streams.intake.fold_rules import FOLD, FoldRules
from streams.intake.outbox import LEAVE_S, Outbox
from streams.intake.worker import SESSION_S, Place, Worker
from streams.kafka.connection import Connection, is_one_of
from streams.kafka.headers import Headers
from streams.kafka.topics import INTAKE, Topology

BATCH = 2_000
CHECKPOINT_S = 1.0
_POLL_S = 0.1
_ASK_S = 5.0
_MS = 1_000


class IntakeLostError(WorldError):
    """The broker failed in a way that the client does not mend by itself."""


class BatchedIntake:
    """One worker of a group. Use `run`, or `step` and `checkpoint` by turns, then `close`."""

    def __init__(
        self,
        connection: Connection,
        topology: Topology,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        fold: FoldRules = FOLD,
    ) -> None:
        """Join the group; partitions come with the first steps."""
        self._connection = connection
        self._topology = topology
        self._now_ms = now_ms
        self._fold = fold
        self._worker = Worker(topology.rules, fold)
        self._outbox = Outbox(connection, topology)
        self._broker_ends = Ends(connection)
        self._next: dict[Place, int] = {}
        self._committed: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}
        self._checkpoint_at = time.monotonic() + CHECKPOINT_S
        self._asked_at = time.monotonic()
        self._told: Callable[[], bool] = lambda: False
        self._leaving = False
        self._lost = False
        self.taken = 0
        self._consumer = Consumer(
            connection.settings()
            | {
                "group.id": topology.group(INTAKE),
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
        )
        self._consumer.subscribe(
            [topic.name for topic in topology.upstream],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def run(self, stop: Callable[[], bool]) -> None:
        """Take in until `stop()` is true, then give everything back in good order.

        Raises `UndeliveredError` or `IntakeLostError`, also where no broker answers within
        `LEAVE_S` of being told; what was not settled then is read again by whoever comes next.
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
        for message in batch:
            self._take(message, now_ms)
        self._outbox.serve()
        return len(batch)

    def checkpoint(self) -> None:
        """Settle, keep and commit, in the order that `streams.intake.worker` gives."""
        cells = self._worker.changed()
        self._lost = True  # unless all of it succeeds: no later one may commit what this one left
        self._outbox.settle(self._told)
        for cell in cells:
            self._outbox.keep(cell.key, cell.data, cell.partition)
        self._outbox.settle(self._told)
        self._commit()
        self._lost = False
        self._checkpoint_at = time.monotonic() + CHECKPOINT_S

    def close(self) -> None:
        """Leave the group. What is not settled is not committed."""
        self._leaving = True
        self._consumer.close()

    # --- records --------------------------------------------------------------------------------

    def _take(self, message: Message, now_ms: int) -> None:
        place, offset = (str(message.topic()), _number(message.partition())), message.offset()
        error = message.error()
        if error is not None:
            if error.code() == _AT_END:
                self._ends[place] = _number(offset)
            else:
                _judge(error)
            return
        if not self._worker.owns(place) or _number(offset) < self._next.get(place, 0):
            return  # fetched before a rebalance, and no longer or once more ours
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
        for place, end in self._broker_ends.of(self._worker.places).items():
            known = self._next.get(place, self._committed.get(place, 0))
            if max(known, self._ends.get(place, 0)) >= end:
                now_ms = self._now_ms()
                for output in self._worker.quiet(place, now_ms):
                    self._outbox.send(output, now_ms)

    def _commit(self) -> None:
        due = [
            TopicPartition(*place, offset)
            for place, offset in self._next.items()
            if self._worker.owns(place) and self._committed.get(place) != offset
        ]
        if not due:
            return
        try:
            done = self._consumer.commit(offsets=due, asynchronous=False)
        except KafkaException as error:
            if is_one_of(error, _STALE):
                return  # the group went on without us: whoever owns them reads again
            msg = f"offsets were not committed: {error}"
            raise IntakeLostError(msg) from error
        self._committed.update({(t.topic, t.partition): t.offset for t in done or ()})

    # --- partitions come and go -----------------------------------------------------------------

    def _on_assign(self, _: Consumer, assigned: Sequence[TopicPartition]) -> None:
        if self._leaving:
            return  # whoever stays gets them next
        kept = self._kept(sorted({place.partition for place in assigned}))
        try:
            committed = self._consumer.committed(list(assigned), timeout=_ASK_S)
        except KafkaException as error:
            msg = f"committed offsets could not be read: {error}"
            raise IntakeLostError(msg) from error
        for found in committed:
            place = (found.topic, found.partition)
            self._worker.assign(place, kept.get)
            self._next.pop(place, None)
            self._ends.pop(place, None)
            self._committed[place] = max(found.offset, 0)

    def _on_revoke(self, _: Consumer, revoked: Sequence[TopicPartition]) -> None:
        if not self._lost:
            self.checkpoint()
        self._forget(revoked)

    def _on_lost(self, _: Consumer, lost: Sequence[TopicPartition]) -> None:
        """Drop what somebody else has by now: nothing of it may be kept or committed here."""
        self._forget(lost)

    def _forget(self, gone: Sequence[TopicPartition]) -> None:
        for found in gone:
            self._worker.revoke((found.topic, found.partition))
            self._next.pop((found.topic, found.partition), None)

    def _kept(self, partitions: Sequence[int]) -> dict[bytes, bytes]:
        """Return the kept cells of these partitions.

        Of one key it is the one that includes most, whatever came last: a worker that was taken for
        dead may have written after its successor.
        """
        found: dict[bytes, bytes] = {}
        for key, data in self._read_cells(partitions):
            known = found.get(key)
            if known is None or decode_cell(known).included <= decode_cell(data).included:
                found[key] = data
        return found

    def _read_cells(self, partitions: Sequence[int]) -> list[tuple[bytes, bytes]]:
        topic = self._topology.cells.name
        reader = Consumer(
            self._connection.settings()
            | {"group.id": f"{self._topology.group(INTAKE)}.cells", "enable.auto.commit": False}
        )
        try:
            ends = {
                p: reader.get_watermark_offsets(TopicPartition(topic, p), timeout=_ASK_S)[1]
                for p in partitions
            }
            return _read_to(reader, topic, {p: end for p, end in ends.items() if end})
        except KafkaException as error:
            msg = f"{topic} could not be read: {error}"
            raise IntakeLostError(msg) from error
        finally:
            reader.close()


def _read_to(reader: Consumer, topic: str, ends: dict[int, int]) -> list[tuple[bytes, bytes]]:
    """Return key and value of each record up to the ends, as they were when asked.

    Raises `IntakeLostError` where nothing comes for `LEAVE_S`.
    """
    found: list[tuple[bytes, bytes]] = []
    if not ends:
        return found
    reader.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in ends])
    came_at = time.monotonic()
    while any(p.offset < ends[p.partition] for p in reader.position(_parts(topic, ends))):
        batch = reader.consume(BATCH, _POLL_S)
        if batch:
            came_at = time.monotonic()
        elif time.monotonic() > came_at + LEAVE_S:
            msg = f"{topic} gives no records"
            raise IntakeLostError(msg)
        for message in batch:
            error = message.error()
            if error is not None:
                _judge(error)
                continue
            key, data = message.key(), message.value()
            if isinstance(key, bytes) and isinstance(data, bytes):
                found.append((key, data))
    return found


def _parts(topic: str, ends: dict[int, int]) -> list[TopicPartition]:
    return [TopicPartition(topic, partition) for partition in ends]


def _number(value: int | None) -> int:
    """Return a record's partition or offset, which only an error's message lacks."""
    return -1 if value is None else value


def _judge(error: KafkaError) -> None:
    """Pass over what the client mends by itself. Raises `IntakeLostError` for the rest."""
    if error.fatal() or error.code() in _OURS:
        msg = f"intake cannot go on: {error}"
        raise IntakeLostError(msg)


_OURS = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
)
"""Errors that stay until somebody changes the installation."""

_AT_END = KafkaError._PARTITION_EOF  # noqa: SLF001  # the client's own name

_STALE = (
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError._STATE,  # noqa: SLF001  # the client's own codes begin with _
)
