# SPDX-License-Identifier: Apache-2.0
"""Engine processes on one set of topics: started, killed, stopped, and waited for."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from msgspec import json

from streams.kafka.connection import Connection
from streams.kafka.ledger import input_name
from streams.kafka.reader import KafkaReader
from streams.kafka.topics import Topology
from streams.live.kafka_ends import KafkaBeats
from streams.live.ports import Beat, Role
from streams.live.running import EngineSettings
from streams.live.watch import Patience
from tests.live.engine import FENCED
from tests.live.world import QUICK

PATIENCE_S = 60.0
_LAST = 3_000


class Installation:
    """Some engines, by name. Use as a context manager: at its end none is left."""

    def __init__(
        self,
        connection: Connection,
        topology: Topology,
        folder: Path,
        patience: Patience = Patience(),  # noqa: B008  # frozen
    ) -> None:
        """Start with no engine."""
        self.connection, self.topology, self._folder = connection, topology, folder
        self._patience = patience
        self.engines: dict[str, subprocess.Popen[bytes]] = {}
        self._beats = KafkaBeats(connection, topology)
        self._leader: Beat | None = None

    def __enter__(self) -> Self:
        """Return the installation itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End what still runs."""
        for running in self.engines.values():
            running.kill()
            running.wait()
        self._beats.close()

    # --- engines --------------------------------------------------------------------------------

    def start(self, *names: str) -> None:
        """Start engines of these names."""
        for name in names:
            settings = EngineSettings(
                self.connection,
                self.topology,
                name,
                str(self._folder / "snapshots"),
                QUICK,
                snapshot_every=500,
                health_port=0,
                patience=self._patience,
            )
            program = [sys.executable, "-m", "tests.live.engine", json.encode(settings).decode()]
            with (self._folder / f"{name}.log").open("ab") as log:
                self.engines[name] = subprocess.Popen(program, stderr=log)

    def log(self, name: str) -> str:
        """What an engine said."""
        return (self._folder / f"{name}.log").read_text()

    def leader(self, after: int = 0) -> Beat:
        """Wait for a leader of a later epoch than `after` and return its latest beat."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for beat in self._beats.poll():
                known = self._leader
                if beat.role is Role.LEADER and (known is None or beat.epoch >= known.epoch):
                    self._leader = beat
            if self._leader is not None and self._leader.epoch > after:
                return self._leader
            time.sleep(0.01)
        said = "\n".join(f"{name}: {self.log(name)[-_LAST:]}" for name in self.engines)
        pytest.fail(f"no leader after epoch {after} in {PATIENCE_S:.0f} s\n{said}")

    def kill(self, name: str) -> None:
        """End an engine as a crash would."""
        self.engines[name].kill()
        self.engines.pop(name).wait()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send an engine a signal."""
        self.engines[name].send_signal(number)

    def leave(self) -> None:
        """Tell all engines to stop, once they run; the leader must end well.

        On a machine that is short of time one may have been deposed meanwhile: it says so.
        """
        deadline = time.monotonic() + PATIENCE_S
        while not all("standing by" in self.log(name) for name in self.engines):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for running in self.engines.values():
            running.terminate()
        codes = {name: self._code(name) for name in self.engines}
        bad = {name: self.log(name)[-_LAST:] for name, c in codes.items() if c not in {0, FENCED}}
        assert bad == {}
        assert 0 in codes.values()
        self.engines.clear()

    def _code(self, name: str) -> int:
        """Return how an engine that was told to stop ends; one that does not says where it is."""
        running = self.engines[name]
        try:
            return running.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGUSR1)
            time.sleep(1.0)
            pytest.fail(f"{name} does not leave:\n{self.log(name)[-_LAST:]}")

    def drain(self) -> None:
        """Wait until all accepted events are accounted for on the ledger."""
        ends = self._ends(self.topology.accepted.name)
        deadline = time.monotonic() + PATIENCE_S
        with KafkaReader(self.connection, self.topology) as reader:
            while dict(reader.consumed()) != ends:
                assert time.monotonic() < deadline, (dict(reader.consumed()), ends)
                time.sleep(0.05)

    def _ends(self, topic: str) -> Mapping[str, int]:
        with closing(self._consumer()) as consumer:
            count = len(consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions)
            places = [TopicPartition(topic, number) for number in range(count)]
            return {
                input_name(topic, place.partition): consumer.get_watermark_offsets(
                    place, timeout=PATIENCE_S, cached=False
                )[1]
                for place in places
            }

    def _consumer(self) -> Consumer:
        return Consumer(
            self.connection.settings()
            | {
                "group.id": self.topology.group("reader"),
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )

    def all_of(self, topic: str) -> Iterator[tuple[str, bytes | None]]:
        """Yield key and value of every committed record of a topic."""
        with closing(self._consumer()) as consumer:
            count = len(consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions)
            consumer.assign([TopicPartition(topic, n, OFFSET_BEGINNING) for n in range(count)])
            open_ends = count
            while open_ends:
                for message in consumer.consume(500, 0.2):
                    error = message.error()
                    if error is None:
                        yield (message.key() or b"").decode(), message.value()
                    else:
                        assert error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001  # the client's own name
                        open_ends -= 1
