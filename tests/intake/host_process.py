# SPDX-License-Identifier: Apache-2.0
"""One worker of intake as a process, for tests that kill it: a host, and what goes wrong in it.

python -m tests.intake.host_process HOST BOOTSTRAP SECURITY PREFIX PARTITIONS TROUBLE
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog

from schemas.errors import InternalError
from streams.intake import faust_host, reducer
from streams.intake.batched import BatchedIntake
from streams.intake.faust_host import FaustIntake
from streams.intake.fold_rules import FOLD, FoldRules
from streams.intake.lost import end_process
from streams.intake.outbox import Outbox
from streams.kafka.connection import Connection, Security
from streams.kafka.topics import Topology, declare

HOSTS = ("faust", "batched")
BUG = "n-bug"
"""The node of which a worker with a bug can say nothing."""
BUG_EXIT = 70
LOST_EXIT = 1
"""Of a worker that ended because no broker answered it in time: a supervisor starts it again."""
PASSED_OVER = b"the worker never gets to see this"
NEVER_MS = 10**9
STALL_S = 3.0
"""How long a partition may stand still where it is told to look out for that soon."""


@contextmanager
def running(
    host: str, connection: Connection, topology: Topology, trouble: str = ""
) -> "Generator[subprocess.Popen[bytes]]":
    """A worker, which is killed in the end unless it has ended by itself."""
    command = (sys.executable, "-m", "tests.intake.host_process", host)
    root = Path(__file__).parents[2]
    security = "" if connection.security is None else connection.security.folder
    there = (connection.bootstrap, security, topology.prefix, str(topology.cells.partitions))
    with (
        TemporaryDirectory() as folder,  # Faust makes an empty one in it
        subprocess.Popen(
            [*command, *there, trouble], cwd=root, env=os.environ | {"TMPDIR": folder}
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def stop(process: "subprocess.Popen[bytes]") -> int:
    """Tell a worker to stop, and return its exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(60)


# --- what goes wrong ------------------------------------------------------------------------------


def never_settled(_: Any, __: int) -> bool:  # noqa: ANN401  # in an outbox's place
    """Nothing that is sent is ever reported delivered."""
    return False


def kept_by_nobody(outbox: Outbox, *_: object) -> None:
    """A cell that is sent and never delivered."""
    outbox.sent += 1


def with_a_bug(derived: Callable[..., Any]) -> Callable[..., Any]:
    """A reducer that raises when its cell has folded a record, and is to say what came of it."""

    def raising(state: Any, event: Any, about: str, *rest: Any) -> Any:  # noqa: ANN401  # as it was
        if about == BUG:
            msg = "our bug"
            raise ZeroDivisionError(msg)
        return derived(state, event, about, *rest)

    return raising


def passing_over(take: Callable[..., None]) -> Callable[..., None]:
    """A Faust that drops a record for one that it has read, as it may after a rebalance."""

    def dropping(intake: FaustIntake, event: Any) -> None:  # noqa: ANN401  # as it was
        if event.message.value != PASSED_OVER:
            take(intake, event)

    return dropping


def main(host: str, connection: Connection, topology: Topology, trouble: str) -> None:
    if trouble == "unsettled":
        setattr(Outbox, "settled", never_settled)  # noqa: B010  # a test's trouble
    if trouble == "unkept":
        setattr(Outbox, "keep", kept_by_nobody)  # noqa: B010  # a test's trouble
    if trouble == "bug":
        setattr(reducer, "_derived", with_a_bug(getattr(reducer, "_derived")))  # noqa: B009, B010  # a test's trouble
    if trouble == "passing over":
        setattr(faust_host, "STALL_S", STALL_S)  # noqa: B010  # a test's trouble
        setattr(FaustIntake, "_take", passing_over(getattr(FaustIntake, "_take")))  # noqa: B009, B010  # as above
    fold = FoldRules(sweep_ms=NEVER_MS) if trouble == "timeless" else FOLD
    if host == "faust":
        FaustIntake(connection, topology, fold=fold).run()
        return
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    try:
        BatchedIntake(connection, topology, fold=fold).run(lambda: bool(stopped))
    except InternalError:
        end_process(structlog.get_logger(), "a bug of its own")


if __name__ == "__main__":
    host, bootstrap, folder, prefix, partitions, trouble = sys.argv[1:]
    main(
        host,
        Connection(bootstrap, Security(folder) if folder else None),
        declare(prefix=prefix, partitions=int(partitions)),
        trouble,
    )
