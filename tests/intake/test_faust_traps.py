# SPDX-License-Identifier: Apache-2.0
"""Each measured way in which Faust 0.15.3 loses, stalls or exposes itself, and what keeps it away.

Each test fails when its protection is taken out of `streams.intake.faust_host` or `faust_app`.
"""

import asyncio
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from faust.types import TP

from schemas.catalogue import Family
from schemas.fleet import NodeHealthReported
from schemas.ids import JobId
from schemas.jobs import JobStarted
from streams.intake.cells import Cell, decode_cell, encode_cell
from streams.intake.faust_host import FaustIntake
from streams.intake.fold_rules import FoldRules
from streams.intake.worker import Worker
from streams.kafka.connection import Connection
from streams.kafka.topics import CELLS_TABLE, Topology
from tests.eventually import eventually
from tests.intake.crew import supervised
from tests.intake.host_process import BUG, BUG_EXIT, HOSTS, running, stop
from tests.intake.partition import START_MS, beat, served
from tests.intake.upstream import (
    DOMAIN,
    Upstream,
    accepted_events,
    committed,
    publish_all,
    told,
)

ALL = 2_000
SMALLEST_RECORD_BYTES = 100
"""A heartbeat with the headers that it must have takes more."""

long = pytest.mark.long


@pytest.fixture
def app(topology: Topology) -> Any:  # noqa: ANN401  # Faust's are loose
    return FaustIntake(Connection("127.0.0.1:9"), topology).app


def started(number: int) -> JobStarted:
    return JobStarted(JobId(f"acme/job-{number % 7}@1"), number + 1)


def publish_some(connection: Connection, topology: Topology, *, bug_at: int = -1) -> None:
    upstream = Upstream(connection, topology)
    for number in range(ALL):
        if number == bug_at:
            upstream.publish(beat(BUG, 1))
            upstream.publish(beat(BUG, 2, errors=1))  # suspect, which is to be said
        upstream.publish(started(number))
    upstream.flush()


def all_accepted(connection: Connection, topology: Topology) -> bool:
    found = {e.attempt for e in accepted_events(connection, topology) if isinstance(e, JobStarted)}
    return found >= set(range(1, ALL + 1))


@long
def test_nothing_is_committed_past_what_is_under_way(broker: Connection, topics: Topology) -> None:
    """Records that were taken in and whose outputs are not delivered stay uncommitted."""
    publish_some(broker, topics)
    with running("faust", broker, topics, "unsettled"):
        eventually(lambda: all_accepted(broker, topics), "all is taken in and sent")
        time.sleep(5)  # some of Faust's commits
        assert committed(broker, topics) == 0


@long
def test_nothing_is_committed_before_its_cells_are_kept(
    broker: Connection, topics: Topology
) -> None:
    """Faust commits ahead of its changelog: what a worker counted last would die with it."""
    ago_ms = time.time_ns() // 1_000_000 - START_MS - 150_000
    publish_all(Upstream(broker, topics), [served(number + 1, ago_ms) for number in range(ALL)])
    with running("faust", broker, topics, "unkept"):
        eventually(lambda: told(broker, topics) > 0, "requests are taken in")
        time.sleep(5)  # some of Faust's commits
        assert committed(broker, topics, Family.SERVING) == 0
    with supervised("faust", broker, topics):
        eventually(lambda: told(broker, topics) == ALL, "its successor counts them all")


@long
@pytest.mark.parametrize("host", HOSTS)
def test_a_bug_ends_the_process_before_anything_is_acked(
    host: str, broker: Connection, topics: Topology
) -> None:
    """Neither the record that raised nor those queued behind it are skipped: all come later.

    The bug shows when the record's cell has it already: nor may that cell be kept.
    """
    publish_some(broker, topics, bug_at=ALL // 2)
    with running(host, broker, topics, "bug") as broken:
        assert broken.wait(60) == BUG_EXIT
    assert committed(broker, topics, Family.FLEET) <= 1
    with supervised(host, broker, topics):
        eventually(lambda: all_accepted(broker, topics), "nothing was skipped")
        eventually(lambda: suspected(broker, topics) == [BUG], "what the bug kept back is said")
    assert committed(broker, topics) == ALL


def suspected(connection: Connection, topology: Topology) -> list[str]:
    found = accepted_events(connection, topology)
    return [e.node for e in found if isinstance(e, NodeHealthReported)]


@long
def test_a_worker_listens_on_nothing_and_creates_nothing(
    broker: Connection, topics: Topology
) -> None:
    """No web server for whoever is on the network, no topic that nobody declared, no folder."""
    publish_some(broker, topics)
    before, beside = topic_names(broker), set(Path.cwd().iterdir())
    with running("faust", broker, topics) as process:
        eventually(lambda: all_accepted(broker, topics), "it works")
        assert listening(process) == []
        assert topic_names(broker) == before
        assert stop(process) == 0
    assert set(Path.cwd().iterdir()) == beside


def topic_names(connection: Connection) -> set[str]:
    """Return the names of all topics but the broker's own, which come with its first group."""
    client: Any = AdminClient(connection.settings())
    return {name for name in client.list_topics(timeout=10).topics if not name.startswith("__")}


def listening(process: "subprocess.Popen[bytes]") -> list[str]:
    """Return the addresses on which a process listens."""
    folder = Path("/proc") / str(process.pid)
    if not folder.is_dir():
        pytest.skip("only Linux tells by files what a process listens on")
    sockets = {link.readlink().name for link in (folder / "fd").iterdir() if link.is_symlink()}
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in (folder / "net" / table).read_text().splitlines()[1:]
    ]
    return [line[1] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets]


# --- by what the app is told ----------------------------------------------------------------------


def test_there_is_one_agent_that_takes_one_record_at_a_time(app: Any) -> None:  # noqa: ANN401  # as above
    """With two, a later record's ack commits an earlier one away that is still under way."""
    (agent,) = app.agents.values()
    assert agent.concurrency == 1


def test_the_agent_reads_topics(app: Any, topology: Topology) -> None:  # noqa: ANN401  # as above
    """An app whose agents read channels alone crashes: it has nothing to subscribe to."""
    (agent,) = app.agents.values()
    assert set(agent.channel.topics) == {topic.name for topic in topology.upstream}


def test_faust_opens_no_transactions(app: Any) -> None:  # noqa: ANN401  # as above
    """They would not cover what goes to topics that the app does not read."""
    assert app.conf.processing_guarantee.name == "AT_LEAST_ONCE"
    assert not app.in_transaction


def test_tables_have_the_partitions_and_the_name_that_are_declared(
    app: Any,  # noqa: ANN401  # as above
    topology: Topology,
) -> None:
    """Faust refuses to start where a table's topic has other partitions than its source."""
    changelog = app.tables[CELLS_TABLE].changelog_topic
    assert changelog.get_topic_name() == topology.cells.name
    assert changelog.partitions == topology.cells.partitions
    assert {topic.partitions for topic in topology.upstream} == {topology.cells.partitions}
    assert topology.cells.compacted


def test_the_table_recovers_the_version_of_a_cell_that_includes_most(app: Any) -> None:  # noqa: ANN401  # as above
    """A worker that was taken for dead writes after its successor; Faust takes whatever is last."""
    table = app.tables[CELLS_TABLE]
    for batch in (["a3", "b1", "a2"], ["a1", "b2"]):
        table.apply_changelog_batch([changed(text[0], int(text[1])) for text in batch])
    assert {key: decode_cell(data).included for key, data in table.data.items()} == {
        b"a": 3,
        b"b": 2,
    }


def changed(key: str, included: int) -> SimpleNamespace:
    """Return a record of the changelog as Faust hands it to its table."""
    data = encode_cell(Cell(included))
    message = SimpleNamespace(partition=0, value=data)
    return SimpleNamespace(key=key.encode(), value=data, message=message)


def test_no_partition_is_owned_before_its_cells_are_recovered(topology: Topology) -> None:
    """Its end is known sooner; owned with cells that are not there yet, it would count anew."""
    intake = FaustIntake(Connection("127.0.0.1:9"), topology, fold=FoldRules(sweep_ms=0))
    intake.app.consumer = Assigned(topology.published(Family.SERVING, DOMAIN).name)
    worker: Worker = getattr(intake, "_worker")  # noqa: B009  # what it owns is said nowhere else
    asyncio.run(intake.let_time_pass())
    assert not worker.places
    intake.app.tables.on_actives_ready()
    asyncio.run(intake.let_time_pass())
    assert list(worker.places) == [(intake.app.consumer.topic, 0)]


class Assigned:
    """A Faust consumer that has just been given an empty partition."""

    def __init__(self, topic: str) -> None:
        """Partition 0 of a topic."""
        self.topic = topic
        self._committed_offset: dict[TP, int] = {}

    def assignment(self) -> set[TP]:
        """Return what is assigned."""
        return {TP(self.topic, 0)}

    async def highwaters(self, *places: TP) -> dict[TP, int]:
        """Return where each ends, as a broker would."""
        return dict.fromkeys(places, 0)


def test_standby_tables_stay_on(app: Any) -> None:  # noqa: ANN401  # as above
    """With none, the first assignment can fail for want of a group; one is Faust's default."""
    assert app.conf.table_standby_replicas == 1


def test_the_buffer_holds_several_fetches(app: Any) -> None:  # noqa: ANN401  # as above
    """A full buffer pauses its partition, and the fetcher then idles for a second at a time."""
    room = app.conf.stream_buffer_maxsize * SMALLEST_RECORD_BYTES
    assert room > 5 * app.conf.consumer_max_fetch_size


def test_nothing_is_read_by_a_codec_that_runs_it(app: Any) -> None:  # noqa: ANN401  # as above
    """Bytes are bytes: no pickle, no guess."""
    assert (app.conf.key_serializer, app.conf.value_serializer) == ("raw", "raw")


def test_timeouts_are_such_that_faust_starts(app: Any) -> None:  # noqa: ANN401  # as above
    """It refuses a session that is longer than a request."""
    assert app.conf.broker_session_timeout <= app.conf.broker_request_timeout


def test_the_driver_is_the_one_that_works(app: Any) -> None:  # noqa: ANN401  # as above
    """`confluent://` never got past recovery."""
    assert {url.scheme for url in app.conf.broker} == {"kafka"}
