# SPDX-License-Identifier: Apache-2.0
"""Health, readiness and metrics over HTTP, on the loopback interface alone."""

from collections.abc import Generator
from http.client import HTTPConnection

import pytest

from streams.kafka.partition import PATIENCE_S
from streams.live.health import LOOPBACK, STALE_MS, HealthPort, HealthPortError, Status
from streams.live.metrics import Metrics
from streams.live.ports import Role
from tests.live.world import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def status(clock: FakeClock) -> Status:
    return Status(clock)


@pytest.fixture
def port(status: Status) -> Generator[int]:
    served = HealthPort(status, Metrics(), 0)
    yield served.port
    served.close()


def get(port: int, path: str) -> tuple[int, bytes]:
    """What a page answers."""
    asked = HTTPConnection(LOOPBACK, port, timeout=10)
    try:
        asked.request("GET", path)
        answer = asked.getresponse()
        return answer.status, answer.read()
    finally:
        asked.close()


def test_an_engine_is_ready_once_it_has_caught_up(port: int, status: Status) -> None:
    """It is alive before."""
    assert (get(port, "/healthz")[0], get(port, "/readyz")[0]) == (200, 503)
    status.touch(Role.STANDBY, ready=True, epoch=0, head=7)
    code, body = get(port, "/readyz")
    assert code == 200
    assert body == b'{"role":"standby","epoch":0,"head":7,"ready":true,"alive":true}'


def test_an_engine_that_hangs_is_neither(port: int, status: Status, clock: FakeClock) -> None:
    """A loop that was not heard of for long."""
    status.touch(Role.LEADER, ready=True, epoch=3, head=7)
    clock.rest(STALE_MS + 1)
    assert (get(port, "/healthz")[0], get(port, "/readyz")[0]) == (503, 503)


def test_who_waits_for_a_broker_is_not_called_dead(
    port: int, status: Status, clock: FakeClock
) -> None:
    """As long as a transaction may take until it is aborted, and one question more."""
    status.touch(Role.LEADER, ready=True, epoch=3, head=7)
    clock.rest(int((3 * PATIENCE_S + 5) * 1_000))
    assert get(port, "/healthz")[0] == 200


def test_metrics_are_there_to_scrape(port: int) -> None:
    """All families, before anything happened."""
    code, body = get(port, "/metrics")
    assert code == 200
    for name in ("cycle_seconds", "solver_gap_ratio", "epoch", "consumer_lag_events"):
        assert f"# TYPE singlepool_{name}".encode() in body


def test_other_pages_name_those_that_are(port: int) -> None:
    """A wrong path is answered, and with what there is."""
    assert get(port, "/") == (404, b"/healthz, /readyz, /metrics\n")


def test_a_port_that_is_taken_is_named(port: int, status: Status) -> None:
    """The message says which, and how to have one that is free."""
    with pytest.raises(HealthPortError, match=rf"port {port} .*--health-port, or 0"):
        HealthPort(status, Metrics(), port)
