# SPDX-License-Identifier: Apache-2.0
"""One worker of intake as a process, for tests that kill it: a host, and what goes wrong in it.

python -m tests.intake.host_process HOST BOOTSTRAP SECURITY PREFIX PARTITIONS TROUBLE
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streams.intake import faust_host
from streams.intake.batched import BatchedIntake
from streams.intake.faust_host import FaustIntake
from streams.intake.outbox import Outbox
from streams.intake.worker import Worker
from streams.kafka.connection import Connection, Security
from streams.kafka.topics import Topology, declare

HOSTS = ("faust", "batched")
BUG = b"the worker has a bug with this"
BUG_EXIT = 70
LOST_EXIT = 1
"""Of a worker that ended because no broker answered it in time: a supervisor starts it again."""
PASSED_OVER = b"the worker never gets to see this"
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
    with subprocess.Popen([*command, *there, trouble], cwd=root) as process:
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


def with_a_bug(take: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
    """A worker that raises at one record."""

    def raising(worker: Worker, place: Any, record: Any, now_ms: int) -> Sequence[Any]:  # noqa: ANN401  # as it was
        if record[3] == BUG:
            msg = "our bug"
            raise ZeroDivisionError(msg)
        return take(worker, place, record, now_ms)

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
    if trouble == "bug":
        setattr(Worker, "take", with_a_bug(Worker.take))  # noqa: B010  # a test's trouble
    if trouble == "passing over":
        setattr(faust_host, "STALL_S", STALL_S)  # noqa: B010  # a test's trouble
        setattr(FaustIntake, "_take", passing_over(getattr(FaustIntake, "_take")))  # noqa: B009, B010  # as above
    if host == "faust":
        FaustIntake(connection, topology).run()
        return
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    BatchedIntake(connection, topology).run(lambda: bool(stopped))


if __name__ == "__main__":
    host, bootstrap, folder, prefix, partitions, trouble = sys.argv[1:]
    main(
        host,
        Connection(bootstrap, Security(folder) if folder else None),
        declare(prefix=prefix, partitions=int(partitions)),
        trouble,
    )
