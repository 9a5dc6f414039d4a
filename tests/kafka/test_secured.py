# SPDX-License-Identifier: Apache-2.0
"""A secured broker: everybody may do what the topics' declaration says, and nothing else.

Each principal comes with its own certificate to a real broker that asks for one.
"""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from msgspec import structs

from compose.broker.certificates import make_certificates, principals
from compose.broker.layout import Layout, certificates, connection
from compose.installation import Where
from compose.watch import lag_grid
from schemas.catalogue import Family
from schemas.ledger import LedgerBusyError, LedgerStorageError, scan
from streams.adapters.slurm_host import SlurmEnds, SlurmHost
from streams.intake.outbox import UndeliveredError
from streams.kafka.access import Grant, Resource, Right, grants
from streams.kafka.admin import Admin
from streams.kafka.connection import BrokerUnavailableError, Connection, Security, brokers
from streams.kafka.ledger import KafkaLedger
from streams.kafka.membership import committed
from streams.kafka.reader import KafkaReader
from streams.kafka.topics import (
    AGENT,
    ARCHIVER,
    ENGINE,
    INTAKE,
    READER,
    Key,
    Topic,
    TrustDomain,
    declare,
)
from streams.live.kafka_ends import KafkaHerald
from tests.kafka.conftest import own_broker
from tests.streams.ledger_contract import SIZE, batch, records

PATIENCE_S = 30
BATCH, CORE = TrustDomain("batch", frozenset({"acme"})), TrustDomain("core")
TOPOLOGY = declare([BATCH, CORE], prefix="secured.", partitions=2)

As = Callable[[str], Connection]
"""How a principal reaches the broker."""


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Path, Layout]]:
    """A secured broker with all topics and grants."""
    home = tmp_path_factory.mktemp("secured")
    with own_broker(home, secured_for=principals(TOPOLOGY.domains)) as layout:
        assert Admin(connection(home, layout)).apply(TOPOLOGY).done
        yield home, layout


@pytest.fixture
def as_(secured: tuple[Path, Layout]) -> As:
    """Come as a principal."""
    return lambda principal: connection(*secured, principal)


def write(connection_: Connection, topic: Topic) -> KafkaError | None:
    """What the broker says to a record."""
    answers: list[KafkaError | None] = []
    producer = Producer(connection_.settings() | {"message.timeout.ms": PATIENCE_S * 1_000})
    producer.produce(topic.name, b"x", key=b"k", on_delivery=lambda error, _: answers.append(error))
    assert producer.flush(PATIENCE_S) == 0
    (answer,) = answers
    return answer


def reader(connection_: Connection, group: str) -> Consumer:
    """A consumer that says when it has come to an end."""
    return Consumer(
        connection_.settings()
        | {"group.id": group, "auto.offset.reset": "earliest", "enable.partition.eof": True}
    )


def may_read(connection_: Connection, group: str, topic: Topic) -> bool:
    """Whether the broker gives a topic's records."""
    consumer = reader(connection_, group)
    try:
        if consumer.list_topics(topic.name, PATIENCE_S).topics[topic.name].error is not None:
            return False
        consumer.assign([TopicPartition(topic.name, 0, 0)])
        return _first_error(consumer) != KafkaError.TOPIC_AUTHORIZATION_FAILED
    finally:
        consumer.close()


def may_join(connection_: Connection, group: str, topic: Topic) -> bool:
    """Whether the broker lets a group be joined."""
    consumer = reader(connection_, group)
    try:
        consumer.subscribe([topic.name])
        return _first_error(consumer) != KafkaError.GROUP_AUTHORIZATION_FAILED
    finally:
        consumer.close()


def _first_error(consumer: Consumer) -> int | None:
    """The code of what comes first, an end among them; None for a record."""
    message = consumer.poll(PATIENCE_S)
    assert message is not None
    error = message.error()
    return None if error is None else error.code()


@pytest.mark.parametrize(
    "principal", [INTAKE, ENGINE, ARCHIVER, AGENT, READER, BATCH.principal, CORE.principal]
)
def test_each_writes_its_own_topics_and_no_other(as_: As, principal: str) -> None:
    """An upstream its domain's, intake what was accepted, the engine what was decided."""
    for topic in TOPOLOGY.topics:
        answer = write(as_(principal), topic)
        if principal in topic.writers:
            assert answer is None
        else:
            assert answer is not None
            assert answer.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize(
    "principal", [INTAKE, ENGINE, ARCHIVER, AGENT, READER, BATCH.principal, CORE.principal]
)
def test_each_reads_what_is_declared_and_no_other(as_: As, principal: str) -> None:
    """No upstream reads the ledger or another's events, and the archiver reads the ledger alone."""
    group = TOPOLOGY.group(principal)
    allowed = {t.name for t in TOPOLOGY.topics if may_read(as_(principal), group, t)}
    assert allowed == {t.name for t in TOPOLOGY.topics if principal in t.readers}


def test_whoever_may_not_ask_is_not_kept_waiting(as_: As) -> None:
    """How far one is in a topic is for its readers, and asking again would not change it."""
    place, began = (TOPOLOGY.upstream[0].name, 0), time.monotonic()
    with (
        closing(reader(as_(AGENT), TOPOLOGY.group(AGENT))) as agent,
        pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"),
    ):
        committed(agent, [place], PATIENCE_S)
    assert time.monotonic() - began < PATIENCE_S / 2


def test_a_group_is_for_its_own_principal(as_: As) -> None:
    """Nobody commits for another and makes it skip events."""
    topic = TOPOLOGY.published(Family.JOB, CORE.name)
    own = TOPOLOGY.group(INTAKE)
    assert may_join(as_(INTAKE), own, topic)
    assert may_join(as_(INTAKE), f"{own}.recovery", topic)
    for foreign in (f"{own}-2", TOPOLOGY.group(ENGINE), "intake"):
        assert not may_join(as_(INTAKE), foreign, topic)


def test_the_engine_alone_writes_the_ledger_and_readers_read_it(
    secured: tuple[Path, Layout], as_: As
) -> None:
    """The whole carrier works under its grants; whoever else takes the lock is refused."""
    topology = declare([CORE], prefix="engine.", partitions=1)
    assert Admin(connection(*secured)).apply(topology).done
    with KafkaLedger(as_(ENGINE), topology) as ledger:
        lease = ledger.acquire("a")
        assert ledger.append(lease, 0, batch(0)) == SIZE
        with KafkaLedger(as_(INTAKE), topology) as thief, pytest.raises(LedgerBusyError):
            thief.acquire("thief")
        assert ledger.append(lease, SIZE, batch(1)) == 2 * SIZE
    with KafkaReader(as_(ARCHIVER), topology, ARCHIVER) as archiver:
        assert list(scan(archiver)) == records(0) + records(1)
    with KafkaReader(as_(AGENT), topology, AGENT) as agent, pytest.raises(LedgerStorageError):
        agent.head()


def test_the_operator_sees_who_is_how_far(secured: tuple[Path, Layout], tmp_path: Path) -> None:
    """`lag` asks as who may see upstream's topics, intake's group and snapshots all at once."""
    home, _ = secured
    domains = tmp_path / "domains.toml"
    domains.write_text(f"[domains.{CORE.name}]\n")
    where = Where(broker=home, domains=domains, prefix="lag.")
    topology = declare([CORE], prefix="lag.", partitions=1)
    assert Admin(connection(*secured)).apply(topology).done
    with KafkaLedger(connection(*secured, ENGINE), topology) as ledger:
        ledger.append(ledger.acquire("a"), 0, batch(0))
    with closing(KafkaHerald(connection(*secured, ENGINE), topology, "a")) as herald:
        herald.announce(SIZE - 1, b"digest")
    assert write(connection(*secured, INTAKE), topology.accepted) is None
    rows = {(row[0], row[1]): row[3:] for row in lag_grid(where, tmp_path).rows}
    assert rows["engine", topology.accepted.name] == (0, 1, 1)
    assert rows["archiver", "ledger records"] == (0, SIZE, SIZE)
    assert rows["snapshots", "ledger records"] == (SIZE - 1, SIZE, 1)
    assert {what for who, what in rows if who == INTAKE} == {t.name for t in topology.upstream}


def test_slurm_is_read_by_its_domain_and_refused_by_intake(
    secured: tuple[Path, Layout], as_: As
) -> None:
    """Who publishes for Slurm may not say what was refused; what it could not say is carried again.

    The grant to read Slurm's own topic is the operator's.
    """
    slurm = Topic("slurm.jobs", Key.NONE, (), (BATCH.principal,))
    operator = Admin(connection(*secured))
    assert operator.apply(structs.replace(TOPOLOGY, upstream=(*TOPOLOGY.upstream, slurm))).done
    assert write(connection(*secured), slurm) is None
    own, intake = as_(BATCH.principal), as_(INTAKE)
    alone = SlurmHost(SlurmEnds(own, own, TOPOLOGY, BATCH.name, slurm.name))
    with pytest.raises(UndeliveredError, match="uthoriz"):
        alone.run(lambda: False)
    with closing(SlurmHost(SlurmEnds(own, intake, TOPOLOGY, BATCH.name, slurm.name))) as host:
        deadline = time.monotonic() + PATIENCE_S
        while not host.step():
            assert time.monotonic() < deadline
    assert host.refused == 1


def test_who_brings_no_good_certificate_is_refused(as_: As, tmp_path: Path) -> None:
    """Neither plaintext nor a certificate of another authority gets any answer."""
    good = as_(READER)
    assert brokers(good, timeout_s=PATIENCE_S)
    make_certificates(tmp_path, [READER])
    foreign = Security(str(certificates(tmp_path, READER)))
    for wrong in (None, foreign):
        with pytest.raises(BrokerUnavailableError):
            brokers(Connection(good.bootstrap, wrong), timeout_s=2)


def test_a_grant_that_nobody_declared_is_told(secured: tuple[Path, Layout]) -> None:
    """More than was meant is work for a human; the plan names who may do what to which topic."""
    admin = Admin(connection(*secured))
    narrower = declare([CORE], prefix="secured.", partitions=2)
    steps = [step for step in admin.plan(narrower).steps if step.topic.startswith("secured.job")]
    assert {(s.topic, s.found) for s in steps if s.found != "not declared"} == {
        ("secured.job.events.batch", "write for upstream.batch"),
        ("secured.job.events.batch", "describe for upstream.batch"),
        ("secured.job.events.batch", "read for intake"),
        ("secured.job.events.batch", "describe for intake"),
    }
    assert admin.plan(narrower).by_hand


def test_the_lock_and_the_topics_are_granted_by_name() -> None:
    """No grant reaches beyond the topics and the lock of its own declaration."""
    given = grants(TOPOLOGY)
    names = {topic.name for topic in TOPOLOGY.topics}
    assert {g.name for g in given if g.resource is Resource.TOPIC} == names
    locks = {g for g in given if g.resource is Resource.LOCK}
    assert {(g.principal, g.name) for g in locks} == {(ENGINE, TOPOLOGY.lock)}
    assert all(not g.prefixed or g.name.endswith(".") for g in given)
    assert Grant(INTAKE, Resource.TOPIC, TOPOLOGY.accepted.name, Right.WRITE) in given
