# SPDX-License-Identifier: Apache-2.0
"""Our own publisher on a real broker: it chooses partitions as upstream is told to."""

from contextlib import closing

import pytest

from schemas.catalogue import Family
from schemas.codec import publish
from schemas.ids import job_id
from schemas.jobs import JobCancelled
from schemas.records import Origin
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.publisher import Publisher
from streams.kafka.topics import ANYBODY, Topology, declare
from tests.intake.upstream import read_all

_MULTIPLIER, _SEED, _ALL = 0x5BD1E995, 0x9747B28C, 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """MurmurHash2 as Kafka's own client has it, without sign."""
    found = _SEED ^ len(data)
    whole = len(data) - len(data) % 4
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _MULTIPLIER & _ALL
        word = (word ^ word >> 24) * _MULTIPLIER & _ALL
        found = (found * _MULTIPLIER & _ALL) ^ word
    if rest := data[whole:]:
        found = (found ^ int.from_bytes(rest, "little")) * _MULTIPLIER & _ALL
    found = (found ^ found >> 13) * _MULTIPLIER & _ALL
    return found ^ found >> 15


@pytest.mark.parametrize(
    ("text", "signed"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_the_hash_here_is_that_of_kafkas_own_tests(text: str, signed: int) -> None:
    """The vectors are those of `UtilsTest.testMurmur2`, in Apache Kafka."""
    assert murmur2(text.encode()) == signed & _ALL


def test_a_key_goes_to_the_partition_that_javas_client_gives_it(
    broker: Connection, topology: Topology
) -> None:
    """So our events of an entity and those of an upstream of its own stay in order."""
    topics = declare(prefix=topology.prefix)
    assert Admin(broker).apply(topics).done
    jobs = [job_id("acme", f"train-{number}", 1) for number in range(24)]
    with closing(Publisher(broker, topics, ANYBODY.name)) as publisher:
        publisher.publish([publish(JobCancelled(job), Origin("x", "test")) for job in jobs])
    topic = topics.published(Family.JOB, ANYBODY.name)
    found = {message.key(): message.partition() for message in read_all(broker, topic.name)}
    wanted = {job.encode(): (murmur2(job.encode()) & 0x7FFFFFFF) % topic.partitions for job in jobs}
    assert found == wanted
