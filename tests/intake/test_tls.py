# SPDX-License-Identifier: Apache-2.0
"""Both hosts under mutual TLS, with intake's certificate and grants and no others."""

from collections.abc import Generator
from pathlib import Path

import pytest

from compose.broker.certificates import principals
from compose.broker.layout import Layout, connection
from schemas.catalogue import Family
from streams.intake.gaps import holds_records
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.topics import ANYBODY, INTAKE, Topology, declare
from tests.eventually import eventually
from tests.intake.crew import supervised
from tests.intake.host_process import HOSTS
from tests.intake.partition import beat
from tests.intake.test_hosts import attempts, headers, started
from tests.intake.upstream import DOMAIN, Upstream, publish_all, read_all, rejected
from tests.kafka.conftest import own_broker

JUNK = b"\x0a\xff"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Path, Layout]]:
    """A secured broker on which nobody may do anything yet."""
    home = tmp_path_factory.mktemp("secured")
    with own_broker(home, secured_for=principals([ANYBODY])) as layout:
        yield home, layout


@pytest.mark.long
@pytest.mark.parametrize("host", HOSTS)
def test_events_go_through_a_secured_broker(host: str, secured: tuple[Path, Layout]) -> None:
    """An event is accepted and a broken one refused; the next worker finds cells and offsets."""
    topology = declare(prefix=f"{host}.", partitions=2)
    operator, intake = connection(*secured), connection(*secured, INTAKE)
    assert Admin(operator).apply(topology).done
    topic = topology.published(Family.JOB, DOMAIN).name
    upstream = Upstream(connection(*secured, ANYBODY.principal), topology)
    for first in (1, 101):
        publish_all(upstream, map(started, range(first, first + 100)))
        upstream.publish(beat("n-1", first))  # for a cell to be kept
        upstream.put(topic, JUNK, headers())
        upstream.flush()
        with supervised(host, intake, topology):
            came_through(operator, topology, first + 99, refused=1 + first // 100)
        assert read_all(operator, topology.cells.name) != []
        # It may ask what is committed; a look that is not granted would call it a loss.
        assert not holds_records(intake, topology.group(INTAKE), (topic, 0), 0, 1)


def came_through(there: Connection, topology: Topology, last: int, *, refused: int) -> None:
    """Wait until all numbers up to the last are accepted, and so many events refused."""
    eventually(lambda: attempts(there, topology) == list(range(1, last + 1)), "all is accepted")
    eventually(lambda: len(rejected(there, topology)) == refused, "the broken one is refused")
