# SPDX-License-Identifier: Apache-2.0
"""A real broker for the tests, started by the project itself: one for all workers of a run.

Where CI is true it runs or the build fails; elsewhere its tests are skipped with what is missing.
Each test has topics of its own, under a prefix that no other test has.
"""

import fcntl
import os
import socket
import uuid
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from compose.broker.certificates import make_certificates
from compose.broker.jars import NoJarsError, NoJavaError
from compose.broker.layout import HOST, Layout, Node, connection, existing, layout_of, save, saved
from compose.broker.nodes import start, stop
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.topics import Topology, declare

ONE_TRY = "try `singlepool broker up`, which says what is missing"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    listeners = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def new_broker(home: Path, count: int = 1, secured_for: Sequence[str] = ()) -> Layout:
    """Start a broker of its own in a folder, or skip the test where that cannot be.

    With principals it is secured, and each has its certificate.
    """
    ports = free_ports(2 * count)
    nodes = tuple(Node(n + 1, ports[2 * n], ports[2 * n + 1]) for n in range(count))
    layout = layout_of(nodes, tls=bool(secured_for))
    make_certificates(home, secured_for)
    save(layout, home)
    try:
        start(home, layout)
    except (NoJavaError, NoJarsError) as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no real broker here: {error}; {ONE_TRY}")
    return layout


@contextmanager
def own_broker(home: Path, count: int = 1, secured_for: Sequence[str] = ()) -> Generator[Layout]:
    """The same for as long as this lasts, whatever becomes of its nodes meanwhile."""
    layout = new_broker(home, count, secured_for)
    try:
        yield layout
    finally:
        stop(home, layout.nodes)


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold a file for this process alone."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def used(home: Path) -> bool:
    """Whether a process that uses a shared broker lives."""
    return any(alive(int(user.stem)) for user in (home / "users").iterdir())


def stop_orphans(runs: Path) -> None:
    """Stop the shared brokers of runs that were killed and could not do it themselves."""
    for users in runs.glob("*/broker/users"):
        home = users.parent
        layout = saved(home)
        if layout is not None and not used(home):
            stop(home, layout.nodes)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Generator[Connection]:
    """The run's broker: the first who asks starts it, the last one that lives stops it."""
    base = tmp_path_factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    stop_orphans(run.parent)
    home = run / "broker"
    users = home / "users"
    users.mkdir(parents=True, exist_ok=True)
    mine = users / f"{os.getpid()}.{uuid.uuid4().hex}"  # other folders' tests have it too
    with locked(home / "lock"):
        shared = any(users.iterdir())
        mine.touch()
        layout = existing(home) if shared else new_broker(home)
    yield connection(home, layout)
    with locked(home / "lock"):
        mine.unlink()
        if not used(home):
            stop(home, layout.nodes)


@pytest.fixture
def topology() -> Topology:
    """A declaration of topics that no other test has."""
    return declare(prefix=f"{uuid.uuid4().hex}.", partitions=2)


@pytest.fixture
def topics(broker: Connection, topology: Topology) -> Topology:
    """The same, on the broker."""
    left = Admin(broker).apply(topology)
    assert left.done
    return topology
