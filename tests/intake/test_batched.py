# SPDX-License-Identifier: Apache-2.0
"""The batched host on a real broker: what is delivered before what is committed, and by whom."""

import time
from random import Random
from threading import Event, Thread

import pytest
from confluent_kafka import Producer
from msgspec import structs

from schemas.catalogue import Family
from schemas.ids import JobId
from schemas.jobs import JobStarted
from schemas.reasons import Rejection
from schemas.records import Origin, Published
from schemas.serving import RequestProfileObserved
from streams.intake import Refused
from streams.intake.batched import BatchedIntake
from streams.intake.cells import Cell, cell_of, encode_cell
from streams.intake.fold_rules import FOLD
from streams.intake.outbox import Outbox, UndeliveredError, storable
from streams.intake.worker import cell_key
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.topics import KEPT_BYTES, Topology
from tests.eventually import eventually
from tests.intake.partition import START_MS, beat, merged, served
from tests.intake.upstream import (
    DOMAIN,
    PATIENCE_S,
    Upstream,
    accepted_events,
    committed,
    publish_all,
    read_all,
)

SHORT_S = 1.5
"""Half of what it took when each partition's end was asked for behind a fetch."""

EACH = 40


def started(first: int, last: int) -> list[JobStarted]:
    return [JobStarted(JobId(f"acme/job-{n % 50}@1"), n) for n in range(first, last + 1)]


def attempts(connection: Connection, topology: Topology) -> list[int]:
    found = accepted_events(connection, topology)
    return sorted(e.attempt for e in found if isinstance(e, JobStarted))


def requests(connection: Connection, topology: Topology) -> int:
    found = accepted_events(connection, topology)
    profiles = [e.profile for e in found if isinstance(e, RequestProfileObserved)]
    return sum(p.requests for p in merged(profiles).values())


def work(intake: BatchedIntake, most: int) -> None:
    """Let a worker take in so many records and end in good order."""
    intake.run(lambda: intake.taken >= most)


def old_ms() -> int:
    """A moment whose window is closed and takes requests still."""
    return time.time_ns() // 1_000_000 - START_MS - 90_000


def test_a_restart_goes_on_behind_what_was_committed(broker: Connection, topics: Topology) -> None:
    """Each event comes through once where every worker ends in good order."""
    upstream = Upstream(broker, topics)
    for first in (1, 501):
        publish_all(upstream, started(first, first + 499))
        work(BatchedIntake(broker, topics), 500)
    assert attempts(broker, topics) == list(range(1, 1_001))


def test_who_publishes_now_and_then_is_not_kept_waiting(
    broker: Connection, topics: Topology
) -> None:
    """Asking where all partitions end takes no time from what comes, however often it is done."""
    upstream, over = Upstream(broker, topics), Event()
    intake = BatchedIntake(broker, topics, fold=structs.replace(FOLD, sweep_ms=500))
    running = Thread(target=intake.run, args=(over.is_set,))
    running.start()
    waits_s: list[float] = []
    for n in range(1, 9):
        publish_all(upstream, started(n, n))
        since = time.monotonic()
        while intake.taken < n:
            assert time.monotonic() < since + PATIENCE_S
            time.sleep(0.01)
        waits_s.append(time.monotonic() - since)
        time.sleep(0.6)  # a sweep comes between
    over.set()
    running.join()
    assert sorted(waits_s)[len(waits_s) // 2] < SHORT_S, waits_s


def test_what_is_not_delivered_is_not_committed(
    broker: Connection, topics: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose outputs fail ends with an error, and the next one reads all of it again."""
    publish_all(Upstream(broker, topics), started(1, 100))
    with monkeypatch.context() as broken:
        broken.setattr(Outbox, "send", failing)
        intake = BatchedIntake(broker, topics)
        with pytest.raises(UndeliveredError, match="MSG_SIZE_TOO_LARGE"):
            intake.run(lambda: intake.taken >= 100)
    assert attempts(broker, topics) == []
    again = BatchedIntake(broker, topics)
    again.run(lambda: again.taken >= 100)
    assert attempts(broker, topics) == list(range(1, 101))


def failing(outbox: Outbox, _: object, __: int) -> None:
    """Send what the broker cannot take: more than the topic's limit."""
    outbox.keep(b"x", Random(1).randbytes(KEPT_BYTES - 1_000), 0)  # noqa: S311  # noise


@pytest.mark.long
def test_two_workers_share_and_take_over(broker: Connection, topics: Topology) -> None:
    """Partitions move while events come; each has its effect once, none is missed."""
    upstream = Upstream(broker, topics)
    old = old_ms()
    first = BatchedIntake(broker, topics)
    count, workers = 0, [first]
    deadline = time.monotonic() + 90
    while len(workers) == 1 or not all(worker.taken > 200 for worker in workers):
        assert time.monotonic() < deadline
        count += 20
        publish_all(upstream, started(count - 19, count))
        publish_all(upstream, (served(n, old) for n in range(count - 19, count + 1)))
        for worker in workers:
            worker.step()
        if count == 200:
            workers.append(BatchedIntake(broker, topics))
    workers[1].checkpoint()
    workers[1].close()
    while first.step(2_000) or not set(range(1, count + 1)) <= set(attempts(broker, topics)):
        assert time.monotonic() < deadline
    end = time.monotonic() + 8  # for the last sweep
    first.run(lambda: time.monotonic() > end)
    assert requests(broker, topics) == count


@pytest.mark.long
def test_a_partition_is_given_back_where_its_worker_was(
    broker: Connection, topics: Topology
) -> None:
    """Who owns it next reads none of it again, though its worker made no checkpoint before."""
    upstream, old = Upstream(broker, topics), old_ms()
    publish_all(upstream, started(1, EACH))
    publish_all(upstream, (served(n, old, gateway=f"gw-{n}") for n in range(1, EACH + 1)))
    publish_all(upstream, (beat(f"n-{n}", n) for n in range(1, EACH + 1)))
    first = BatchedIntake(broker, topics)
    eventually(lambda: [first.step(), first.taken][1] == 3 * EACH, "it has taken all")
    families = (Family.JOB, Family.SERVING, Family.FLEET)
    assert [committed(broker, topics, family) for family in families] == [0, 0, 0]
    second = BatchedIntake(broker, topics)
    eventually(lambda: [first.step(), second.step(), second.ready][2], "the second owns some")
    for _ in range(10):
        second.step()
    assert second.taken == 0
    assert sum(committed(broker, topics, family) for family in families) >= EACH / 2
    for worker in (first, second):
        worker.close()


@pytest.mark.long
def test_a_stale_cell_does_not_win(broker: Connection, topics: Topology) -> None:
    """What a worker that was taken for dead still writes is older, though it comes last."""
    upstream = Upstream(broker, topics)
    old = old_ms()
    publish_all(upstream, (served(n, old) for n in range(1, 11)))
    intake = BatchedIntake(broker, topics)
    intake.run(lambda: intake.taken >= 10)
    stale = encode_cell(Cell(included=1))
    zombie = Producer(broker.settings())
    topic = topics.published(Family.SERVING, DOMAIN).name
    written = {message.partition() or 0 for message in read_all(broker, topic)}
    for partition in written:
        key = cell_key((topic, partition), cell_of("gw-1"))
        zombie.produce(topics.cells.name, stale, key, partition)
    assert zombie.flush(30) == 0
    assert len(read_all(broker, topics.cells.name)) > len(written)
    publish_all(upstream, (served(n, old) for n in range(11, 21)))
    again = BatchedIntake(broker, topics)
    end = time.monotonic() + 12  # for the rebalance and a sweep
    again.run(lambda: again.taken >= 10 and time.monotonic() > end)
    assert requests(broker, topics) == 20


def test_a_refusal_too_large_to_keep_says_where_it_lies() -> None:
    """It never stops intake: its topic takes what is left, and the rule says what is not there."""
    origin = Origin("e-1", "x" * 40_000)
    whole = Refused(
        Published("t", b"\x00" * KEPT_BYTES, origin),
        Rejection.TOO_LARGE,
        "payload",
        "many bytes",
        "must be less",
        "job.events.main",
    )
    kept = storable(whole)
    assert kept.published.payload == b""
    assert len(kept.published.origin.ce_source) == 1_024
    assert "job.events.main" in kept.rule
    small = structs.replace(whole, published=Published("t", b"x", origin))
    assert storable(small) is small


def test_the_declared_topics_are_all_that_is_needed(broker: Connection, topics: Topology) -> None:
    """Nothing is created on the way."""
    before = {topic.name for topic in Admin(broker).found()}
    publish_all(Upstream(broker, topics), started(1, 1))
    intake = BatchedIntake(broker, topics)
    intake.run(lambda: intake.taken >= 1)
    assert {topic.name for topic in Admin(broker).found()} >= before
    assert not {t.name for t in Admin(broker).found() if t.name.startswith(topics.prefix)} - before
