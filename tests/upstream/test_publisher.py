# SPDX-License-Identifier: Apache-2.0
"""An outsider in Node, who has our .proto files and documents and nothing else, on a real broker.

It publishes a first fleet, team and job; intake and engine take them as they come; it reads the
verdict on its job. What it runs is what `docs/publishing.md` shows, letter by letter.
"""

import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

from engine.policies import POOL
from engine.rules import CURRENT_RULES
from engine.state import State
from schemas.codec import encode_event
from schemas.decisions import PolicyActivated, RulesActivated, VerdictReached
from schemas.ids import JobId
from schemas.reasons import Reason
from schemas.records import Published
from streams.host import Host
from streams.intake import TakenIn, take_in
from streams.kafka.connection import Connection
from streams.kafka.headers import from_record
from streams.kafka.keys import key_of
from streams.kafka.topics import Topic, Topology
from streams.live.outputs import follows
from streams.live.ports import Channel, Output
from tests.upstream.npm import run, workplace
from tools.protos import CONTRACT, ROOT

PROJECT = Path(__file__).with_name("node")
JOB = JobId("acme/first@1")
NOW_MS = 1_000_000
PATIENCE_S = 30.0


@pytest.fixture
def outsider(tmp_path: Path) -> Path:
    """A folder with the publisher's own files and the contract's, outside the project."""
    folder = workplace(PROJECT, tmp_path / "outsider")
    (folder / CONTRACT).mkdir(parents=True)
    for proto in (ROOT / CONTRACT).glob("*.proto"):
        shutil.copy(proto, folder / CONTRACT)
    return folder


def test_an_outsider_publishes_and_reads_the_verdict(
    broker: Connection, topics: Topology, outsider: Path
) -> None:
    """All is accepted as published, the job is placed, and the outsider learns it."""
    said = run(outsider, "publish.mjs", broker.bootstrap, topics.prefix)
    assert said == "published 8 events\n"

    taken = taken_in(broker, topics)
    assert taken.refused == ()
    assert len(taken.accepted) == 8
    tell(broker, topics, decided(taken))

    said = run(outsider, "verdict.mjs", broker.bootstrap, JOB, topics.prefix)
    verdict = msgspec.json.decode(said)
    assert verdict == {
        "job": JOB,
        "reason": Reason.PLACED,
        "needed_devices": 0,
        "free_devices": 0,
        "exclusions": [],
    }


def taken_in(broker: Connection, topics: Topology) -> TakenIn:
    """What intake makes of the records on each topic, under that topic's rules."""
    parts: list[TakenIn] = []
    for topic in topics.upstream:
        records = read_all(broker, topic)
        taken = take_in([published_by(record) for record in records], topic.rules)
        assert [record.key() for record in records] == [key_of(e) for _, e in taken.accepted]
        parts.append(taken)
    return TakenIn(
        tuple(accepted for part in parts for accepted in part.accepted),
        tuple(refused for part in parts for refused in part.refused),
    )


def published_by(record: Message) -> Published:
    headers = record.headers()
    assert isinstance(headers, list)
    found = from_record(headers, record.value())
    assert isinstance(found, Published), found
    return found


def read_all(broker: Connection, topic: Topic) -> list[Message]:
    """The records of a topic as it is now."""
    reader = Consumer({**broker.settings(), "group.id": "test", "enable.auto.commit": False})
    places = [TopicPartition(topic.name, p, OFFSET_BEGINNING) for p in range(topic.partitions)]
    left = sum(reader.get_watermark_offsets(place, timeout=PATIENCE_S)[1] for place in places)
    reader.assign(places)
    found: list[Message] = []
    while len(found) < left:
        (record,) = reader.consume(1, PATIENCE_S)
        assert record.error() is None
        found.append(record)
    reader.close()
    return found


def decided(taken: TakenIn) -> tuple[Output, ...]:
    """What the engine tells after its first steps: whatever order things came in."""
    host = Host(State(), "test")
    host.activate((RulesActivated(CURRENT_RULES), PolicyActivated(POOL)), NOW_MS)
    batch = host.step(taken.accepted, NOW_MS)
    assert batch.refused == []
    assert host.state.parked == {}
    return follows(host.state, batch)


def tell(broker: Connection, topics: Topology, outputs: tuple[Output, ...]) -> None:
    """Put verdicts on their topic as the engine does, after a transaction that came to nothing."""
    lie = VerdictReached(JOB, Reason.NEVER_FITS, 4, 0)
    told = [output for output in outputs if output.channel is Channel.VERDICTS]
    assert JOB in {output.key for output in told}
    producer = Producer(
        {**broker.settings(), "transactional.id": topics.lock, "compression.type": "lz4"}
    )
    producer.init_transactions(PATIENCE_S)
    producer.begin_transaction()
    producer.produce(topics.verdicts.name, encode_event(lie), JOB)
    producer.flush(PATIENCE_S)
    producer.abort_transaction(PATIENCE_S)
    producer.begin_transaction()
    for output in told:
        headers: Any = list(output.headers)
        producer.produce(topics.verdicts.name, output.value, output.key, headers=headers)
    producer.commit_transaction(PATIENCE_S)


def test_the_page_shows_what_was_run() -> None:
    """A stranger who copies from the page has the files and versions that this test ran."""
    page = (ROOT / "docs/publishing.md").read_text(encoding="utf-8")
    for script in PROJECT.glob("*.mjs"):
        shown = re.search(rf"`{script.name}`:\n\n```js\n(.*?)```", page, re.DOTALL)
        assert shown is not None, script.name
        assert shown[1] == script.read_text(encoding="utf-8")
    declared = msgspec.json.decode((PROJECT / "package.json").read_bytes())
    asked = " ".join(f"{name}@{version}" for name, version in declared["dependencies"].items())
    assert f"npm install {asked}\n" in page
