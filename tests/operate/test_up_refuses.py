# SPDX-License-Identifier: Apache-2.0
"""What `up` may not play it refuses first: nothing of what is there is removed or changed."""

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from msgspec import structs

from compose.broker.layout import new_layout, save
from compose.exits import Exit
from compose.installation import Where
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.ledger import KafkaLedger
from streams.kafka.plan import FoundTopic
from streams.kafka.topics import DAY_MS, Topology, declare
from tests.compose.conftest import Singlepool
from tests.streams.ledger_contract import batch

KEPT = ("archive/segment", "snapshots/one", "logs/engine.log", "broker/node-1/data/record")
"""What stands for an earlier run, or for the live ones of `serve archive` and `serve engine`."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A run's folder with something in each of its parts."""
    for name in KEPT:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def left_in(home: Path) -> tuple[str, ...]:
    """What of it is still there."""
    return tuple(name for name in KEPT if (home / name).exists())


def test_an_option_that_means_nothing_removes_nothing(home: Path, singlepool: Singlepool) -> None:
    """The broker that is named has its own security; the folder is as it was."""
    ended = singlepool("up", "--bootstrap", "127.0.0.1:9", "--tls", "--home", home)
    assert (ended.code, "--tls is for the broker that is started" in ended.err) == (
        Exit.USAGE,
        True,
    )
    assert left_in(home) == KEPT


def test_a_ledger_that_holds_records_is_not_played_on_and_its_archive_stays(
    broker: Connection, topology: Topology, home: Path, singlepool: Singlepool
) -> None:
    """Its records are somebody's, and so is what lies in the folder."""
    whole = declare(prefix=topology.prefix)
    assert Admin(broker).apply(whole).done
    with KafkaLedger(broker, whole) as ledger:
        ledger.append(ledger.acquire("somebody"), 0, batch(0))
    at = ("--bootstrap", broker.bootstrap, "--prefix", topology.prefix)
    ended = singlepool("up", *at, "--home", home)
    assert (ended.code, "--resume, or another --prefix" in ended.err) == (Exit.USAGE, True)
    assert left_in(home) == KEPT


def test_topics_that_only_a_human_may_change_are_named_and_none_is_changed(
    broker: Connection, topics: Topology, home: Path, singlepool: Singlepool
) -> None:
    """With other partitions than declared nothing is played; the message says what differs."""
    admin = Admin(broker)
    drifted = structs.replace(topics.directives, retention_ms=DAY_MS)
    assert admin.apply(structs.replace(topics, directives=drifted)).done
    before = admin.plan(declare(prefix=topics.prefix))
    ended = singlepool(
        "up", "--bootstrap", broker.bootstrap, "--prefix", topics.prefix, "--home", home
    )
    assert ended.code == Exit.FAILED
    assert f"partitions of {topics.upstream[0].name} is 2 and not 6 (by hand)" in ended.err
    assert admin.plan(declare(prefix=topics.prefix)) == before
    assert left_in(home) == KEPT


@pytest.fixture
def a_node(home: Path) -> Generator[Path]:
    """The folder of a broker one of whose nodes runs, as far as its pid file tells."""
    folder = home / "broker"
    save(new_layout(1, 9), folder)
    told = folder.absolute() / "node-1" / "server.properties"
    waits = [sys.executable, "-c", "input()", str(told)]
    with subprocess.Popen(waits, stdin=subprocess.PIPE) as running:
        (folder / "node-1" / "pid").write_text(str(running.pid))
        yield folder
        running.kill()


def test_a_broker_that_runs_keeps_its_records(
    a_node: Path, home: Path, singlepool: Singlepool
) -> None:
    """Another `up` may use it, or its JVM outlived one; the message says how to go on."""
    ended = singlepool("up", "--home", home)
    assert (ended.code, ended.out) == (Exit.USAGE, "")
    assert f"singlepool broker down --home {a_node}" in ended.err
    assert left_in(home) == KEPT


@pytest.mark.parametrize("resume", [(), ("--resume",)])
def test_what_an_earlier_run_left_running_is_named_and_not_joined(
    home: Path, singlepool: Singlepool, resume: tuple[str, ...]
) -> None:
    """Two players would play one trace twice as fast, and two archivers are one too many."""
    waits = [sys.executable, "-c", "input()", "compose.cli", "serve", "intake"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE) as running:
        (home / "logs" / "processes.json").write_text(f'{{"intake": {running.pid}}}')
        ended = singlepool("up", "--home", home, *resume)
        running.kill()
    assert ended.code == Exit.USAGE
    assert f"still runs intake (process {running.pid})" in ended.err
    assert left_in(home) == KEPT


def test_the_replication_that_the_ledger_has_is_the_one_that_is_meant() -> None:
    """On three brokers two must hold a record, though nobody says `--replication`."""
    where = Where(prefix="live.")
    three = where.topology_as_found([FoundTopic("live.ledger", 1, 3), FoundTopic("ledger", 1, 5)])
    assert (three.replication, three.min_in_sync) == (3, 2)
    assert where.topology_as_found([]) == where.topology()
