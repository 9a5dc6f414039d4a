# SPDX-License-Identifier: Apache-2.0
"""Three nodes, every record on all of them: whichever leads the ledger may be killed."""

import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from msgspec import structs

from compose.broker.layout import Layout, connection
from compose.broker.nodes import kill, start
from schemas.ledger import tail
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.ledger import KafkaLedger
from streams.kafka.reader import KafkaReader
from streams.kafka.topics import Topology
from tests.eventually import eventually
from tests.kafka.conftest import own_broker
from tests.kafka.test_ledger_faults import appender, check_whole
from tests.streams.ledger_contract import SIZE

NODES, ROUNDS = 3, 3
GOES_ON = 10
"""So many batches more are acknowledged by a writer that goes on."""

PATIENCE_S = 120.0
"""For any one thing to happen; all of it takes a minute and a half where nothing hangs."""


@pytest.fixture
def three(tmp_path: Path) -> Generator[tuple[Path, Layout]]:
    """Three nodes of their own."""
    with own_broker(tmp_path, NODES) as layout:
        yield tmp_path, layout


class Listening(threading.Thread):
    """Hears the numbers of batches as a writer says that they are acknowledged."""

    def __init__(self, writer: subprocess.Popen[str]) -> None:
        """Listen to a writer from now on."""
        super().__init__(daemon=True)
        self.numbers: list[int] = []
        self._writer = writer
        self.start()

    def run(self) -> None:
        """Hear until it says nothing more."""
        assert self._writer.stdout is not None
        self.numbers.extend(int(line) for line in self._writer.stdout if line.endswith("\n"))

    def hear_more(self, of: str) -> None:
        """Return once some were acknowledged that were written since this was called."""
        enough = len(self.numbers) + GOES_ON
        eventually(lambda: len(self.numbers) >= enough, f"the writer stopped {of}")


class Tailing(threading.Thread):
    """A reader that tails the ledger from its beginning until told to stop."""

    def __init__(self, broker: Connection, topology: Topology) -> None:
        """Read by a handle of its own."""
        super().__init__(daemon=True)
        self.seen: list[bytes] = []
        self.told = threading.Event()
        self._broker, self._topology = broker, topology

    def run(self) -> None:
        """Tail."""
        with KafkaReader(self._broker, self._topology) as reader:
            for part in tail(reader, 0, self.told.is_set):
                self.seen.extend(part)

    @contextmanager
    def running(self) -> "Generator[Tailing]":
        """Tail for as long as this lasts."""
        self.start()
        try:
            yield self
        finally:
            self.told.set()
            self.join(PATIENCE_S)


def leader(broker: Connection, topology: Topology) -> int:
    """The number of the node that leads the ledger, or -1."""
    name = topology.ledger.name
    found = AdminClient(broker.settings()).list_topics(name, PATIENCE_S)
    return found.topics[name].partitions[0].leader


def kill_leader(home: Path, layout: Layout, topology: Topology) -> None:
    """Kill whichever node leads the ledger, and return once another one does."""
    broker = connection(home, layout)
    killed = leader(broker, topology)
    (node,) = (node for node in layout.nodes if node.number == killed)
    kill(home, node)
    eventually(lambda: leader(broker, topology) not in {-1, killed}, "nobody leads the ledger")


def in_sync(broker: Connection) -> bool:
    """Whether all three have all there is, of the broker's own topics too."""
    topics = AdminClient(broker.settings()).list_topics(timeout=PATIENCE_S).topics.values()
    return all(len(p.isrs) == NODES for topic in topics for p in topic.partitions.values())


@pytest.mark.long
def test_the_ledgers_leader_is_killed_and_nothing_acknowledged_is_lost(
    three: tuple[Path, Layout], topology: Topology
) -> None:
    """Killed thrice while a writer appends, and back later: no batch is lost or doubled.

    The writer goes on while a node is away, positions have no hole, and a reader that tails through
    all of it sees each record once.
    """
    home, layout = three
    broker = connection(home, layout)
    assert Admin(broker).apply(structs.replace(topology, replication=NODES)).done
    with appender(broker, topology) as writer, Tailing(broker, topology).running() as tailing:
        heard = Listening(writer)
        heard.hear_more("before anything happened")
        for _ in range(ROUNDS):
            kill_leader(home, layout, topology)
            heard.hear_more("with two nodes")
            start(home, layout)
            eventually(lambda: in_sync(broker), "a node that was killed did not catch up")
            heard.hear_more("with all nodes")
        writer.kill()
        heard.join(PATIENCE_S)
        with KafkaLedger(broker, topology) as ledger:
            ledger.acquire("afterwards")  # ends what the killed one left open
        batches = check_whole(broker, topology, heard.numbers[-1])
        assert heard.numbers == sorted(set(heard.numbers))
        eventually(lambda: len(tailing.seen) >= batches * SIZE, "the tail came to no end")
    with KafkaReader(broker, topology) as reader:
        assert tailing.seen == list(reader.read(0, batches * SIZE + 1))
