# SPDX-License-Identifier: Apache-2.0
"""What the compose files tell their brokers, a real broker is told here, and does what it should.

No container engine is needed: the image turns each variable KAFKA_A_B into the property a.b, and so
do we; hosts, ports and folders become this machine's.
"""

import re
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from compose.broker.certificates import make_certificates, principals
from compose.broker.jars import jars, java
from compose.broker.layout import OPERATOR, certificates
from schemas.errors import WorldError
from schemas.ledger import Batch
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection, Security, wait_for_brokers
from streams.kafka.ledger import KafkaLedger
from streams.kafka.topics import ENGINE, declare
from tests.kafka.conftest import free_ports

pytestmark = pytest.mark.usefixtures("broker")  # where none can run, it says why and skips

FOLDER = Path(__file__).resolve().parents[2] / "compose" / "broker"
PATIENCE_S = 90
NOT_PROPERTIES = {"KAFKA_HEAP_OPTS"}
PLACE = re.compile(r"(?P<host>[\w.-]*):(?P<port>\d{4,5})\b")

Service = Mapping[str, Any]


def services(*names: str) -> dict[str, Service]:
    """What files say together: as an engine does it, where they say different things of one."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        told = yaml.safe_load((FOLDER / f"{name}.compose.yaml").read_text())
        for service, said in told["services"].items():
            before = found.get(service, {})
            both = {
                part: {**before.get(part, {}), **said.get(part, {})}
                for part in ("environment", "healthcheck")
            }
            found[service] = {**before, **said, **both}
    return dict(found)


class Here:
    """This machine's ports and folders for those of the containers."""

    def __init__(self, told: Mapping[str, Service], folder: Path) -> None:
        """Take a free port for each that any service listens on."""
        self._folder = folder
        listened = [
            (name, port)
            for name, service in told.items()
            for port in re.findall(r":(\d+)", service["environment"]["KAFKA_LISTENERS"])
        ]
        self._ports = dict(zip(listened, free_ports(len(listened)), strict=True))
        self._published = {
            published: (name, inside)
            for name, service in told.items()
            for _, published, inside in (text.split(":") for text in service.get("ports", ()))
        }

    def _data(self, service: str) -> Path:
        return self._folder / service / "data"

    def properties(self, service: str, environment: Mapping[str, object]) -> dict[str, str]:
        """Return what a service's broker is told."""
        return {
            name.removeprefix("KAFKA_").lower().replace("_", "."): self._value(service, str(value))
            for name, value in environment.items()
            if name.startswith("KAFKA_") and name not in NOT_PROPERTIES
        }

    def _value(self, service: str, value: str) -> str:
        value = value.replace("$$", "$").replace(
            "/etc/kafka/secrets", str(self._folder / "tls" / "broker")
        )
        value = value.replace("/var/lib/kafka/data", str(self._data(service)))
        return PLACE.sub(lambda at: self._place(service, at["host"], at["port"]), value)

    def _place(self, service: str, host: str, port: str) -> str:
        inside = (service if host in {"", "localhost"} else host, port)
        return f"127.0.0.1:{self._ports[self._published[port] if host == '127.0.0.1' else inside]}"

    def bootstrap(self) -> str:
        """Return where the published ports are here."""
        return ",".join(f"127.0.0.1:{self._ports[at]}" for at in self._published.values())


@contextmanager
def running(told: Mapping[str, Service], folder: Path) -> Generator[Here]:
    """All services, as processes of this machine."""
    here = Here(told, folder)
    command = (java(), "-Xmx256m", "-XX:+UseSerialGC", "-cp", f"{jars()}/*")
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for name, service in told.items():
            environment = service["environment"]
            file = folder / name / "server.properties"
            file.parent.mkdir(parents=True)
            lines = here.properties(name, environment).items()
            file.write_text("".join(f"{key}={value}\n" for key, value in lines))
            tool = (*command, "kafka.tools.StorageTool", "format", "-c", str(file), "-t")
            subprocess.run([*tool, environment["CLUSTER_ID"]], check=True, capture_output=True)
            with (folder / name / "log").open("wb") as log:
                program = (*command, "kafka.Kafka", str(file))
                processes.append(subprocess.Popen(program, stdout=log, stderr=log))
        yield here
    finally:
        for process in processes:
            process.kill()
            process.wait()


def hold_to_a_ledger(operator: Connection, engine: Connection, nodes: int) -> None:
    """Topics can be declared there as the project wants them, and a ledger be written."""
    wait_for_brokers(operator, nodes, PATIENCE_S)
    topology = declare(replication=nodes)
    assert Admin(operator).apply(topology).done
    with KafkaLedger(engine, topology) as ledger:
        assert ledger.append(ledger.acquire("test"), 0, Batch([b"a", b"b"])) == 2
        assert list(ledger.read(0, 10)) == [b"a", b"b"]


@pytest.mark.parametrize("names", [("laptop",), ("laptop", "secured"), ("production",)])
def test_a_health_check_takes_little_of_the_machine(names: Sequence[str]) -> None:
    """A tool of Kafka's is a JVM, and would take the node's own heap; so it has one of its own."""
    for service in services(*names).values():
        check = service["healthcheck"]
        if any("/opt/kafka/" in word for word in check["test"]):
            assert check["test"][:3] == ["CMD", "env", "KAFKA_HEAP_OPTS=-Xmx96m"]
            assert int(check["interval"].removesuffix("s")) >= 15


def test_the_laptops_file_makes_a_broker(tmp_path: Path) -> None:
    """One node that the project's topics and ledger can be on."""
    with running(services("laptop"), tmp_path) as here:
        at = Connection(here.bootstrap())
        hold_to_a_ledger(at, at, 1)


def test_the_secured_file_asks_everybody_for_a_certificate(tmp_path: Path) -> None:
    """Who has none gets no answer; each principal may do what is granted to it."""
    make_certificates(tmp_path, principals(()))
    with running(services("laptop", "secured"), tmp_path) as here:
        operator, engine, reader = (
            Connection(here.bootstrap(), Security(str(certificates(tmp_path, principal))))
            for principal in (OPERATOR, ENGINE, "reader")
        )
        hold_to_a_ledger(operator, engine, 1)
        with pytest.raises(WorldError):
            wait_for_brokers(Connection(here.bootstrap()), 1, 3)
        with KafkaLedger(reader, declare()) as ledger, pytest.raises(WorldError):
            ledger.acquire("an intruder")


@pytest.mark.long
def test_the_production_file_makes_three_controllers_and_three_brokers(tmp_path: Path) -> None:
    """With three copies of every record, which two must have."""
    with running(services("production"), tmp_path) as here:
        at = Connection(here.bootstrap())
        hold_to_a_ledger(at, at, 3)
