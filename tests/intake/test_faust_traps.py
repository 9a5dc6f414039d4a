# SPDX-License-Identifier: Apache-2.0
"""Each measured way in which Faust 0.15.3 loses, stalls or exposes itself, and what keeps it away.

Each test fails when its protection is taken out of `streams.intake.faust_host`.
"""

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.catalogue import Family
from schemas.ids import JobId
from schemas.jobs import JobStarted
from streams.intake.faust_host import FaustIntake
from streams.kafka.connection import Connection
from streams.kafka.topics import CELLS_TABLE, INTAKE, Topology
from tests.intake.host_process import BUG, BUG_EXIT, running, stop
from tests.intake.upstream import DOMAIN, Upstream, accepted_events, eventually

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
    topic = topology.published(Family.JOB, DOMAIN).name
    for number in range(ALL):
        if number == bug_at:
            upstream.put(topic, BUG, [("ce_type", b"x"), ("ce_id", b"x"), ("ce_source", b"x")])
        upstream.publish(started(number))
    upstream.flush()


def committed(connection: Connection, topology: Topology) -> int:
    """Return how many records of the job topic are committed."""
    topic = topology.published(Family.JOB, DOMAIN)
    asking = Consumer(connection.settings() | {"group.id": topology.group(INTAKE)})
    places = [TopicPartition(topic.name, p) for p in range(topic.partitions)]
    found = asking.committed(places, timeout=10.0)
    asking.close()
    return sum(max(place.offset, 0) for place in found)


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
def test_a_bug_ends_the_process_before_anything_is_acked(
    broker: Connection, topics: Topology
) -> None:
    """Neither the record that raised nor those queued behind it are skipped: all come later."""
    publish_some(broker, topics, bug_at=ALL // 2)
    with running("faust", broker, topics, "bug") as broken:
        assert broken.wait(60) == BUG_EXIT
    assert committed(broker, topics) <= ALL
    with running("faust", broker, topics) as mended:
        eventually(lambda: all_accepted(broker, topics), "nothing was skipped")
        assert stop(mended) == 0
    assert committed(broker, topics) == ALL + 1


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
    client: Any = AdminClient(connection.settings())
    return set(client.list_topics(timeout=10).topics)


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
