# SPDX-License-Identifier: Apache-2.0
"""Transactions that nobody ends, which a broker may leave that was killed while it ended one.

Seen on Apache Kafka 4.3: killed just then and started again, it took a transaction for complete
that had its marker in none of its partitions. Readers see nothing behind it, until the next
transaction of the same producer ends: then it stands or falls with that one, also where whoever
began that one could not know what was there.
"""

import time
from collections.abc import Mapping, Sequence

from confluent_kafka import IsolationLevel, KafkaException

from schemas.ledger import LedgerBusyError
from streams.kafka.connection import Connection
from streams.kafka.ends import Ends
from streams.kafka.lock import Lock
from streams.kafka.topics import Place

_PATIENCE_S, _LOOK_S = 30.0, 0.02
ENDED_S = 2.0
"""How long a broker may take to show that what it has ended is ended."""

HOW_TO_END = "end it by Kafka's `kafka-transactions.sh find-hanging` and `abort`"


def end_open(connection: Connection, lock: Lock, topics: Sequence[str]) -> None:
    """Abort what is still open in topics once the lock is held: nobody was told of it.

    Raises `LedgerBusyError` where no broker says what is open, or where it is another producer's;
    and as `Lock.abort`.
    """
    if not (hanging := open_in(connection, topics, ENDED_S)):
        return
    lock.abort(tuple(hanging))
    if hanging := open_in(connection, topics, ENDED_S):
        where = where_open(hanging)
        msg = f"a transaction of another producer hangs in {where}; {HOW_TO_END}"
        raise LedgerBusyError(msg)


def where_open(found: Mapping[Place, int]) -> str:
    """Return in words where something is open."""
    return ", ".join(f"{topic}/{number} from {at}" for (topic, number), at in found.items())


def open_in(
    connection: Connection, topics: Sequence[str], patience_s: float
) -> Mapping[Place, int]:
    """Return where a transaction is still open when patience is out, and its first offset.

    Raises `LedgerBusyError` where no broker says it of each partition that there is.
    """
    ends = Ends(connection)
    try:
        places = ends.places(topics)
    except KafkaException as error:
        msg = f"no broker says which partitions there are: {error}; `singlepool doctor` looks why"
        raise LedgerBusyError(msg) from error
    written = _all(ends, places, IsolationLevel.READ_UNCOMMITTED)
    deadline = time.monotonic() + patience_s
    while True:
        ended = _all(ends, places, IsolationLevel.READ_COMMITTED)
        found = {place: end for place, end in ended.items() if end < written[place]}
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(_LOOK_S)


def _all(ends: Ends, places: Sequence[Place], seen: IsolationLevel) -> Mapping[Place, int]:
    """Return where all partitions end. A broker that has just started does not know it yet."""
    deadline = time.monotonic() + _PATIENCE_S
    while unknown := set(places) - (found := ends.of(places, seen)).keys():
        if time.monotonic() > deadline:
            topic, number = min(unknown)
            msg = f"no broker says where {topic}/{number} ends; `singlepool doctor` looks why"
            raise LedgerBusyError(msg)
        time.sleep(_LOOK_S)
    return found
