# SPDX-License-Identifier: Apache-2.0
"""Intake is killed at random instants: what upstream was promised is there, once in effect."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from schemas.catalogue import Family
from schemas.ids import JobId
from schemas.jobs import JobStarted
from schemas.reasons import Rejection
from streams.intake.worker import SESSION_S
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.topics import Topology, declare
from tests.eventually import eventually
from tests.intake.crew import supervised
from tests.intake.host_process import HOSTS, running
from tests.intake.partition import START_MS, beat, served
from tests.intake.test_hosts import headers
from tests.intake.upstream import (
    DOMAIN,
    PATIENCE_S,
    Upstream,
    accepted_events,
    committed,
    publish_all,
    rejected,
    told,
)

pytestmark = pytest.mark.long  # whole processes die here, on their own time

GATEWAYS = 5
POISON_EVERY = 50
ROUNDS, INSTALLATIONS = 50, 5
COUNTED = 100


class Load:
    """What upstream publishes as time goes on, and what must have come of it in the end."""

    def __init__(self, connection: Connection, topology: Topology) -> None:
        """Publish nothing yet."""
        self._upstream = Upstream(connection, topology)
        self._connection, self._topology = connection, topology
        self._topic = topology.published(Family.JOB, DOMAIN).name
        self.served = self.reports = self.poison = 0

    def publish(self, count: int) -> None:
        """Publish requests of an old minute, beats, reports and poison; all is acknowledged."""
        old_ms = time.time_ns() // 1_000_000 - START_MS - 90_000
        for _ in range(count):
            self.reports += 1
            name = f"gw-{self.reports % GATEWAYS}"
            self._upstream.publish(served(self.reports, old_ms, gateway=name))
            self._upstream.publish(beat(f"n-{self.reports % 9}", self.reports))
            self._upstream.publish(JobStarted(JobId(f"acme/j-{self.reports % 7}@1"), self.reports))
            if self.reports % POISON_EVERY == 0:
                self.poison += 1
                broken = str(self.poison).encode() + b"\xff"
                self._upstream.put(self._topic, broken, headers())
        self._upstream.flush()

    def missing(self) -> dict[str, object]:
        """Return what is not there once in effect, by kind."""
        events = accepted_events(self._connection, self._topology)
        attempts = {e.attempt for e in events if isinstance(e, JobStarted)}
        refused = {r.published.payload for r in rejected(self._connection, self._topology)}
        found = {
            "reports": len(set(range(1, self.reports + 1)) - attempts),
            "requests": self.reports - told(self._connection, self._topology),
            "poison": self.poison - len(refused),
        }
        return {kind: count for kind, count in found.items() if count}


def killed(host: str, connection: Connection, *, seed: int, rounds: int) -> None:
    """Kill a worker again and again while upstream publishes; then let one go on to the end."""
    print(f"{host}, seed {seed}, {rounds} rounds")  # noqa: T201  # to be found again
    random = Random(seed)  # noqa: S311  # a test's, seeded
    topology = declare(prefix=f"{uuid.uuid4().hex}.", partitions=2)
    assert Admin(connection).apply(topology).done
    load = Load(connection, topology)
    for _ in range(rounds):
        with running(host, connection, topology):
            dies_at = time.monotonic() + random.uniform(SESSION_S / 2, 2 * SESSION_S)
            while time.monotonic() < dies_at:
                load.publish(random.randrange(1, 50))
                time.sleep(random.uniform(0, 0.5))
    deadline = time.monotonic() + 2 * PATIENCE_S
    with supervised(host, connection, topology):
        while missing := load.missing():
            assert time.monotonic() < deadline, f"seed {seed}: {missing} of {load.reports}"
            time.sleep(2)
    time.sleep(0.5)
    assert load.missing() == {}
    kinds = {r.rejection for r in rejected(connection, topology)}
    assert kinds == {Rejection.MALFORMED.value}


@pytest.mark.soak
@pytest.mark.long
@pytest.mark.parametrize("host", HOSTS)
def test_a_killed_worker_loses_nothing_and_counts_nothing_twice(
    host: str, broker: Connection
) -> None:
    """Fifty kills of each host at random instants: in start-up, under way and at a checkpoint.

    A killed worker's partitions stay with it for a session, so its successor has to wait, and a
    round takes 12 s on average. Five installations on one broker, killed by turns of their own, get
    both hosts through a hundred of them in about six minutes.
    """
    with ThreadPoolExecutor(INSTALLATIONS) as pool:
        running_ones = [
            pool.submit(killed, host, broker, seed=seed, rounds=ROUNDS // INSTALLATIONS)
            for seed in range(INSTALLATIONS)
        ]
    for one in running_ones:
        one.result()


@pytest.mark.parametrize("host", HOSTS)
def test_a_successor_to_whom_nothing_comes_tells_what_its_predecessor_counted(
    host: str, broker: Connection, topics: Topology
) -> None:
    """All is counted and committed, and not yet told: nothing that comes would remind anybody."""
    ago_ms = time.time_ns() // 1_000_000 - START_MS - 150_000
    publish_all(
        Upstream(broker, topics), [served(number, ago_ms) for number in range(1, COUNTED + 1)]
    )
    with running(host, broker, topics, "timeless"):
        eventually(lambda: committed(broker, topics, Family.SERVING) == COUNTED, "all is counted")
    assert told(broker, topics) < COUNTED
    with supervised(host, broker, topics):
        eventually(lambda: told(broker, topics) == COUNTED, "all is told")


def test_a_worker_killed_once_loses_nothing(broker: Connection) -> None:
    """The short run of the same, for every change."""
    killed("batched", broker, seed=1, rounds=1)
