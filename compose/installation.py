# SPDX-License-Identifier: Apache-2.0
"""Which installation on a broker a command is about: where the broker is, and what is declared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from compose.broker.commands import BROKER_HOME
from compose.broker.layout import connection, existing
from streams.kafka.connection import Connection, Security
from streams.kafka.domains import trusted
from streams.kafka.plan import FoundTopic
from streams.kafka.topics import Topology, declare


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Where:
    """The options that name an installation."""

    bootstrap: Annotated[
        str,
        Parameter(help="the broker's addresses; that of `broker up` without", show_default=False),
    ] = ""
    broker: Annotated[
        Path | None,
        Parameter(help="the folder of the broker of `broker up`", show_default=str(BROKER_HOME)),
    ] = None
    certificates: Annotated[
        Path | None, Parameter(help="the folder with this process's certificate, with --bootstrap")
    ] = None
    domains: Annotated[
        Path | None, Parameter(help="TOML with the trust domains; one domain, main, without")
    ] = None
    prefix: Annotated[
        str,
        Parameter(
            help="what all names begin with, where installations share a broker",
            show_default=False,
        ),
    ] = ""

    @property
    def named(self) -> bool:
        """Whether any option says that a command is about a broker at all."""
        return self != Where()

    @property
    def broker_folder(self) -> Path:
        """The folder of the broker of `broker up`; who names the usual one does name it."""
        return BROKER_HOME if self.broker is None else self.broker

    def connection(self, principal: str) -> Connection:
        """Return how a principal gets to the broker. Raises `NoBrokerError` where there is none."""
        if not self.bootstrap:
            return connection(self.broker_folder, existing(self.broker_folder), principal)
        security = None if self.certificates is None else Security(str(self.certificates))
        return Connection(self.bootstrap, security)

    def topology(self, replication: int = 1) -> Topology:
        """Return what is declared; who only uses the topics need not know their replication."""
        return declare(trusted(self.domains), prefix=self.prefix, replication=replication)

    def topology_as_found(self, found: Sequence[FoundTopic]) -> Topology:
        """Return what is declared, in the replication that the ledger has on a broker; 1 before."""
        name = self.topology().ledger.name
        return self.topology(next((t.replication for t in found if t.name == name), 1))


HERE = Where()
"""The broker of this machine, as `broker up` makes it."""
