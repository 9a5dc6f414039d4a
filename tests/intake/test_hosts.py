# SPDX-License-Identifier: Apache-2.0
"""Both hosts on a real broker: the same outputs, whatever comes, with every codec."""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import pytest
from msgspec import structs

from schemas.catalogue import Family
from schemas.codec import publish
from schemas.ids import JobId
from schemas.jobs import JobStarted
from schemas.ledger import RejectedEvent
from schemas.reasons import Rejection
from schemas.records import Origin, Published
from streams.intake import MAX_PAYLOAD_BYTES
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.headers import to_headers
from streams.kafka.topics import Topology, declare
from tests.eventually import eventually
from tests.intake.crew import supervised
from tests.intake.host_process import HOSTS
from tests.intake.partition import START_MS, beat, served
from tests.intake.upstream import (
    DOMAIN,
    Upstream,
    accepted,
    accepted_events,
    rejected,
    told,
)

PARTITIONS = 2
CODECS = ("gzip", "snappy", "lz4", "zstd")
STARTED = "singlepool.job.started.v1"
CYCLE = "singlepool.decision.cycle_opened.v1"
NAMELESS = publish(JobStarted(JobId("x"), 1)).payload
each_host = pytest.mark.parametrize("host", HOSTS)
Header = tuple[str, str | bytes | None]


@contextmanager
def working(host: str, connection: Connection, topology: Topology) -> Generator[None]:
    """A worker that runs, and is stopped in good order."""
    with supervised(host, connection, topology):
        yield


def started(number: int) -> JobStarted:
    return JobStarted(JobId(f"acme/job-{number % 7}@1"), number)


def attempts(connection: Connection, topology: Topology) -> list[int]:
    found = accepted_events(connection, topology)
    return sorted({e.attempt for e in found if isinstance(e, JobStarted)})


def headers(ce_type: str = STARTED) -> list[Header]:
    return list(to_headers(Published(ce_type, b"", Origin("e-1", "upstream"))))


# A record that no state could make right, and why.
Poison = tuple[str, list[Header], bytes | None, Rejection]
POISON: Sequence[Poison] = (
    ("no protobuf", headers(), b"\x0a\xff", Rejection.MALFORMED),
    ("no type", [("ce_id", b"1"), ("ce_source", b"x")], b"", Rejection.MALFORMED),
    ("no header", [], b"\x00" * 9, Rejection.MALFORMED),
    ("no text", [*headers(), ("ce_subject", b"\xff\xfe")], b"", Rejection.MALFORMED),
    ("a tombstone", headers(), None, Rejection.MALFORMED),
    ("oversized", headers(), b"\x00" * (MAX_PAYLOAD_BYTES + 1), Rejection.TOO_LARGE),
    ("a later version", headers("singlepool.job.started.v2"), b"", Rejection.UNKNOWN_TYPE),
    ("a decision", headers(CYCLE), b"", Rejection.NOT_AUTHORISED),
    ("a wrong value", headers(), NAMELESS, Rejection.INVALID_VALUE),
)


def put_poison(upstream: Upstream, topic: str) -> None:
    """Put every poison on one partition of a topic, with good events around each."""
    good = publish(started(1), Origin("e-1", "upstream"))
    for number, (_, poisoned, value, _) in enumerate(POISON):
        event = publish(started(number + 1), Origin("e-1", "upstream"))
        upstream.put(topic, event.payload, list(to_headers(event)), partition=0)
        upstream.put(topic, value, poisoned, partition=0)
    upstream.put(topic, good.payload, list(to_headers(good)), partition=0)
    upstream.flush()


@each_host
def test_poison_in_the_middle_is_set_aside(host: str, broker: Connection, topics: Topology) -> None:
    """Each is kept with its reason, bytes and topic; what is around it comes through."""
    topic = topics.published(Family.JOB, DOMAIN).name
    upstream = Upstream(broker, topics)
    put_poison(upstream, topic)
    with working(host, broker, topics):
        eventually(lambda: len(rejected(broker, topics)) >= len(POISON), "all poison is refused")
        eventually(lambda: len(attempts(broker, topics)) == len(POISON), "all else is accepted")
    found = rejected(broker, topics)
    assert [r.rejection for r in found] == [reason.value for *_, reason in POISON]
    assert [r.published.payload for r in found] == [value or b"" for _, _, value, _ in POISON]


@pytest.mark.long
@each_host
def test_every_codec_is_read(host: str, broker: Connection, topics: Topology) -> None:
    """An upstream may compress as it likes: aiokafka dies of a codec that is not installed."""
    for number, codec in enumerate(CODECS):
        upstream = Upstream(broker, topics, codec)
        for attempt in range(100):
            upstream.publish(started(number * 100 + attempt + 1))
        upstream.flush()
    with working(host, broker, topics):
        wanted = list(range(1, len(CODECS) * 100 + 1))
        eventually(lambda: attempts(broker, topics) == wanted, "events of all codecs")


@pytest.mark.long
@each_host
def test_duplicates_have_the_effect_of_one(host: str, broker: Connection, topics: Topology) -> None:
    """What is published twice is counted once, or is the same twice under one natural key."""
    ago_ms = time.time_ns() // 1_000_000 - START_MS - 150_000
    upstream = Upstream(broker, topics)
    for _ in range(3):
        for number in range(20):
            upstream.publish(served(number + 1, ago_ms))
            upstream.publish(beat("n-1", number + 1))
            upstream.publish(started(number + 1))
    upstream.flush()

    with working(host, broker, topics):
        eventually(lambda: told(broker, topics) >= 20, "the whole window is told")
        eventually(lambda: attempts(broker, topics) == list(range(1, 21)), "reports come through")
    assert told(broker, topics) == 20


def test_both_hosts_say_the_same(broker: Connection) -> None:
    """From the same records the same events, byte for byte, and the same refusals."""
    found = [outputs_of(host, broker) for host in HOSTS]
    assert found[0][0] == found[1][0] != []
    assert found[0][1] == found[1][1] != []


def outputs_of(host: str, broker: Connection) -> tuple[list[Published], list[RejectedEvent]]:
    topology = declare(prefix=f"same-{host}-{time.time_ns()}.", partitions=PARTITIONS)
    assert Admin(broker).apply(topology).done
    upstream = Upstream(broker, topology)
    put_poison(upstream, topology.published(Family.JOB, DOMAIN).name)
    for number in range(50):
        upstream.publish(beat(f"n-{number % 3}", number + 1, errors=number // 20), f"b-{number}")
        upstream.publish(started(number + 1), f"s-{number}")
    upstream.publish(served(1, 0), "long ago")
    upstream.flush()
    wanted = len(POISON) + 1

    with working(host, broker, topology):
        eventually(lambda: len(rejected(broker, topology)) >= wanted, "all refusals")
        eventually(lambda: len(attempts(broker, topology)) >= 50, "all reports are forwarded")
        time.sleep(1)  # for what should not come
    prefix = topology.prefix
    said = [without(p, prefix) for p in accepted(broker, topology)]
    refused = [without_times(r, prefix) for r in rejected(broker, topology)]
    return sorted(said, key=repr), sorted(refused, key=repr)


def without(published: Published, prefix: str) -> Published:
    """Return an event without what must differ: the topics' prefix and the broker's times."""
    origin = published.origin
    if not origin.ce_source.startswith("intake/"):
        return published
    source = origin.ce_source.replace(prefix, "")
    about = structs.replace(origin, ce_source=source, ce_id=origin.ce_id.rpartition("/")[0])
    return structs.replace(published, payload=b"", origin=about)


def without_times(refused: RejectedEvent, prefix: str) -> RejectedEvent:
    rule = refused.rule.split(", at ")[0]
    rule, topic = rule.replace(prefix, ""), refused.topic.replace(prefix, "")
    return structs.replace(refused, recorded_ms=0, rule=rule, topic=topic)
