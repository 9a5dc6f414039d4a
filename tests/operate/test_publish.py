# SPDX-License-Identifier: Apache-2.0
"""`publish` to a broker: each event of a file lies on the topic of its family, acknowledged."""

import json
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from compose.exits import Exit
from schemas.catalogue import Family
from schemas.codec import publish
from streams.kafka.connection import Connection
from streams.kafka.topics import ANYBODY, Topology
from streams.publish import to_line
from tests.compose.conftest import Singlepool
from tests.engine.stage import genesis
from tests.operate.test_serve import PATIENCE_S, at

__all__ = ["at"]


def test_a_file_goes_to_the_topics_of_its_families(
    broker: Connection,
    topology: Topology,
    at: Sequence[str],
    tmp_path: Path,
    singlepool: Singlepool,
) -> None:
    """The answer says how many, and the broker has them."""
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join(to_line(publish(event)) for event in genesis()))
    ended = singlepool("publish", file, *at, "-o", "json")
    assert (ended.code, ended.err) == (Exit.DONE, "")
    told = {row["topic"]: row["acknowledged"] for row in json.loads(ended.out)}
    names = {
        family: topology.published(family, ANYBODY.name).name
        for family in (Family.FLEET, Family.TENANT)
    }
    assert set(told) == set(names.values())
    assert sum(told.values()) == len(genesis())
    assert held(broker, names[Family.FLEET]) == told[names[Family.FLEET]]


def held(broker: Connection, topic: str) -> int:
    """How many records lie on a topic that nothing was removed from."""
    consumer = Consumer(broker.settings() | {"group.id": "count"})
    partitions = consumer.list_topics(topic, PATIENCE_S).topics[topic].partitions
    bounds = [
        consumer.get_watermark_offsets(TopicPartition(topic, number), PATIENCE_S)
        for number in partitions
    ]
    consumer.close()
    return sum(end - low for low, end in bounds)


def test_nothing_is_published_of_a_file_with_a_wrong_line(
    at: Sequence[str], tmp_path: Path, singlepool: Singlepool
) -> None:
    """The line is named, and the broker has seen nothing."""
    file = tmp_path / "events.ndjson"
    file.write_text('{"ce_type": "singlepool.job.teleported.v1", "data": {}}\n')
    ended = singlepool("publish", file, *at)
    assert ended.code == Exit.FAILED
    assert "events.ndjson:1:" in ended.err
