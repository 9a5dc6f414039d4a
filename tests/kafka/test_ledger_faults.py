# SPDX-License-Identifier: Apache-2.0
"""What a real broker does to a ledger: stopped and killed writers, aborted and open transactions.

The records of a batch say which they are, so that a batch that is halved, lost or twice is seen.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compose.broker.layout import connection
from compose.broker.nodes import kill, start
from schemas.ledger import Batch, CorruptLedgerError, FencedError, LedgerStorageError, scan
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.entries import Note, note_headers, note_value, placed_at, record_headers
from streams.kafka.feed import Feed
from streams.kafka.hanging import open_in
from streams.kafka.ledger import KafkaLedger, input_name
from streams.kafka.lock import Lock, Outgoing
from streams.kafka.partition import Partition
from streams.kafka.reader import KafkaReader
from streams.kafka.rejected import RejectedLog, refused_headers
from streams.kafka.topics import ENGINE, READER, Topology
from tests.eventually import eventually
from tests.kafka.conftest import own_broker
from tests.kafka.groups import committed_in
from tests.kafka.transactions import PATIENCE_S, CutOff, leave_open
from tests.streams.appender import FENCED
from tests.streams.ledger_contract import SIZE, batch, records, refused


@contextmanager
def appender(broker: Connection, topology: Topology) -> Generator[subprocess.Popen[str]]:
    """A process that appends, killed at the end if it still runs."""
    program = [sys.executable, "-m", "tests.kafka.appender", broker.bootstrap, topology.prefix]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def told(running: subprocess.Popen[str], lines: int = 1) -> str:
    """The last of so many lines that the process says next."""
    assert running.stdout is not None
    said = [running.stdout.readline().strip() for _ in range(lines)]
    assert said[-1]
    return said[-1]


def check_whole(broker: Connection, topology: Topology, acknowledged: int) -> int:
    """Hold a ledger to whole batches up to the last that was acknowledged; return how many."""
    with KafkaReader(broker, topology) as ledger:
        batches, over = divmod(ledger.head(), SIZE)
        assert over == 0
        assert batches > acknowledged
        assert list(scan(ledger)) == [r for n in range(batches) for r in records(n)]
        assert dict(ledger.consumed()) == {"in": batches}
    refused_log = RejectedLog(broker, topology)
    kept = refused_log.rejected(1, batches + 1)
    refused_log.close()
    assert kept == [(n + 1, refused(n % 256)) for n in range(batches)]
    return batches


def threads_of_this_process() -> int:
    """How many threads it has, those of its clients with them."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


# --- writers --------------------------------------------------------------------------------------


def test_a_writer_that_was_stopped_and_goes_on_lands_nothing(
    broker: Connection, topics: Topology
) -> None:
    """Deposed while it slept, in an append or not, it is told so, and nothing of it shows."""
    with appender(broker, topics) as running, KafkaLedger(broker, topics) as ledger:
        told(running, lines=3)
        os.kill(running.pid, signal.SIGSTOP)
        lease = ledger.acquire("second")
        head = ledger.head()
        os.kill(running.pid, signal.SIGCONT)
        said, _ = running.communicate(timeout=PATIENCE_S)
        assert said.split()[-1] == FENCED
        assert ledger.head() == head
        number = head // SIZE
        ledger.append(lease, head, Batch(records(number), {"in": number + 1}, [refused(number)]))
    check_whole(broker, topics, head // SIZE)


def test_a_killed_writer_loses_nothing_acknowledged_and_halves_nothing(
    broker: Connection, topics: Topology
) -> None:
    """After each kill there are whole batches, all that were acknowledged; the next goes on."""
    before = 0
    for _ in range(3):
        with appender(broker, topics) as running:
            last = told(running, lines=4)
            running.kill()
            assert running.stdout is not None
            rest = [line for line in running.stdout if line.endswith("\n")]
            last = [last, *rest][-1].strip()
        with KafkaLedger(broker, topics) as ledger:
            ledger.acquire("afterwards")  # ends what the killed one left open
        batches = check_whole(broker, topics, int(last))
        assert batches > before
        before = batches


def test_what_a_writer_left_open_is_never_read(broker: Connection, topics: Topology) -> None:
    """Open, it is invisible; whoever takes the lease ends it, and positions go on without it."""
    with KafkaReader(broker, topics) as reader, KafkaLedger(broker, topics) as ledger:
        left = leave_open(broker, topics, b"lost", b"lost too")
        assert reader.head() == 0
        assert list(reader.read(0, 10)) == []
        lease = ledger.acquire("next")
        assert ledger.head() == 0
        ledger.append(lease, 0, batch(0))
        assert list(scan(reader)) == records(0)
        del left


def test_who_reads_on_never_sees_what_is_open_or_aborted(
    broker: Connection, topics: Topology
) -> None:
    """Records in the very place of the next ones: not while they are open, and not after."""
    feed = Feed(broker, topics.ledger.name, topics.group(READER))
    with KafkaReader(broker, topics) as reader, KafkaLedger(broker, topics) as ledger:
        ledger.append(ledger.acquire("a"), 0, batch(0))
        assert list(scan(reader)) == records(0)
        left = leave_open(broker, topics, b"lost", b"lost too", head=SIZE)
        assert reader.wait(SIZE, 500) == SIZE
        assert list(reader.read(SIZE, 10)) == []
        ledger.append(ledger.acquire("b"), SIZE, batch(1))
        assert list(reader.read(SIZE, 10)) == records(1)
        del left
    fed: list[bytes | None] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(fed) < 2 * SIZE and time.monotonic() < deadline:
        fed += [m.value() for m in feed.take(0.2) if placed_at(m.headers()) >= 0]
    feed.close()
    assert fed == records(0) + records(1)


def test_markers_and_aborted_records_leave_no_hole_in_positions(
    broker: Connection, topics: Topology
) -> None:
    """Offsets run ahead of positions, and a reader that begins anywhere finds its record."""
    with KafkaLedger(broker, topics) as ledger:
        lease = ledger.acquire("a")
        for number in range(4):
            ledger.append(lease, number * SIZE, batch(number))
        left = leave_open(broker, topics, *[b"aborted"] * 50)
        lease = ledger.acquire("a")
        for number in range(4, 8):
            ledger.append(lease, number * SIZE, batch(number))
        del left
    expected = [record for number in range(8) for record in records(number)]
    partition = Partition(broker, topics.ledger.name, topics.group(ENGINE))
    assert partition.bounds()[1] > len(expected) + 50
    partition.close()
    with KafkaReader(broker, topics) as reader:
        for start in range(0, len(expected), 3):
            assert list(reader.read(start, 2)) == expected[start : start + 2]
        assert list(scan(reader)) == expected


def test_an_open_transaction_of_another_hides_what_follows_it_and_ends_by_itself(
    broker: Connection, topics: Topology
) -> None:
    """It is no silent gap: the append is not acknowledged before every reader can see it."""
    foreign = leave_open(broker, topics, b"foreign", by=f"{topics.prefix}foreign")
    lock = Lock(broker, topics.lock)
    partition = Partition(broker, topics.ledger.name, topics.group(ENGINE))
    message = Outgoing(topics.ledger.name, record_headers(0), b"hidden")
    offset = lock.commit([message])
    assert partition.bounds()[1] < offset
    foreign.abort_transaction(PATIENCE_S)
    partition.wait_for_end(offset)
    lock.close()
    partition.close()


def test_inputs_that_are_topics_show_in_the_group_too(broker: Connection, topics: Topology) -> None:
    """The tools that watch lag see the offsets when the ledger is closed; other names stay ours."""
    name = input_name(topics.accepted.name, 1)
    with KafkaLedger(broker, topics) as ledger:
        lease = ledger.acquire("a")
        ledger.append(lease, 0, Batch([b"a"], {name: 7, "elsewhere": 3}))
        assert dict(ledger.consumed()) == {name: 7, "elsewhere": 3}
    assert committed_in(broker, topics.group(ENGINE), topics.accepted.name) == {1: 7}


def test_refused_events_are_counted_however_many_they_are(
    broker: Connection, topics: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patience is with a broker that gives nothing, and not with how long the whole topic takes."""
    monkeypatch.setattr("streams.kafka.rejected.PATIENCE_S", 0.0)
    monkeypatch.setattr("streams.kafka.rejected._LOOK_S", 5.0)
    many = 1_200  # more than one look gives
    lock, event = Lock(broker, topics.lock), refused(0)
    entry = Outgoing(topics.rejected.name, refused_headers(event), event.published.payload)
    partition = Partition(broker, topics.rejected.name, topics.group(READER))
    partition.wait_for_end(lock.commit([entry] * many))
    partition.close()
    lock.close()
    refused_log = RejectedLog(broker, topics)
    kept = refused_log.rejected(many - 1, 10)
    refused_log.close()
    assert kept == [(many - 1, event), (many, event)]


# --- the broker -----------------------------------------------------------------------------------


@pytest.mark.long
def test_a_killed_broker_comes_back_with_everything_acknowledged(
    topology: Topology, tmp_path: Path
) -> None:
    """Killed while a writer appends and started again, it holds every batch that was acknowledged.

    The writer goes on by itself: it takes the lease again and asks for the head.
    """
    with own_broker(tmp_path) as layout:
        broker, (node,) = connection(tmp_path, layout), layout.nodes
        assert Admin(broker).apply(topology).done
        with appender(broker, topology) as running:
            told(running, lines=3)
            kill(tmp_path, node)
            start(tmp_path, layout)
            last = told(running, lines=4)
            running.kill()
        with KafkaLedger(broker, topology) as ledger:
            ledger.acquire("afterwards")
        check_whole(broker, topology, int(last))


@pytest.mark.long
def test_a_writer_leaves_a_broker_that_died_in_its_transaction(
    topology: Topology, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for no broker that may never come back, and nothing of it stays behind."""
    monkeypatch.setattr("streams.kafka.lock._PATIENCE_S", 5.0)
    with own_broker(tmp_path) as layout:
        broker, (node,) = connection(tmp_path, layout), layout.nodes
        threads = threads_of_this_process()
        assert Admin(broker).apply(topology).done
        lock = Lock(broker, topology.lock)

        def die() -> None:
            eventually(lambda: open_in(broker, [topology.ledger.name], 0.0), "nothing lies there")
            kill(tmp_path, node)

        entry = Outgoing(topology.ledger.name, record_headers(0), b"lost")
        with pytest.raises(LedgerStorageError):
            lock.commit(CutOff([entry, entry], die))
        leaving = threading.Thread(target=lock.close, daemon=True)
        leaving.start()
        leaving.join(PATIENCE_S / 2)
        assert not leaving.is_alive()
    deadline = time.monotonic() + PATIENCE_S
    while threads_of_this_process() > threads and time.monotonic() < deadline:
        time.sleep(0.1)
    assert threads_of_this_process() <= threads


# --- damage ---------------------------------------------------------------------------------------


def written(broker: Connection, topology: Topology, *entries: Outgoing) -> None:
    """Write into the ledger's partition behind the ledger's back."""
    lock = Lock(broker, topology.lock)
    partition = Partition(broker, topology.ledger.name, topology.group(ENGINE))
    partition.wait_for_end(lock.commit(entries))
    partition.close()
    lock.close()


@pytest.mark.parametrize(
    ("positions", "head", "said"),
    [
        ((0, 1, 3), 4, "record 2 is missing"),
        ((0, 1, 1), 2, "record 1 comes twice"),
        ((0, 1), 3, "record 2 is missing"),
        ((1, 2), 3, "record 0 is missing"),
    ],
)
def test_a_hole_in_positions_is_named(
    broker: Connection, topics: Topology, positions: tuple[int, ...], head: int, said: str
) -> None:
    """A position that is missing or comes twice stops the reader, whatever the offsets say."""
    topic = topics.ledger.name
    entries = [Outgoing(topic, record_headers(at), b"x") for at in positions]
    note = Outgoing(topic, note_headers(), note_value(Note(head, 1, "a")))
    written(broker, topics, *entries, note)
    with KafkaReader(broker, topics) as reader, pytest.raises(CorruptLedgerError, match=said):
        list(scan(reader))


def test_a_record_of_somebody_else_is_named(broker: Connection, topics: Topology) -> None:
    """Whatever else was written into the ledger's topic is no record, and no reader passes it."""
    written(broker, topics, Outgoing(topics.ledger.name, [("ce_id", b"1")], b"x"))
    said = "offset 0 holds neither record nor note"
    with KafkaReader(broker, topics) as reader, pytest.raises(CorruptLedgerError, match=said):
        reader.head()


def test_a_closed_writer_fences_nobody(broker: Connection, topics: Topology) -> None:
    """Its lease is no good any more, and the next writer needs no time-out to begin."""
    with KafkaLedger(broker, topics) as first:
        lease = first.acquire("a")
    with KafkaLedger(broker, topics) as second:
        with pytest.raises(FencedError):
            second.append(lease, 0, batch(0))
        assert second.append(second.acquire("b"), 0, batch(0)) == SIZE
