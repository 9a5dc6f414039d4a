# SPDX-License-Identifier: Apache-2.0
"""The transactional id as a lock: who opened it last is the one whose transactions land.

What an error leaves behind is said by its type. `LostLockError`: nothing of the transaction is
there and nothing more can be written. `LedgerBusyError`: it was aborted, the lock is still held.
`LedgerStorageError`: whether it is there is not known; the lock must be opened anew, which ends
whatever was left open, and then the end be read.
"""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from msgspec import Struct

from schemas.errors import WorldError
from schemas.ledger import LedgerBusyError, LedgerStorageError
from streams.kafka.connection import Connection, Settings, is_one_of, reason_of
from streams.kafka.headers import Headers
from streams.kafka.partition import passes
from streams.kafka.topics import Place

_PATIENCE_S = 30.0
_FIRST_TRY_S, _LONGER = 0.2, 1.5
_TRANSACTION_MS = 10_000
"""The broker ends a transaction that stays open for so long, since it hides all that follows."""

_SEND_S = 0.05
_LEAVE_S = 1.0
_LARGEST_BYTES = 2_097_152
_BY_ORDER, _BY_KEY = 0, -1
_LOST = frozenset(
    (
        KafkaError._FENCED,  # noqa: SLF001  # the client's own name
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
    )
)


class LostLockError(WorldError):
    """Somebody else opened the lock, or the broker ended the transaction; nothing of it landed."""


class Outgoing(Struct, frozen=True):
    """A record to be written: with a key wherever the key says, without one where order is all."""

    topic: str
    headers: Headers
    value: bytes | None
    key: bytes | None = None


class Lock:
    """One opening of the lock."""

    def __init__(self, connection: Connection, transactional_id: str) -> None:
        """Open it: when this returns, no older opening can write any more.

        Raises `LedgerBusyError` where the broker does not let it be opened in time.
        """
        self._id, self._where = transactional_id, connection.bootstrap
        self._sent, self._refused = 0, list[KafkaError]()
        self._offsets: dict[str | None, int] = {}
        self._producer = self._opened(
            connection.settings()
            | {
                "transactional.id": transactional_id,
                "transaction.timeout.ms": _TRANSACTION_MS,
                "linger.ms": 0,  # a batch is handed over whole, so there is nothing to wait for
                "compression.type": "lz4",
                "message.max.bytes": _LARGEST_BYTES,
            }
        )

    def _opened(self, settings: Settings) -> Producer:
        """Return a client that holds the lock.

        What is not there when a client first looks, it looks for again only after half a second. So
        it is connected before it is to open the lock; and while the broker still ends what the last
        opening left open, a new client asks sooner than the old one would. Each is given longer
        than the one before, for brokers that are slow.
        """
        wait_s, deadline = _FIRST_TRY_S, time.monotonic() + _PATIENCE_S
        while True:
            producer = Producer(settings)
            try:
                producer.list_topics(timeout=_PATIENCE_S)
                producer.init_transactions(wait_s)
            except KafkaException as error:
                if time.monotonic() > deadline or not (passes(error) or _is_retriable(error)):
                    msg = f"{self._id} at {self._where} could not be taken: {error}; try again"
                    raise LedgerBusyError(msg) from error
                wait_s *= _LONGER
            else:
                return producer

    def close(self) -> None:
        """Leave the broker, also one that is away; the lock cannot be used any more.

        What is open there is ended by the next opening, or by the broker after `_TRANSACTION_MS`.
        The client's own `close` waits for the broker to abort, for ever, and no signal is heard
        meanwhile. So what it holds is thrown away, and then the client itself.
        """
        with suppress(KafkaException, SystemError):  # of a fenced client, once more
            self._producer.purge(blocking=False)
            self._producer.flush(_LEAVE_S)  # what was thrown away is told, or keeps this object
        del self._producer

    def commit(self, messages: Sequence[Outgoing]) -> int:
        """Write records in one transaction, all or nothing.

        Returns the offset of the last record, whose topic has one partition. Readers see it a
        moment after this returns.
        """
        with self._telling():
            self._producer.begin_transaction()
            self._send(messages)
            self._producer.commit_transaction(_PATIENCE_S)
        return self._offsets[messages[-1].topic]

    def abort(self, places: Sequence[Place]) -> None:
        """Abort a transaction in each of these partitions, and with it whatever is left open there.

        Raises as `commit` where the broker does not take it.
        """
        with self._telling():
            self._producer.begin_transaction()
            for topic, partition in places:
                self._producer.produce(topic, b"", b"", partition)
            self._producer.flush(_PATIENCE_S)
            self._producer.abort_transaction(_PATIENCE_S)

    @contextmanager
    def _telling(self) -> Generator[None]:
        """Say of an error in a transaction what it means."""
        try:
            yield
        except KafkaException as error:
            raise self._told(error) from error
        except SystemError as error:
            # The client raises a fatal error out of whichever call serves its callbacks; where one
            # of ours is served after it, Python wraps it so, or the client forgets to say which:
            # then leaving the transaction tells.
            said = error.__cause__
            unsaid = KafkaException(KafkaError(KafkaError._FAIL, str(error)))  # noqa: SLF001  # as above
            raise self._told(said if isinstance(said, KafkaException) else unsaid) from error

    def _send(self, messages: Sequence[Outgoing]) -> None:
        """Hand records over and wait until the broker has acknowledged every single one."""
        self._sent = 0
        self._refused.clear()
        for message in messages:
            while not self._handed_over(message):
                self._producer.poll(_SEND_S)
        self._producer.flush(_PATIENCE_S)
        if self._refused:
            raise KafkaException(self._refused[0])
        if self._sent != len(messages):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "records without an answer"))  # noqa: SLF001  # as above

    def _handed_over(self, message: Outgoing) -> bool:
        try:
            self._producer.produce(
                message.topic,
                message.value,
                message.key,
                _BY_ORDER if message.key is None else _BY_KEY,
                headers=list(message.headers),
                on_delivery=self._delivered,
            )
        except BufferError:  # the client's queue is full: let it send
            return False
        self._producer.poll(0)
        return True

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._sent += 1
            self._offsets[message.topic()] = message.offset() or 0
        else:
            self._refused.append(error)

    def _told(self, error: KafkaException) -> WorldError:
        """Leave the transaction as far as that can be done, and return what that means."""
        reason = reason_of(error)
        if reason is None:
            return LedgerStorageError(f"{self._id} at {self._where}: {error}; open it again")
        if reason.code() in _LOST:
            return LostLockError(f"{self._id} at {self._where}: {reason}")
        if reason.fatal():
            return LedgerStorageError(f"{self._id} at {self._where}: {reason}; open it again")
        try:
            self._producer.abort_transaction(_PATIENCE_S)
        except KafkaException as again:
            if is_one_of(again, _LOST):
                return LostLockError(f"{self._id} at {self._where}: {again.args[0]}")
            return LedgerStorageError(
                f"{self._id} at {self._where}: {reason}, and then {again}; open it again"
            )
        return LedgerBusyError(f"{self._id} at {self._where}: {reason}; nothing was written")


def _is_retriable(error: KafkaException) -> bool:
    reason = reason_of(error)
    return reason is not None and reason.retriable()
