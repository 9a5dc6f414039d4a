# SPDX-License-Identifier: Apache-2.0
"""Starts, stops and watches the JVMs of a broker.

A node's pid is kept in its folder, and believed only while that process names the node's own
properties file: a pid that another process got meanwhile is never touched.
"""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from compose.broker.jars import jars, java
from compose.broker.layout import Layout, Node, connection, properties
from compose.processes import called_as
from schemas.errors import WorldError
from streams.kafka.connection import BrokerUnavailableError, wait_for_brokers

PATIENCE_S = 60
_STOP_S = 30
_LOOK_S = 0.05
_LAST_LINES = 2_000
_MEMORY = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC")


class BrokerFailedError(WorldError):
    """A node did not start; the message ends with the last lines of its log."""


def start(home: Path, layout: Layout, patience_s: float = PATIENCE_S) -> None:
    """Start the nodes that do not run, and return when all of them answer.

    Raises `NoJavaError`, `NoJarsError`, or `BrokerFailedError`; what was started stops again.
    """
    command = (java(), *_MEMORY, "-cp", f"{jars()}/*")
    started = [node for node in layout.nodes if pid_of(home, node) is None]
    try:
        for node in started:
            _format(command, home, layout, node)
        for node in started:
            _launch(command, home, node)
        _wait(home, layout, patience_s)
    except BaseException:
        stop(home, started)
        raise


def stop(home: Path, nodes: Sequence[Node]) -> None:
    """Stop nodes in good order, and by force those that take too long."""
    for node in nodes:
        _signal(home, node, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    for node in nodes:
        while pid_of(home, node) is not None:
            if time.monotonic() > deadline:
                kill(home, node)
            time.sleep(_LOOK_S)
        _pid_file(home, node).unlink(missing_ok=True)


def kill(home: Path, node: Node) -> None:
    """End a node at once, as a crash would."""
    _signal(home, node, signal.SIGKILL)
    while pid_of(home, node) is not None:
        time.sleep(_LOOK_S)


def pid_of(home: Path, node: Node) -> int | None:
    """Return the process of a node, or None where it does not run."""
    try:
        pid = int(_pid_file(home, node).read_text())
    except (FileNotFoundError, ValueError):
        return None
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # one that we started ourselves would stay as a zombie
    return pid if str(_told(home, node)) in called_as(pid) else None


# --- one node -------------------------------------------------------------------------------------


def _folder(home: Path, node: Node) -> Path:
    return home.absolute() / f"node-{node.number}"


def _pid_file(home: Path, node: Node) -> Path:
    return _folder(home, node) / "pid"


def _told(home: Path, node: Node) -> Path:
    return _folder(home, node) / "server.properties"


def _log(home: Path, node: Node) -> Path:
    return _folder(home, node) / "log"


def _format(command: Sequence[str], home: Path, layout: Layout, node: Node) -> None:
    """Write what a node is told, and lay out its storage where that was not done yet."""
    told = _told(home, node)
    told.parent.mkdir(parents=True, exist_ok=True)
    lines = (f"{name}={value}\n" for name, value in properties(layout, node, home).items())
    told.write_text("".join(lines))
    if (told.parent / "data" / "meta.properties").exists():
        return
    alone = ["--standalone"] if len(layout.nodes) == 1 else []
    tool = [*command, "kafka.tools.StorageTool", "format", *alone]
    done = subprocess.run(  # noqa: S603  # the Java that was found, with our own arguments
        [*tool, "-t", layout.cluster, "-c", str(told)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        msg = f"node {node.number} could not lay out its storage: {done.stderr[-_LAST_LINES:]}"
        raise BrokerFailedError(msg)


def _launch(command: Sequence[str], home: Path, node: Node) -> None:
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    program = [command[0], quiet, *command[1:], "kafka.Kafka", str(_told(home, node))]
    log, flags = str(_log(home, node)), os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, flags, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    # Not Popen: the node outlives this process, and a session of its own outlives the terminal.
    pid = os.posix_spawn(program[0], program, os.environ, file_actions=files, setsid=True)
    _pid_file(home, node).write_text(str(pid))


def _wait(home: Path, layout: Layout, patience_s: float) -> None:
    """Return when every node answers, or raise as soon as one has died."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            wait_for_brokers(connection(home, layout), len(layout.nodes), patience_s=0)
        except BrokerUnavailableError as error:
            for node in layout.nodes:
                if pid_of(home, node) is None:
                    raise _failed(home, node, "ended") from error
            if time.monotonic() > deadline:
                raise _failed(home, layout.nodes[0], "does not answer") from error
        else:
            return


def _failed(home: Path, node: Node, how: str) -> BrokerFailedError:
    log = _log(home, node)
    said = log.read_text(errors="replace")[-_LAST_LINES:] if log.exists() else ""
    return BrokerFailedError(f"node {node.number} {how}; its log, {log}, ends with:\n{said}")


def _signal(home: Path, node: Node, number: signal.Signals) -> None:
    pid = pid_of(home, node)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
