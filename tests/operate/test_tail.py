# SPDX-License-Identifier: Apache-2.0
"""`singlepool tail --follow`: the ledger as it grows, for as long as somebody looks."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest

from compose.exits import Exit
from schemas.codec import open_envelope
from schemas.ledger import Batch
from streams.kafka.connection import Connection
from streams.kafka.ledger import KafkaLedger
from streams.kafka.topics import Topology
from tests.analytics.ledgers import long_ledger
from tests.eventually import eventually

PATIENCE_S = 60.0
BEFORE = 40


class Following(threading.Thread):
    """Reads the lines of a process that follows the ledger."""

    def __init__(self, broker: Connection, topology: Topology, *options: str) -> None:
        """Start the process."""
        super().__init__(daemon=True)
        at = ("--bootstrap", broker.bootstrap, "--prefix", topology.prefix)
        program = (sys.executable, "-m", "compose.cli", "tail", "--follow", *at, *options)
        self.process = subprocess.Popen((*program, "-o", "ndjson"), stdout=subprocess.PIPE)
        self.positions: list[int] = []
        self.start()

    def run(self) -> None:
        """Read until the process ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.positions.append(json.loads(line)["position"])

    def says(self, positions: list[int]) -> Callable[[], bool]:
        """Whether it has said these positions, and no others."""
        return lambda: self.positions == positions

    @contextmanager
    def lasting(self) -> "Generator[Following]":
        """At the end nothing is left of it."""
        try:
            yield self
        finally:
            self.process.kill()
            self.join()
            self.process.communicate()


def among_the_last(position: int, _: str) -> bool:
    return position >= BEFORE - 5


def submitted(_: int, ce_type: str) -> bool:
    return "job.submitted" in ce_type


@pytest.mark.parametrize(
    ("options", "chosen"),
    [(("--lines", "5"), among_the_last), (("--type", "job.submitted"), submitted)],
    ids=["all", "of a type"],
)
def test_what_is_committed_while_somebody_follows_is_shown_once_and_in_order(
    broker: Connection,
    topics: Topology,
    options: tuple[str, ...],
    chosen: Callable[[int, str], bool],
) -> None:
    """The last records first, then what comes, batch by batch; SIGTERM ends it well."""
    records = long_ledger(3 * BEFORE).records
    types = [open_envelope(data).published.ce_type for data in records]
    with KafkaLedger(broker, topics) as ledger:
        lease = ledger.acquire("test")
        ledger.append(lease, 0, Batch(records[:BEFORE]))
        with Following(broker, topics, *options).lasting() as following:
            for head in (BEFORE, 2 * BEFORE, 3 * BEFORE):
                if head > BEFORE:
                    ledger.append(lease, head - BEFORE, Batch(records[head - BEFORE : head]))
                wanted = [at for at in range(head) if chosen(at, types[at])]
                assert wanted
                eventually(following.says(wanted), (wanted, following.positions), PATIENCE_S)
            following.process.terminate()
            assert following.process.wait(PATIENCE_S) == Exit.DONE
