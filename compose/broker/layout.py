# SPDX-License-Identifier: Apache-2.0
"""What nodes a broker has, where they listen, and what each is told: values, kept in its folder."""

import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import DecodeError, Struct, json

from schemas.errors import CallerError
from streams.kafka.connection import Connection, Security

HOST = "127.0.0.1"
"""Loopback alone: this broker is for one machine."""

OPERATOR = "operator"
"""The principal that may do everything: plan and apply topics, look after the broker."""

NODE = "broker"
"""The principal of the nodes themselves."""

TLS = "tls"
"""The folder of all certificates, below a broker's."""

_SESSION_MS, _HEARTBEAT_MS = 3_000, 500
_FILE = "cluster.json"


class NoBrokerError(CallerError):
    """There is no broker in the folder, or another one than was asked for."""


class Node(Struct, frozen=True):
    """One JVM, broker and controller in one."""

    number: int
    port: int
    controller_port: int


class Layout(Struct, frozen=True):
    """The nodes of one broker."""

    cluster: str
    nodes: tuple[Node, ...]
    tls: bool = False

    @property
    def bootstrap(self) -> str:
        """The addresses for clients."""
        return ",".join(f"{HOST}:{node.port}" for node in self.nodes)


def new_layout(count: int, port: int, *, tls: bool = False) -> Layout:
    """Return so many nodes, on the ports from `port` on: for clients, then for controllers."""
    nodes = tuple(Node(n + 1, port + n, port + count + n) for n in range(count))
    return layout_of(nodes, tls=tls)


def layout_of(nodes: tuple[Node, ...], *, tls: bool = False) -> Layout:
    """Return a layout of these nodes, with a new cluster's id."""
    return Layout(_new_cluster_id(), nodes, tls)


def _new_cluster_id() -> str:
    """Return a UUID as Kafka writes it; as with Kafka's own, none looks like an option."""
    while (made := urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


def save(layout: Layout, home: Path) -> None:
    """Keep a layout in a broker's folder."""
    home.mkdir(parents=True, exist_ok=True)
    (home / _FILE).write_bytes(json.encode(layout))


def saved(home: Path) -> Layout | None:
    """Return the layout that a folder keeps, or None where it keeps none."""
    with suppress(FileNotFoundError):
        try:
            return json.decode((home / _FILE).read_bytes(), type=Layout)
        except DecodeError as error:
            msg = f"{home / _FILE} is damaged ({error}); remove {home} to begin anew"
            raise NoBrokerError(msg) from error
    return None


def existing(home: Path) -> Layout:
    """Return the layout that a folder keeps. Raises `NoBrokerError`."""
    layout = saved(home)
    if layout is None:
        msg = f"{home} holds no broker; make one: singlepool broker up, or name one: --home"
        raise NoBrokerError(msg)
    return layout


def certificates(home: Path, principal: str) -> Path:
    """Return the folder of a principal's certificate and key."""
    return home / TLS / principal


def connection(home: Path, layout: Layout, principal: str = OPERATOR) -> Connection:
    """Return how a principal reaches the broker of a folder."""
    if not layout.tls:
        return Connection(layout.bootstrap)
    return Connection(layout.bootstrap, Security(str(certificates(home, principal).absolute())))


def properties(layout: Layout, node: Node, home: Path) -> Mapping[str, str]:
    """Return what a node is told, by Kafka's own names."""
    public = "SSL" if layout.tls else "PLAINTEXT"
    count = len(layout.nodes)
    replicas = {"replication.factor": str(count), "min.isr": str(max(1, count - 1))}
    listeners = f"{public}://{HOST}:{node.port}"
    told = {
        "process.roles": "broker,controller",
        "node.id": str(node.number),
        "listeners": f"{listeners},CONTROLLER://{HOST}:{node.controller_port}",
        "advertised.listeners": f"{listeners},CONTROLLER://{HOST}:{node.controller_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": public,
        "listener.security.protocol.map": f"{public}:{public},CONTROLLER:{public}",
        "log.dirs": str((home / f"node-{node.number}" / "data").absolute()),
        **{f"transaction.state.log.{name}": value for name, value in replicas.items()},
        **{f"share.coordinator.state.topic.{name}": value for name, value in replicas.items()},
        "offsets.topic.replication.factor": str(count),
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        "default.replication.factor": str(count),
        "min.insync.replicas": str(max(1, count - 1)),
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",
        # A killed node may come back once its old registration has lapsed: this long, not 9 s.
        "broker.session.timeout.ms": str(_SESSION_MS),
        "broker.heartbeat.interval.ms": str(_HEARTBEAT_MS),
    }
    return {**told, **_quorum(layout), **(_secured(home) if layout.tls else {})}


def _quorum(layout: Layout) -> Mapping[str, str]:
    """Return how controllers find each other; one alone forms a quorum by itself."""
    at = [f"{HOST}:{node.controller_port}" for node in layout.nodes]
    if len(at) == 1:
        return {"controller.quorum.bootstrap.servers": at[0]}
    voters = (f"{n.number}@{where}" for n, where in zip(layout.nodes, at, strict=True))
    return {"controller.quorum.voters": ",".join(voters)}


def _secured(home: Path) -> Mapping[str, str]:
    """Return mutual TLS everywhere, who may do everything, and that nobody else may anything."""
    own = certificates(home, NODE).absolute()
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(own / "keystore.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(own / "authority.pem"),
        "ssl.client.auth": "required",
        "ssl.principal.mapping.rules": "RULE:^.*CN=([^,]*).*$/$1/",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{NODE};User:{OPERATOR}",
    }
