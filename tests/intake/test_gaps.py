# SPDX-License-Identifier: Apache-2.0
"""A hole in the offsets is told from records that were passed over."""

from confluent_kafka import Producer

from schemas.catalogue import Family
from streams.intake.gaps import holds_records
from streams.kafka.connection import Connection
from streams.kafka.topics import Topology
from tests.intake.upstream import DOMAIN


def test_a_marker_is_a_hole_and_a_record_is_not(broker: Connection, topics: Topology) -> None:
    """A transaction's end takes an offset that holds nothing; what lies around it does."""
    topic = topics.published(Family.JOB, DOMAIN).name
    producer = Producer(broker.settings() | {"transactional.id": f"{topics.prefix}upstream"})
    producer.init_transactions(30)
    for _ in range(2):  # a record and its marker, twice: offsets 0 to 3
        producer.begin_transaction()
        producer.produce(topic, b"x", partition=0)
        producer.commit_transaction(30)
    found = [holds_records(broker, topics.prefix, (topic, 0), n, n + 1) for n in range(4)]
    assert found == [True, False, True, False]
    assert not holds_records(broker, topics.prefix, (topic, 1), 0, 9)
