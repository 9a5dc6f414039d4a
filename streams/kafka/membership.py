# SPDX-License-Identifier: Apache-2.0
"""What a consumer does with its group, in bounded time: it asks, it commits, and it leaves.

Where the connection is lost with a commit under way, the client's own calls for both may wait for
ever, whatever timeouts it was given (librdkafka #3740). So they are made aside, and what has not
come back in time is left to itself; it holds nothing that the end of the process does not free.

An administrator's client could ask for a group's offsets too, but it ends the process by a null
pointer where the coordinator is not known yet (librdkafka #5040).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.errors import WorldError
from streams.kafka.connection import is_one_of, reason_of
from streams.kafka.topics import Place

_GONE_ON = frozenset(
    (
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError._STATE,  # noqa: SLF001  # the client's own codes begin with _
    )
)
"""The group went on without this member: whoever owns its partitions reads again."""

_STAYING = frozenset(
    (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    )
)
"""Errors that stay until somebody changes the installation."""

_ASK_S, _AGAIN_S = 10.0, 0.1

_T = TypeVar("_T")


class NotCommittedError(WorldError):
    """The broker did not take offsets, or did not say so in time."""


def stays(error: KafkaError) -> bool:
    """Whether what a member reads in place of a record is not mended by its client."""
    return error.fatal() or error.code() in _STAYING


def committed(
    consumer: Consumer, places: Sequence[Place], patience_s: float
) -> Mapping[Place, int]:
    """Return what a group has committed, by topic and partition; below 0 where that is nothing.

    The consumer need not be a member. A coordinator that has just moved has to be found, and to
    load: it is asked again. Raises `KafkaException` when patience is out, or for what stays.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            left_s = max(deadline - time.monotonic(), _AGAIN_S)
            return _committed(consumer, places, min(left_s, _ASK_S))
        except KafkaException as error:
            reason = reason_of(error)
            if time.monotonic() > deadline or (reason is not None and stays(reason)):
                raise
        time.sleep(_AGAIN_S)


def _committed(
    consumer: Consumer, places: Sequence[Place], timeout_s: float
) -> Mapping[Place, int]:
    told = consumer.committed([TopicPartition(*place) for place in places], timeout=timeout_s)
    for found in told:
        if found.error is not None:
            raise KafkaException(found.error)
    return {(found.topic, found.partition): found.offset for found in told}


def commit(
    consumer: Consumer, offsets: Sequence[TopicPartition], patience_s: float
) -> Sequence[TopicPartition]:
    """Commit offsets and return those that are; none where the group went on without this member.

    Raises `NotCommittedError`, and then the member should `leave`. Not for the consumer's own
    callbacks: its calls wait for each other.
    """
    try:
        done = _within(patience_s, lambda: consumer.commit(offsets=[*offsets], asynchronous=False))
    except TimeoutError as error:
        raise _not_committed(offsets, f"no broker answered within {patience_s:.0f} s") from error
    except KafkaException as error:
        if is_one_of(error, _GONE_ON):
            return ()
        raise _not_committed(offsets, error) from error
    return done or ()


def send_commit(consumer: Consumer, offsets: Sequence[TopicPartition]) -> None:
    """Commit offsets and do not wait, as in a callback: what is lost of it is read again.

    The broker takes it before anything that this member asks of its group later.
    """
    if offsets:
        with suppress(KafkaException):
            consumer.commit(offsets=[*offsets], asynchronous=True)


def leave(consumer: Consumer, patience_s: float) -> None:
    """Leave the group and the broker; one that does not answer in time finds out by itself."""
    with suppress(TimeoutError):
        _within(patience_s, consumer.close)


def _not_committed(offsets: Sequence[TopicPartition], why: object) -> NotCommittedError:
    topics = ", ".join(sorted({place.topic for place in offsets}))
    msg = f"offsets of {topics} were not committed: {why}; `singlepool doctor` looks why"
    return NotCommittedError(msg)


def _within(patience_s: float, call: Callable[[], _T]) -> _T:
    """Return what a call does, or raise what it raises; `TimeoutError` where it still waits."""
    answer: Future[_T] = Future()

    def ask() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001  # whoever waits is to have it
            answer.set_exception(error)

    Thread(target=ask, daemon=True).start()  # a process may end while it waits
    return answer.result(patience_s)
