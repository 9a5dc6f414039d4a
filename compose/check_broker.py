# SPDX-License-Identifier: Apache-2.0
"""What `doctor` looks at on a broker: release, topics, clocks, transactions, records, lag."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing

from compose.broker.layout import OPERATOR
from compose.installation import Where
from schemas.codec import decode_record
from schemas.errors import SinglepoolError
from schemas.ledger import scan
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection, brokers
from streams.kafka.feed import Feed
from streams.kafka.hanging import ENDED_S, HOW_TO_END, open_in, where_open
from streams.kafka.lag import lags
from streams.kafka.reader import KafkaReader
from streams.kafka.topics import ENGINE, INTAKE, READER, Topology
from streams.kafka.version import OLDEST_LEVEL, metadata_level, release_of

OK = "ok"
MOST_SKEW_MS = 1_000
"""How far clocks may differ: recorded time is the leader's, and a new leader's must not stand."""

MOST_LAG = 10_000
_LISTEN_S = 2.0
_LAST_RECORDS = 1_000
_MILLI = 1_000

Row = tuple[str, str, str]
"""What was looked at, what was found, and the verdict: ok, or what to do."""


def broker_rows(where: Where) -> Iterator[Row]:
    """Yield a row for each thing; what cannot be looked at says why."""
    at, topology = where.connection(OPERATOR), where.topology()
    try:
        yield "broker", ", ".join(brokers(at)), OK
    except SinglepoolError as error:
        yield "broker", at.bootstrap, f"{error}: singlepool broker status"
        return
    looks: tuple[tuple[str, Callable[[Connection, Topology], Row]], ...] = (
        ("kafka", _release),
        ("topics", lambda at, _: _topics(at, where)),
        ("clocks", _clocks),
        ("transactions", _transactions),
        ("schema", _schema),
        ("lag", _lag),
    )
    for what, look in looks:
        try:
            yield look(at, topology)
        except SinglepoolError as error:
            yield what, "could not be looked at", str(error)


def _release(at: Connection, _: Topology) -> Row:
    level = metadata_level(at)
    good = level >= OLDEST_LEVEL
    found = f"{release_of(level)}, metadata level {level}"
    return "kafka", found, OK if good else "needs Kafka 4.0 or newer, its metadata upgraded"


def _topics(at: Connection, where: Where) -> Row:
    """Hold the topics to their declaration, in the replication that the ledger has."""
    admin = Admin(at)
    topology = where.topology_as_found(admin.found())
    plan = admin.plan(topology)
    found = f"{len(topology.topics)} declared, replication {topology.replication}"
    return "topics", found, OK if plan.done else f"{len(plan.steps)} differences: topics plan"


def _clocks(at: Connection, topology: Topology) -> Row:
    """Hold this machine's clock against the engines': each beat carries its sender's time."""
    skews: dict[str, int] = {}
    deadline = time.monotonic() + _LISTEN_S
    with closing(Feed(at, topology.beats.name, topology.group(READER))) as feed:
        while (left := deadline - time.monotonic()) > 0:
            for message in feed.take(min(left, 0.1)):
                now_ms = time.time_ns() // 1_000_000
                _, sent_ms = message.timestamp()
                owner = (message.key() or b"").decode()
                # A beat may be late; of several, the one that was least tells the clock.
                skews[owner] = min(skews.get(owner, now_ms - sent_ms), now_ms - sent_ms, key=abs)
    if not skews:
        return "clocks", "no engine beats", "start one: singlepool serve engine"
    owner, skew_ms = max(skews.items(), key=lambda item: abs(item[1]))
    found = f"{len(skews)} engines beat, {owner} differs most: {skew_ms} ms"
    good = abs(skew_ms) <= MOST_SKEW_MS
    return "clocks", found, OK if good else f"more than {MOST_SKEW_MS} ms: look at time sync"


def _transactions(at: Connection, topology: Topology) -> Row:
    """Look for one that nobody ends: it hides all that follows it from every reader."""
    if found := open_in(at, topology.written_by(ENGINE), ENDED_S):
        verdict = f"the next leader ends its own; of another producer, {HOW_TO_END}"
        return "transactions", f"open in {where_open(found)}", verdict
    return "transactions", "none hangs in what the engine writes", OK


def _schema(at: Connection, topology: Topology) -> Row:
    """Read the ledger's end: a record of a newer build's type says so by an error."""
    with KafkaReader(at, topology) as ledger:
        head = ledger.head()
        read = [decode_record(data) for data in scan(ledger, max(0, head - _LAST_RECORDS))]
    passed = read.count(None)
    found = f"the last {len(read)} of {head:,} records"
    verdict = f"{passed} are of types that this build passes over: upgrade it" if passed else OK
    return "schema", found, verdict


def _lag(at: Connection, topology: Topology) -> Row:
    found = lags(at, topology)
    counts = {name: found.total(name) for name in (INTAKE, ENGINE)}
    said = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    good = max(counts.values()) <= MOST_LAG
    return "lag", f"{said} records behind", OK if good else "see singlepool lag; start more intake"
