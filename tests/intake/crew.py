# SPDX-License-Identifier: Apache-2.0
"""Workers of intake as whatever runs them keeps them: one that ends by itself has a successor."""

import signal
import subprocess
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Event, Thread
from typing import Self

from streams.kafka.connection import Connection
from streams.kafka.topics import Topology
from tests.intake.host_process import BUG_EXIT, LOST_EXIT, running, stop
from tests.intake.upstream import PATIENCE_S

BY_ITSELF = (LOST_EXIT, BUG_EXIT)
"""How a worker may end that nobody told to, each for a reason that is known."""

_LOOK_S = 0.1

Process = subprocess.Popen[bytes]


class Crew:
    """Workers of one group, each with a successor where it ends by itself, as under a supervisor.

    A Faust worker may: after a rebalance it finds what Faust passed over, and goes for it.
    """

    def __init__(self, start: Callable[[], AbstractContextManager[Process]]) -> None:
        """Nobody works yet."""
        self._start = start
        self._stack = ExitStack()
        self._working: list[Process] = []
        self.replaced = 0

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End whoever works still."""
        self._stack.close()

    @property
    def working(self) -> Sequence[Process]:
        """Who works, the first to join first."""
        return tuple(self._working)

    def join(self) -> None:
        """One worker more."""
        self._working.append(self._stack.enter_context(self._start()))

    def leave(self, number: int) -> None:
        """One worker leaves in good order; whoever can do no more has left already."""
        leaving = self._working.pop(number)
        leaving.terminate()
        assert leaving.wait(PATIENCE_S) in {0, *BY_ITSELF, -signal.SIGTERM}

    def look(self) -> None:
        """Replace those who have ended by themselves, for a reason that is known."""
        for ended in [worker for worker in self._working if worker.poll() is not None]:
            assert ended.returncode in BY_ITSELF
            self._working.remove(ended)
            self.replaced += 1
            self.join()


@contextmanager
def supervised(host: str, connection: Connection, topology: Topology) -> Generator[None]:
    """One worker, or its successor, which is stopped in good order unless it has just ended."""
    over = Event()
    with Crew(lambda: running(host, connection, topology)) as crew:
        crew.join()

        def look() -> None:
            while not over.wait(_LOOK_S):
                crew.look()

        supervisor = Thread(target=look)
        supervisor.start()
        try:
            yield
        finally:
            over.set()
            supervisor.join()
        (worker,) = crew.working
        assert worker.poll() in BY_ITSELF or stop(worker) == 0
