# SPDX-License-Identifier: Apache-2.0
"""The commands that run a broker on the JVM."""

from pathlib import Path
from typing import Literal

from cyclopts import App

from analytics.tables import Grid, Output
from compose.answers import answer, tell
from compose.arguments import Shown
from compose.broker.certificates import make_all_certificates
from compose.broker.layout import TLS, Layout, NoBrokerError, existing, new_layout, saved
from compose.broker.making import make_broker
from compose.broker.nodes import pid_of, start, stop
from compose.exits import Exit, UsageError
from compose.places import DEFAULT_HOME

BROKER_HOME = DEFAULT_HOME / "broker"
PORT = 9092

broker = App(name="broker", help="A real Kafka broker on this machine's JVM.")


@broker.command(name="up")
def up(
    *,
    home: Path = BROKER_HOME,
    nodes: Literal[1, 3] = 1,
    port: int = PORT,
    tls: bool = False,
    domains: Path | None = None,
    output: Shown = Output.TABLE,
) -> None:
    """Start a real Kafka broker on this machine, or what of it does not run.

    Example: singlepool broker up --nodes 3

    Parameters
    ----------
    home
        the broker's folder; one that is there already keeps its nodes, ports and records.
    nodes
        1, or 3 to see replication at work.
    port
        the first port; as many follow for more nodes, then as many for their controllers.
    tls
        mutual TLS, with certificates made on the spot below the folder, and access by grants.
    domains
        with --tls, TOML with the trust domains, whose principals get certificates too.
    """
    layout = saved(home)
    if layout is None:
        layout = make_broker(home, new_layout(nodes, port, tls=tls), domains)
    elif (len(layout.nodes), layout.tls) != (nodes, tls):
        was = f"--nodes {len(layout.nodes)}{' --tls' if layout.tls else ''}"
        msg = f"{home} holds a broker made by {was}; ask for that, or name another folder: --home"
        raise NoBrokerError(msg)
    start(home, layout)
    _show(home, layout, output)


@broker.command(name="down")
def down(*, home: Path = BROKER_HOME) -> None:
    """Stop a broker; its records stay in its folder.

    Example: singlepool broker down

    Parameters
    ----------
    home
        the broker's folder.
    """
    stop(home, existing(home).nodes)


@broker.command(name="certificates")
def certificates(*, home: Path = BROKER_HOME, domains: Path | None = None) -> None:
    """Make certificates for a secured broker that something else runs, as a container engine does.

    Example: singlepool broker certificates --home out/secured

    Parameters
    ----------
    home
        the folder below which they are made: tls, and in it a folder a principal.
    domains
        TOML with the trust domains, whose principals get certificates too.
    """
    if (home / TLS).exists():
        msg = f"{home / TLS} is there already, and all certificates are made together: remove it"
        raise UsageError(msg)
    made = make_all_certificates(home, domains)
    tell(f"certificates of {', '.join(made)} are in {home / TLS}")


@broker.command(name="status")
def status(*, home: Path = BROKER_HOME, output: Shown = Output.TABLE) -> int:
    """Show a broker's nodes; the exit code is 0 only while all of them run.

    Example: singlepool broker status

    Parameters
    ----------
    home
        the broker's folder.
    """
    layout = existing(home)
    _show(home, layout, output)
    running = all(pid_of(home, node) is not None for node in layout.nodes)
    return Exit.DONE if running else Exit.FAILED


def _show(home: Path, layout: Layout, output: Output) -> None:
    rows = tuple(
        (node.number, f"{layout.bootstrap.split(',')[at]}", pid_of(home, node) or "down")
        for at, node in enumerate(layout.nodes)
    )
    answer(Grid(("node", "address", "process"), rows, f"broker in {home}"), output)
