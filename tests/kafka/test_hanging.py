# SPDX-License-Identifier: Apache-2.0
"""Transactions that nobody ends: those of the writer before, those of others, forgotten ones."""

import shutil
from pathlib import Path

import pytest
from msgspec import structs

from compose.broker.layout import Node, connection
from compose.broker.nodes import kill, start, stop
from schemas.ledger import Batch, LedgerBusyError, LedgerStorageError, scan
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.entries import Note, note_headers, note_value, record_headers
from streams.kafka.hanging import open_in
from streams.kafka.ledger import KafkaLedger
from streams.kafka.lock import Lock, Outgoing
from streams.kafka.reader import KafkaReader
from streams.kafka.topics import Topology, declare
from tests.eventually import eventually
from tests.kafka.conftest import own_broker
from tests.kafka.transactions import PATIENCE_S, CutOff, leave_open

OPEN_FROM = 3
"""Behind a record, a note and their marker."""


def test_what_hangs_of_another_producer_is_named_and_nothing_is_written(
    broker: Connection, topics: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who took the lease there could not see the end; once it is ended, who asks again has it."""
    monkeypatch.setattr("streams.kafka.hanging.ENDED_S", 0.2)
    foreign = leave_open(broker, topics, b"foreign", by=f"{topics.prefix}foreign")
    said = f"another producer hangs in {topics.ledger.name}/0 from 0; end it by Kafka's"
    with KafkaLedger(broker, topics) as ledger:
        with pytest.raises(LedgerBusyError, match=said):
            ledger.acquire("early")
        foreign.abort_transaction(PATIENCE_S)
        lease = ledger.acquire("late")
        assert lease.epoch == 1
        ledger.append(lease, 0, Batch([b"first"]))
        assert list(scan(ledger)) == [b"first"]


def test_partitions_are_looked_at_as_the_broker_has_them(
    broker: Connection, topics: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are declared, as by a command that knows a ledger by its prefix alone."""
    monkeypatch.setattr("streams.kafka.hanging._PATIENCE_S", 1.0)
    more, fewer = (declare(prefix=topics.prefix, partitions=count) for count in (6, 1))
    for at, declared in enumerate((more, fewer)):
        with KafkaLedger(broker, declared) as ledger:
            assert ledger.append(ledger.acquire("a"), at, Batch([b"x"])) == at + 1


def test_a_topic_that_is_not_there_keeps_the_lease_from_being_taken(
    broker: Connection, topics: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named: what the engine says there could not land, and what hangs there not be seen."""
    monkeypatch.setattr("streams.kafka.partition._UNKNOWN_S", 0.2)
    gone = f"{topics.prefix}gone"
    elsewhere = structs.replace(topics, routes=structs.replace(topics.routes, name=gone))
    with (
        KafkaLedger(broker, elsewhere) as ledger,
        pytest.raises(LedgerBusyError, match=f"which partitions there are: .*{gone}"),
    ):
        ledger.acquire("a")


@pytest.mark.long
def test_what_a_restarted_broker_forgot_to_end_never_shows(
    topology: Topology, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would stand or fall with the next leader's first note, which knows nothing of it."""
    monkeypatch.setattr("streams.kafka.lock._PATIENCE_S", 5.0)
    ledger_topic = topology.ledger.name
    kept = Outgoing(ledger_topic, record_headers(0), b"kept")
    closing = Outgoing(ledger_topic, note_headers(), note_value(Note(1, 1, "first")))
    begun = Outgoing(ledger_topic, record_headers(1), b"begun")
    with own_broker(tmp_path) as layout:
        broker, (node,) = connection(tmp_path, layout), layout.nodes
        data, known = tmp_path / f"node-{node.number}" / "data", tmp_path / "known"
        assert Admin(broker).apply(topology).done
        first = Lock(broker, topology.lock)
        first.commit([kept, closing])
        lock = Lock(broker, topology.lock)  # once it is open the broker is done with the first
        first.close()
        stop(tmp_path, layout.nodes)
        for folder in data.glob("__transaction_state-*"):
            shutil.copytree(folder, known / folder.name)
        start(tmp_path, layout)
        with pytest.raises(LedgerStorageError):
            lock.commit(CutOff([begun, begun], lambda: dies(tmp_path, node, broker, topology)))
        lock.close()
        for folder in known.iterdir():  # it has lost what it wrote there last
            shutil.rmtree(data / folder.name)
            shutil.copytree(folder, data / folder.name)
        start(tmp_path, layout)
        assert open_in(broker, [ledger_topic], 1.0) == {(ledger_topic, 0): OPEN_FROM}
        with KafkaLedger(broker, topology) as ledger:
            ledger.append(ledger.acquire("second"), 1, Batch([b"after"]))
        with KafkaReader(broker, topology) as reader:
            assert list(scan(reader)) == [b"kept", b"after"]


def dies(home: Path, node: Node, broker: Connection, topology: Topology) -> None:
    """The broker, once something lies behind the end that readers see."""
    topic = topology.ledger.name
    begun = {(topic, 0): OPEN_FROM}
    eventually(lambda: open_in(broker, [topic], 0.0) == begun, "a transaction is open")
    kill(home, node)
