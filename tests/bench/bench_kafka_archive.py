# SPDX-License-Identifier: Apache-2.0
"""How fast the ledger on a real broker becomes Parquet, and the same ledger embedded, on one core.

The anchor is the archiver on an embedded ledger of the same records: what is lost to it is what a
broker's client costs.
"""

import gc
import json
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from analytics.archive import Archiver
from analytics.audit import read_envelopes
from compose.broker.layout import connection
from schemas.ledger import Batch, LedgerReader
from streams.embedded import EmbeddedLedger, EmbeddedReader
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.ledger import KafkaLedger
from streams.kafka.reader import KafkaReader
from streams.kafka.topics import ARCHIVER, Topology, declare
from tests.bench.bench_archive import a_ledger
from tests.bench.line import line
from tests.kafka.conftest import own_broker

EVENTS = 131_072
ROUNDS = 3
AT_ONCE = 512


_Spent = tuple[float, float]


def run() -> list[dict[str, object]]:
    """Measure; one result."""
    records = a_ledger(EVENTS).records
    with TemporaryDirectory() as name, a_broker(Path(name) / "broker") as broker:
        folder, topology = Path(name), declare()
        assert Admin(broker).apply(topology).done
        _fill(broker, topology, folder / "ledger.db", records)
        live, bare = list[_Spent](), list[_Spent]()
        for at in range(ROUNDS):
            with EmbeddedReader(folder / "ledger.db") as embedded:
                bare.append(_seal(embedded, folder / f"embedded-{at}"))
            with KafkaReader(broker, topology, ARCHIVER) as reader:
                live.append(_seal(reader, folder / f"kafka-{at}"))
        assert list(read_envelopes(folder / "kafka-0")) == records
    cpu_s, wall_s = min(live)
    bare_cpu_s, bare_wall_s = min(bare)
    return [
        line(
            ("kafka_archive_events_per_s", EVENTS / cpu_s, "events/s"),
            ("the archiver on an embedded ledger of the same records", EVENTS / bare_cpu_s),
            f"{EVENTS} events in transactions of {AT_ONCE}, one broker on this machine, two "
            f"segments, fsync; CPU seconds of all threads of the archiver, best of {ROUNDS}; "
            f"by the clock {EVENTS / wall_s:.0f} events/s, embedded {EVENTS / bare_wall_s:.0f}",
            digits=None,
        )
    ]


@contextmanager
def a_broker(home: Path) -> Generator[Connection]:
    """Start a broker for the measurement."""
    with own_broker(home) as layout:
        yield connection(home, layout)


def _fill(broker: Connection, topology: Topology, path: Path, records: list[bytes]) -> None:
    with KafkaLedger(broker, topology) as live, EmbeddedLedger(path) as embedded:
        lease, other = live.acquire("bench"), embedded.acquire("bench")
        for at in range(0, len(records), AT_ONCE):
            batch = Batch(records[at : at + AT_ONCE])
            live.append(lease, at, batch)
            embedded.append(other, at, batch)


def _seal(ledger: LedgerReader, folder: Path) -> _Spent:
    """Return CPU and clock seconds."""
    with closing(Archiver(folder)) as archiver:
        gc.collect()
        cpu, clock = time.process_time(), time.perf_counter()
        assert archiver.seal(ledger) == EVENTS
        return time.process_time() - cpu, time.perf_counter() - clock


if __name__ == "__main__":
    for result in run():
        print(json.dumps(result))
