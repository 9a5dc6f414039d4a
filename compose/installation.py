# SPDX-License-Identifier: Apache-2.0
"""Which installation on a broker a command is about: where the broker is, and what is declared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from compose.broker.commands import BROKER_HOME
from compose.broker.layout import connection, existing
from streams.kafka.connection import Connection, Security
from streams.kafka.domains import trusted
from streams.kafka.topics import Topology, declare


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Where:
    """The options that name an installation."""

    bootstrap: Annotated[
        str,
        Parameter(help="the broker's addresses; that of `broker up` without", show_default=False),
    ] = ""
    broker: Annotated[Path, Parameter(help="the folder of the broker of `broker up`")] = BROKER_HOME
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

    def connection(self, principal: str) -> Connection:
        """Return how a principal gets to the broker. Raises `NoBrokerError` where there is none."""
        if not self.bootstrap:
            return connection(self.broker, existing(self.broker), principal)
        security = None if self.certificates is None else Security(str(self.certificates))
        return Connection(self.bootstrap, security)

    def topology(self, replication: int = 1) -> Topology:
        """Return what is declared; who only uses the topics need not know their replication."""
        return declare(trusted(self.domains), prefix=self.prefix, replication=replication)


HERE = Where()
"""The broker of this machine, as `broker up` makes it."""
