# SPDX-License-Identifier: Apache-2.0
"""Intake's broker is killed, its workers are paused: all is there, and counts once."""

import signal
import time
from pathlib import Path

import pytest

from compose.broker.layout import connection
from compose.broker.nodes import kill, start
from streams.intake.worker import SESSION_S
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.topics import Topology
from tests.intake.crew import Crew
from tests.intake.host_process import HOSTS, running
from tests.intake.test_crashes import Load
from tests.intake.test_rebalance import STANDSTILL_S
from tests.kafka.conftest import own_broker

pytestmark = pytest.mark.long  # whole processes rest and die here, on their own time


def flow(load: Load, crew: Crew, wanted_s: float) -> None:
    """Publish for so long, and have a successor for each worker that ends by itself."""
    ends_at = time.monotonic() + wanted_s
    while time.monotonic() < ends_at:
        load.publish(20)
        crew.look()
        time.sleep(0.2)


def settled(load: Load, crew: Crew) -> None:
    """Wait until all that was published is there, once in effect."""
    deadline = time.monotonic() + STANDSTILL_S
    while missing := load.missing():
        assert time.monotonic() < deadline, f"{missing} of {load.reports}"
        crew.look()
        time.sleep(1)


@pytest.mark.parametrize("host", HOSTS)
def test_a_broker_killed_and_started_again_loses_nothing(
    host: str, topology: Topology, tmp_path: Path
) -> None:
    """What upstream was promised before and after is accepted, and counted once in its profile."""
    with own_broker(tmp_path) as layout:
        there = connection(tmp_path, layout)
        assert Admin(there).apply(topology).done
        load = Load(there, topology)
        with Crew(lambda: running(host, there, topology)) as crew:
            crew.join()
            flow(load, crew, SESSION_S)
            kill(tmp_path, layout.nodes[0])
            time.sleep(3)
            start(tmp_path, layout)
            flow(load, crew, SESSION_S)
            settled(load, crew)
        assert load.missing() == {}


def test_a_paused_worker_that_goes_on_changes_nothing(broker: Connection, topics: Topology) -> None:
    """A second one has its partitions by then; what the first one left counts no second time."""
    load = Load(broker, topics)
    with Crew(lambda: running("batched", broker, topics)) as crew:
        crew.join()
        flow(load, crew, SESSION_S)
        load.publish(50)  # under way when it is paused
        (paused,) = crew.working
        paused.send_signal(signal.SIGSTOP)
        try:
            crew.join()
            flow(load, crew, 2 * SESSION_S)
            settled(load, crew)
        finally:
            paused.send_signal(signal.SIGCONT)
        flow(load, crew, SESSION_S)
        settled(load, crew)
    assert load.missing() == {}
