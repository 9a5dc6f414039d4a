# SPDX-License-Identifier: Apache-2.0
"""The commands that make a broker's topics what is declared."""

from pathlib import Path

from cyclopts import App

from analytics.tables import Grid, Output
from compose.answers import answer
from compose.arguments import Shown
from compose.exits import Exit
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection, Security
from streams.kafka.domains import read_domains
from streams.kafka.plan import Plan
from streams.kafka.topics import ANYBODY, Topology, declare

_BOOTSTRAP = "127.0.0.1:9092"

topics = App(name="topics", help="The topics that singlepool declares, on a broker.")


@topics.command(name="plan")
def plan(
    *,
    bootstrap: str = _BOOTSTRAP,
    domains: Path | None = None,
    prefix: str = "",
    replication: int = 1,
    certificates: Path | None = None,
    output: Shown = Output.TABLE,
) -> int:
    """Show what stands between the declared topics and a broker; exit code 3 if anything does.

    Example: singlepool topics plan --domains domains.toml --replication 3

    Parameters
    ----------
    bootstrap
        the broker's addresses.
    domains
        TOML with the trust domains; docs/kafka.md shows it. One domain, `main`, without.
    prefix
        what all names begin with, a dot at its end, where installations share a broker.
    replication
        how many brokers hold each record.
    certificates
        the folder with the operator's certificate, for a broker with --tls.
    """
    found = _admin(bootstrap, certificates).plan(_declared(domains, prefix, replication))
    _show(found, output, "to do")
    return Exit.DONE if found.done else Exit.DIVERGED


@topics.command(name="apply")
def apply(
    *,
    bootstrap: str = _BOOTSTRAP,
    domains: Path | None = None,
    prefix: str = "",
    replication: int = 1,
    certificates: Path | None = None,
    output: Shown = Output.TABLE,
) -> int:
    """Make a broker's topics what is declared; deletes nothing. Exit code 3 if something is left.

    Example: singlepool topics apply --domains domains.toml --replication 3

    Parameters
    ----------
    bootstrap
        the broker's addresses.
    domains
        TOML with the trust domains; docs/kafka.md shows it. One domain, `main`, without.
    prefix
        what all names begin with, a dot at its end, where installations share a broker.
    replication
        how many brokers hold each record.
    certificates
        the folder with the operator's certificate, for a broker with --tls.
    """
    left = _admin(bootstrap, certificates).apply(_declared(domains, prefix, replication))
    _show(left, output, "left to do")
    return Exit.DONE if left.done else Exit.DIVERGED


def _declared(domains: Path | None, prefix: str, replication: int) -> Topology:
    trusted = (ANYBODY,) if domains is None else read_domains(domains)
    return declare(trusted, prefix=prefix, replication=replication)


def _admin(bootstrap: str, certificates: Path | None) -> Admin:
    security = None if certificates is None else Security(str(certificates))
    return Admin(Connection(bootstrap, security))


def _show(found: Plan, output: Output, title: str) -> None:
    rows = tuple((s.action, s.topic, s.setting, s.found, s.wanted) for s in found.steps)
    columns = ("action", "topic", "setting", "found", "wanted")
    answer(Grid(columns, rows, title), output)
