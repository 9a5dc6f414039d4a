# SPDX-License-Identifier: Apache-2.0
"""An outsider in Node, who has our .proto files and documents and nothing else, on a real broker.

It publishes a first fleet, team and job; intake and engine take them as they come; it reads the
verdict on its job. What it runs is what `docs/publishing.md` shows, letter by letter.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer
from msgspec import structs

from engine.policies import POOL
from schemas.codec import encode_event
from schemas.decisions import VerdictReached
from schemas.ids import JobId
from schemas.reasons import Reason
from streams.intake.batched import BatchedIntake
from streams.kafka.connection import Connection
from streams.kafka.topics import Topology
from streams.live.running import EngineSettings
from tests.intake.upstream import accepted_events, rejected
from tests.upstream.npm import run, workplace
from tools.protos import CONTRACT, ROOT

PROJECT = Path(__file__).with_name("node")
JOB = JobId("acme/first@1")
POLICY = structs.replace(POOL, name="quick", period_ms=250, min_run_ms=0)
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
    broker: Connection, topics: Topology, outsider: Path, tmp_path: Path
) -> None:
    """All is accepted as published, twice as well as once; the job is placed, and it learns so."""
    for _ in range(2):
        said = run(outsider, "publish.mjs", broker.bootstrap, topics.prefix)
        assert said == "published 8 events\n"
    intake = BatchedIntake(broker, topics)
    intake.run(lambda: intake.taken >= 16)
    assert rejected(broker, topics) == []
    assert len(set(accepted_events(broker, topics))) == 8

    settings = EngineSettings(broker, topics, "one", str(tmp_path / "snapshots"), POLICY)
    with engine(settings):
        said = run(outsider, "verdict.mjs", broker.bootstrap, JOB, topics.prefix)
    assert verdicts(said)[-1] == VerdictReached(JOB, Reason.PLACED, 0, 0)
    assert rejected(broker, topics) == []


@contextmanager
def engine(settings: EngineSettings) -> Generator[None]:
    """One engine process, told to leave at the end."""
    told = msgspec.json.encode(settings).decode()
    process = subprocess.Popen([sys.executable, "-m", "tests.live.engine", told], cwd=ROOT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
    assert process.returncode == 0


def verdicts(said: str) -> list[VerdictReached]:
    """What the outsider read, in order."""
    return [msgspec.json.decode(line, type=VerdictReached) for line in said.splitlines()]


def test_an_outsider_never_reads_what_came_to_nothing(
    broker: Connection, topics: Topology, outsider: Path
) -> None:
    """What an aborted transaction told is passed over; what comes after is read, though packed."""
    lie = VerdictReached(JOB, Reason.NEVER_FITS, 4, 0)
    truth = VerdictReached(JOB, Reason.WAITING_FOR_CAPACITY, 4, 2)
    end = VerdictReached(JOB, Reason.PLACED, 4, 8)
    producer = Producer(
        {**broker.settings(), "transactional.id": topics.lock, "compression.type": "lz4"}
    )
    producer.init_transactions(PATIENCE_S)
    producer.begin_transaction()
    producer.produce(topics.verdicts.name, encode_event(lie), JOB)
    producer.flush(PATIENCE_S)
    producer.abort_transaction(PATIENCE_S)
    producer.begin_transaction()
    for told in [*[truth] * 20, end]:
        producer.produce(topics.verdicts.name, encode_event(told), JOB)
    producer.commit_transaction(PATIENCE_S)
    said = run(outsider, "verdict.mjs", broker.bootstrap, JOB, topics.prefix)
    assert verdicts(said) == [*[truth] * 20, end]


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
