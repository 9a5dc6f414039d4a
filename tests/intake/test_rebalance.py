# SPDX-License-Identifier: Apache-2.0
"""Workers of intake join and leave while events come: each counts once, and nobody stalls."""

import time
import uuid
from random import Random

import pytest

from streams.intake.faust_host import STALL_S
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.topics import declare
from tests.intake.crew import Crew
from tests.intake.host_process import HOSTS, running
from tests.intake.test_crashes import Load

pytestmark = pytest.mark.long  # whole processes die here, on their own time

WORKERS = 3
START_S = 5.0
"""How long a worker has to join before the next one comes or goes."""

MOST_AT_ONCE = 40
STANDSTILL_S = 3 * STALL_S
"""How long the last event may take, be it that Faust first has to be caught standing still."""


def rebalanced(host: str, connection: Connection, *, seed: int, changes: int) -> None:
    """Let three workers come, and then one go and one come, again and again, under load."""
    topology = declare(prefix=f"{uuid.uuid4().hex}.", partitions=WORKERS)
    assert Admin(connection).apply(topology).done
    random = Random(seed)  # noqa: S311  # a test's, seeded
    load = Load(connection, topology)
    with Crew(lambda: running(host, connection, topology)) as crew:
        for change in range(WORKERS + changes):
            if change >= WORKERS:
                crew.leave(random.randrange(WORKERS))
            crew.join()
            ends_at = time.monotonic() + random.uniform(START_S, 2 * START_S)
            while time.monotonic() < ends_at:
                load.publish(random.randrange(1, MOST_AT_ONCE))
                crew.look()
                time.sleep(random.uniform(0, 0.5))
        deadline = time.monotonic() + STANDSTILL_S
        while missing := load.missing():
            assert time.monotonic() < deadline, f"seed {seed}: {missing} of {load.reports}"
            crew.look()
            time.sleep(1)
        print(  # noqa: T201  # what a long run is to say
            f"{host}, seed {seed}: {load.reports} reports, {crew.replaced} workers replaced"
        )
    assert load.missing() == {}


@pytest.mark.long
@pytest.mark.parametrize("host", HOSTS)
def test_workers_join_and_leave(host: str, broker: Connection) -> None:
    """Three workers, one replaced six times: all is accepted once in effect, nothing twice."""
    rebalanced(host, broker, seed=len(host), changes=6)


def test_workers_join_and_one_leaves(broker: Connection) -> None:
    """The short run of the same, for every change."""
    rebalanced("batched", broker, seed=3, changes=1)
