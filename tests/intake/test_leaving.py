# SPDX-License-Identifier: Apache-2.0
"""A worker whose broker is gone ends when it is told to, and loses nothing by it."""

from pathlib import Path

import pytest

from compose.broker.layout import connection
from compose.broker.nodes import kill, start
from streams.intake.outbox import LEAVE_S
from streams.kafka.admin import Admin
from streams.kafka.topics import Topology
from tests.eventually import eventually
from tests.intake.crew import supervised
from tests.intake.host_process import HOSTS, running
from tests.intake.test_hosts import attempts, started
from tests.intake.upstream import Upstream, publish_all
from tests.kafka.conftest import own_broker

LONGEST_S = 5 * LEAVE_S
"""Twice for what was sent, once for the offsets, once to leave the group, once for the machine."""

EACH = 500


@pytest.mark.long
@pytest.mark.parametrize("host", HOSTS)
def test_a_worker_without_its_broker_ends_when_told(
    host: str, topology: Topology, tmp_path: Path
) -> None:
    """It ends in bounded time, and its successor brings every event to where it belongs."""
    with own_broker(tmp_path) as layout:
        there = connection(tmp_path, layout)
        assert Admin(there).apply(topology).done
        upstream = Upstream(there, topology)
        publish_all(upstream, map(started, range(1, EACH + 1)))
        with running(host, there, topology) as process:
            eventually(lambda: attempts(there, topology) != [], "it works")
            publish_all(upstream, map(started, range(EACH + 1, 2 * EACH + 1)))
            kill(tmp_path, layout.nodes[0])
            process.terminate()
            process.wait(LONGEST_S)
        start(tmp_path, layout)
        again = Upstream(there, topology)
        publish_all(again, map(started, range(2 * EACH + 1, 3 * EACH + 1)))
        with supervised(host, there, topology):
            wanted = list(range(1, 3 * EACH + 1))
            eventually(lambda: attempts(there, topology) == wanted, "every event is accepted")
