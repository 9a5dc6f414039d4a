# SPDX-License-Identifier: Apache-2.0
"""The commands that make a broker's topics what is declared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from analytics.tables import Grid, Output
from compose.answers import answer
from compose.arguments import Shown
from compose.exits import Exit
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection, Security
from streams.kafka.domains import trusted
from streams.kafka.plan import Plan
from streams.kafka.topics import Topology, declare

topics = App(name="topics", help="The topics that singlepool declares, on a broker.")


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Declared:
    """The options that say what is declared, and on which broker."""

    bootstrap: Annotated[str, Parameter(help="the broker's addresses")] = "127.0.0.1:9092"
    domains: Annotated[
        Path | None,
        Parameter(help="TOML with the trust domains; docs/kafka.md shows it. One, main, without"),
    ] = None
    prefix: Annotated[
        str,
        Parameter(
            help="what all names begin with, a dot at its end, where installations share a broker"
        ),
    ] = ""
    replication: Annotated[int, Parameter(help="how many brokers hold each record")] = 1
    certificates: Annotated[
        Path | None,
        Parameter(help="the folder with the operator's certificate, for a broker with --tls"),
    ] = None

    def topology(self) -> Topology:
        """Return what is declared."""
        return declare(trusted(self.domains), prefix=self.prefix, replication=self.replication)

    def admin(self) -> Admin:
        """Return who looks at the broker and changes it."""
        security = None if self.certificates is None else Security(str(self.certificates))
        return Admin(Connection(self.bootstrap, security))


_DEFAULT = Declared()


@topics.command(name="plan")
def plan(*, declared: Declared = _DEFAULT, output: Shown = Output.TABLE) -> int:
    """Show what stands between the declared topics and a broker; exit code 3 if anything does.

    Example: singlepool topics plan --domains domains.toml --replication 3
    """
    found = declared.admin().plan(declared.topology())
    _show(found, output, "to do")
    return Exit.DONE if found.done else Exit.DIVERGED


@topics.command(name="apply")
def apply(*, declared: Declared = _DEFAULT, output: Shown = Output.TABLE) -> int:
    """Make a broker's topics what is declared; deletes nothing. Exit code 3 if something is left.

    Example: singlepool topics apply --domains domains.toml --replication 3
    """
    left = declared.admin().apply(declared.topology())
    _show(left, output, "left to do")
    return Exit.DONE if left.done else Exit.DIVERGED


def _show(found: Plan, output: Output, title: str) -> None:
    rows = tuple((s.action, s.topic, s.setting, s.found, s.wanted) for s in found.steps)
    columns = ("action", "topic", "setting", "found", "wanted")
    answer(Grid(columns, rows, title), output)
