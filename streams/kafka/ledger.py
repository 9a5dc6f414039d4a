# SPDX-License-Identifier: Apache-2.0
"""Writing the ledger on Kafka: the lease is the transactional id, a batch is one transaction.

Records, refused events and the note that closes the batch land together. The note says up to where
inputs are accounted for; a consumer group's offsets say the same a moment later, for the tools that
watch lag.
"""

from collections.abc import Mapping, Sequence

from confluent_kafka import TopicPartition

from schemas.errors import WorldError
from schemas.ledger import (
    Batch,
    FencedError,
    Lease,
    LedgerStorageError,
    PositionError,
    RejectedEvent,
)
from streams.kafka.connection import Connection
from streams.kafka.entries import Note, note_headers, note_value, record_headers
from streams.kafka.hanging import end_open
from streams.kafka.lock import Lock, LostLockError, Outgoing
from streams.kafka.membership import send_commit
from streams.kafka.reader import KafkaReader
from streams.kafka.rejected import RejectedLog, refused_headers
from streams.kafka.topics import ENGINE, Topology


def input_name(topic: str, partition: int) -> str:
    """Return how a partition is named in `Batch.consumed`."""
    return f"{topic}/{partition}"


class KafkaLedger(KafkaReader):
    """The ledger of a topology, to write and read. Use as a context manager, or call `close`.

    It belongs to the thread that opened it; another thread or process opens its own. After
    `FencedError` and `LedgerStorageError` it can be read on, and written once `acquire` was called
    again; after `LedgerBusyError` nothing of the batch is there and the lease still holds.
    """

    def __init__(self, connection: Connection, topology: Topology) -> None:
        """Open the ledger; its topics must be there."""
        super().__init__(connection, topology, ENGINE)
        self._lock: Lock | None = None
        self._lease = Lease("", 0)
        self._written = Note()
        self._refused_log = RejectedLog(connection, topology, ENGINE)

    def close(self) -> None:
        """Leave the broker; the lease is nobody's then, and whoever wants it takes it."""
        self._release()
        self._refused_log.close()
        super().close()

    def acquire(self, owner: str) -> Lease:
        """Take the lease; whoever held it before is fenced.

        Opening the lock ends what the one before left open, so the end that is read after it is
        final: where the broker kept that promise, which is looked after. A note under the new
        epoch makes the lease known, and proves that it is still ours. Raises `FencedError` where
        somebody was quicker, and `LedgerBusyError`.
        """
        self._release()
        self._lock = Lock(self._connection, self.topology.lock)
        self._end_open(self._lock)
        latest = self._latest()
        self._lease = Lease(owner, latest.epoch + 1)
        self._commit((), Note(latest.head, self._lease.epoch, owner, latest.consumed))
        return self._lease

    def _end_open(self, lock: Lock) -> None:
        """Abort what the broker forgot to end in what the engine writes."""
        try:
            end_open(self._connection, lock, self.topology.written_by(ENGINE))
        except LostLockError as error:
            self._release()
            raise self._fenced(self._lease) from error
        except WorldError:
            self._release()
            raise

    def append(
        self, lease: Lease, position: int, batch: Batch, also: Sequence[Outgoing] = ()
    ) -> int:
        """Append a batch and what lands with it in one transaction, and return the new head.

        Raises, besides what the port says, `LedgerBusyError` where the broker was away and the
        batch was aborted, and `LedgerStorageError` where it is not known whether it is there.
        """
        records = tuple(batch.records)  # may raise, so before anything is begun
        self._may_append(lease, position, batch)
        written = self._written
        head = position + len(records)
        note = Note(head, lease.epoch, lease.owner, {**written.consumed, **batch.consumed})
        messages = (*self._placed(position, records), *self._refused(batch.rejected), *also)
        self._commit(messages, note)
        self._show(batch.consumed)
        return head

    def _may_append(self, lease: Lease, position: int, batch: Batch) -> None:
        if self._lock is None or lease != self._lease:
            raise self._fenced(lease)
        head, consumed = self._written.head, self._written.consumed
        if position != head:
            msg = f"a batch for position {position} came where the head is {head}"
            raise PositionError(msg)
        if any(offset < consumed.get(name, 0) for name, offset in batch.consumed.items()):
            msg = f"{dict(batch.consumed)} goes back behind {consumed}"
            raise PositionError(msg)

    def _commit(self, messages: Sequence[Outgoing], note: Note) -> None:
        """Write a transaction that a note closes."""
        if self._lock is None:
            raise self._fenced(self._lease)
        closing = Outgoing(self.topology.ledger.name, note_headers(), note_value(note))
        try:
            offset = self._lock.commit((*messages, closing))
            self._probe.wait_for_end(offset)  # what append returned from, every reader sees
        except LostLockError as error:
            self._release()
            raise self._fenced(self._lease) from error
        except LedgerStorageError:
            self._release()
            raise
        self._written = note

    def _placed(self, position: int, records: Sequence[bytes]) -> Sequence[Outgoing]:
        topic = self.topology.ledger.name
        return [Outgoing(topic, record_headers(at), r) for at, r in enumerate(records, position)]

    def _refused(self, events: Sequence[RejectedEvent]) -> Sequence[Outgoing]:
        topic = self.topology.rejected.name
        return [Outgoing(topic, refused_headers(e), e.published.payload) for e in events]

    def _show(self, consumed: Mapping[str, int]) -> None:
        """Say to the group, too, how far inputs are that are partitions of our topics.

        Not in the transaction: to send offsets there, the client may wait for a broker for ever,
        whatever timeout it is given (librdkafka #5456, #5511). Nothing depends on what is said, so
        nobody waits for it, and where it is lost the next append says more.
        """
        topics = {topic.name for topic in self.topology.topics}
        split = ((name.rpartition("/"), offset) for name, offset in consumed.items())
        shown = [
            TopicPartition(topic, int(number), offset)
            for (topic, _, number), offset in split
            if topic in topics and number.isdecimal()
        ]
        send_commit(self._probe.consumer, shown)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _fenced(self, lease: Lease) -> FencedError | LedgerStorageError:
        """Return why a lease holds no more: who took it, as far as that is known yet."""
        latest = self._latest()
        if latest.epoch > lease.epoch:
            return FencedError(
                f"{latest.owner} took the ledger, epoch {latest.epoch}; {lease.owner} had "
                f"{lease.epoch} and must stop"
            )
        return FencedError(
            f"somebody is taking the ledger from {lease.owner}, epoch {lease.epoch}, or the broker "
            "ended its transaction; it must stop"
        )

    # --- refused events -------------------------------------------------------------------------

    def rejected(self, start: int, limit: int) -> Sequence[tuple[int, RejectedEvent]]:
        """Return up to `limit` refused events, numbered from 1, from number `start` on."""
        return self._refused_log.rejected(start, limit)

    def outstanding(self, start: int, limit: int) -> Sequence[tuple[int, RejectedEvent]]:
        """Return the same without those that were published again."""
        return self._refused_log.outstanding(start, limit)

    def mark_replayed(self, numbers: Sequence[int]) -> None:
        """Remember that these refused events were published again; they stay in the store."""
        self._refused_log.mark_replayed(numbers)
