# SPDX-License-Identifier: Apache-2.0
"""Processes that serve: they show how they are, leave when told, and keep what was refused."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer

from compose.broker.layout import connection
from compose.broker.nodes import kill
from compose.exits import Exit
from schemas.records import Origin, Published
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.headers import to_headers
from streams.kafka.lag import lags
from streams.kafka.publisher import NoTopicError, Publisher
from streams.kafka.topics import ANYBODY, Topology, declare
from tests.compose.conftest import Singlepool
from tests.eventually import eventually
from tests.kafka.conftest import free_ports, own_broker
from tests.kafka.transactions import leave_open

PATIENCE_S = 120.0
JUNK = Published("singlepool.job.started.v1", b"\xff", Origin("junk-1", "test"))


@pytest.fixture
def at(broker: Connection, topology: Topology) -> Sequence[str]:
    """The options that name this test's topics."""
    assert Admin(broker).apply(declare(prefix=topology.prefix)).done
    return ("--bootstrap", broker.bootstrap, "--prefix", topology.prefix)


@contextmanager
def served(home: Path, *arguments: str) -> "Generator[tuple[subprocess.Popen[bytes], int]]":
    """A process that serves, and the port on which it shows its health."""
    program = [sys.executable, "-m", "compose.cli", "serve", *arguments, "--health-port", "0"]
    log = home / "log"
    with log.open("wb") as file:
        running = subprocess.Popen(program, stderr=file)
    try:
        yield running, eventually(lambda: port_of(log), f"no port: {log.read_text()}")
    finally:
        running.kill()
        running.wait()


def port_of(log: Path) -> int:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    return next((int(line["port"]) for line in lines if line["event"] == "health"), 0)


def page(port: int, path: str) -> tuple[int, str]:
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with closing(asked):
        asked.request("GET", path)
        answered = asked.getresponse()
        return answered.status, answered.read().decode()


@pytest.mark.parametrize(
    ("arguments", "metric"),
    [
        (("intake",), "singlepool_intake_taken_events"),
        (("intake", "--host", "faust"), "singlepool_intake_taken_events"),
        (("engine", "--owner", "left"), "singlepool_head_position"),
        (("archive", "--seal"), "singlepool_archiver_position"),
    ],
    ids=["intake", "faust", "engine", "archive"],
)
def test_a_process_shows_that_it_is_ready_and_leaves_when_told(
    at: Sequence[str], tmp_path: Path, arguments: Sequence[str], metric: str
) -> None:
    """Health, readiness and metrics on a port; SIGTERM, and it ends with code 0."""
    kept = () if arguments[0] == "intake" else ("--home", str(tmp_path))
    with served(tmp_path, *arguments, *kept, *at) as (running, port):
        eventually(lambda: page(port, "/readyz")[0] == 200, "never ready")
        status, told = page(port, "/healthz")
        assert (status, json.loads(told)["alive"]) == (200, True)
        assert f"\n{metric} " in page(port, "/metrics")[1]
        running.terminate()
        assert running.wait(PATIENCE_S) == Exit.DONE, (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert lines[-1]["event"] == "left"


def test_intake_is_ready_for_nothing_before_it_is_in_its_group(tmp_path: Path) -> None:
    """Where no broker answers it gets on, and says that it is not ready."""
    there = ("--bootstrap", f"127.0.0.1:{free_ports(1)[0]}")
    with served(tmp_path, "intake", *there) as (_, port):
        time.sleep(3)  # it has looked around by then
        assert page(port, "/readyz")[0] == 503


@pytest.mark.long
@pytest.mark.parametrize(
    ("host", "code", "last"),
    [("batched", Exit.DONE, "left"), ("faust", Exit.FAILED, "intake ends")],
    ids=["batched", "faust"],
)
def test_intake_is_not_ready_while_its_broker_is_gone(
    topology: Topology, tmp_path: Path, host: str, code: Exit, last: str
) -> None:
    """It was ready before, and owns its partitions still; nothing of them comes to it.

    Told to leave then it does, and its log's last line says how; Faust's cannot know what settled.
    """
    with own_broker(tmp_path) as layout:
        there = connection(tmp_path, layout)
        assert Admin(there).apply(declare(prefix=topology.prefix)).done
        at = ("--bootstrap", there.bootstrap, "--prefix", topology.prefix)
        with served(tmp_path, "intake", "--host", host, *at) as (running, port):
            eventually(lambda: page(port, "/readyz")[0] == 200, "never ready")
            kill(tmp_path, layout.nodes[0])
            eventually(lambda: page(port, "/readyz")[0] == 503, "ready without a broker")
            running.terminate()
            assert running.wait(PATIENCE_S) == code
    lines = [line for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    assert json.loads(lines[-1]) | {"event": last, "process": "intake"} == json.loads(lines[-1])


def test_a_refused_event_is_listed_shown_and_published_again(
    broker: Connection, at: Sequence[str], tmp_path: Path, singlepool: Singlepool
) -> None:
    """Published again it is refused again, under a new number; the old one is no more open."""
    topology = declare(prefix=at[-1])
    with served(tmp_path, "intake", *at):
        with closing(Publisher(broker, topology, ANYBODY.name)) as publisher:
            publisher.publish([JUNK])
        eventually(lambda: len(listed(singlepool, at)) == 1, "never refused")
        shown = json.loads(singlepool("rejected", "show", 1, *at, "-o", "json").out)
        assert (shown["rejection"], shown["event"]["ce_id"]) == ("malformed", "junk-1")
        ended = singlepool("rejected", "replay", *at, "-o", "json")
        assert (ended.code, json.loads(ended.out)) == (
            Exit.DONE,
            {"published": 1, "left_without_topic": 0, "left_not_authorised": 0},
        )
        eventually(lambda: listed(singlepool, at) == [2], "not refused again")
    assert listed(singlepool, at, "--all") == [1, 2]
    assert singlepool("rejected", "show", 3, *at).code == Exit.NOT_FOUND


def test_what_has_no_topic_is_left_where_all_the_rest_is_published_again(
    broker: Connection, at: Sequence[str], tmp_path: Path, singlepool: Singlepool
) -> None:
    """It stops nobody else; asked for by its number it is an error that names its type."""
    topology = declare(prefix=at[-1])
    stranger = Published("acme.thing.v1", b"", Origin("stranger-1", "test"))
    with served(tmp_path, "intake", *at):
        with closing(Publisher(broker, topology, ANYBODY.name)) as publisher:
            publisher.publish([JUNK])
            job_topic = publisher.topic_of(JUNK)
        producer = Producer(broker.settings())
        producer.produce(job_topic, stranger.payload, headers=to_headers(stranger))
        assert producer.flush(PATIENCE_S) == 0
        eventually(lambda: len(listed(singlepool, at)) == 2, "never refused")
        ended = singlepool("rejected", "replay", *at, "-o", "json")
        counts = {"published": 1, "left_without_topic": 1, "left_not_authorised": 0}
        assert json.loads(ended.out) == counts
    (left, *_) = [
        number
        for number in listed(singlepool, at)
        if "acme.thing.v1" in singlepool("rejected", "show", number, *at).out
    ]
    ended = singlepool("rejected", "replay", left, *at)
    assert (ended.code, "acme.thing.v1" in ended.err) == (Exit.USAGE, True)


def listed(singlepool: Singlepool, at: Sequence[str], *more: str) -> list[int]:
    """The numbers of the refused events that are open."""
    found = json.loads(singlepool("rejected", "list", *more, *at, "-o", "json").out)
    return [row["number"] for row in found]


def test_what_belongs_on_no_topic_is_not_published(broker: Connection, at: Sequence[str]) -> None:
    """Decisions are the engine's to say, an unknown type has no topic: then nothing is sent."""
    with closing(Publisher(broker, declare(prefix=at[-1]), ANYBODY.name)) as publisher:
        for ce_type in ("singlepool.decision.cycle_opened.v1", "acme.thing.v1"):
            with pytest.raises(NoTopicError, match=ce_type):
                publisher.publish([JUNK, Published(ce_type, b"", Origin("x", "test"))])
    assert {row.end for row in lags(broker, declare(prefix=at[-1])).rows} == {0}


def test_following_the_ledger_ends_when_told_and_forms_that_cannot_follow_are_refused(
    at: Sequence[str], singlepool: Singlepool
) -> None:
    """An array has an end, so `--follow` with JSON is wrong use; the sentence says what to ask."""
    ended = singlepool("tail", "--follow", *at, "-o", "json")
    assert (ended.code, ended.out) == (Exit.USAGE, "")
    assert "ndjson" in ended.err


def test_a_transaction_that_hangs_is_found(
    broker: Connection, at: Sequence[str], tmp_path: Path, singlepool: Singlepool
) -> None:
    """`doctor` names the place, which readers do not get past, and what ends it."""
    topology = declare(prefix=at[-1])
    foreign = leave_open(broker, topology, b"foreign", by=f"{topology.prefix}foreign")
    asked = ("doctor", *at, "--home", tmp_path, "-o", "json")
    hangs = transactions_row(singlepool(*asked).out)
    assert hangs["found"] == f"open in {topology.ledger.name}/0 from 0"
    assert "kafka-transactions.sh" in hangs["verdict"]
    foreign.abort_transaction(PATIENCE_S)
    assert transactions_row(singlepool(*asked).out)["verdict"] == "ok"


def transactions_row(out: str) -> Mapping[str, str]:
    """What `doctor` says of transactions."""
    rows: list[dict[str, str]] = json.loads(out)
    return next(row for row in rows if row["what"] == "transactions")


def test_a_broker_that_is_not_there_is_named(tmp_path: Path, singlepool: Singlepool) -> None:
    """`doctor` says which, and what looks at it; without any broker, how to make one."""
    ended = singlepool("doctor", "--bootstrap", "127.0.0.1:1", "--home", tmp_path, "-o", "json")
    verdicts = {row["what"]: row["verdict"] for row in json.loads(ended.out)}
    assert ended.code == Exit.FAILED
    assert "no broker answers at 127.0.0.1:1" in verdicts["broker"]
    none = singlepool("lag", "--broker", tmp_path / "none")
    assert (none.code, "singlepool broker up" in none.err) == (Exit.USAGE, True)
