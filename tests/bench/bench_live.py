# SPDX-License-Identifier: Apache-2.0
"""The engine service on a real broker: how long a takeover, a directive and a start take.

Engines are processes of their own, and broker, engines, upstream and agents share one machine. All
that is timed waits for others, so it is measured by the clock on the wall; the load that the
machine was under is said beside it.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from threading import Event, Thread

from confluent_kafka import Consumer, Producer
from msgspec import json as msgjson

from compose.broker.layout import connection
from engine.evolve import evolve
from engine.state import State
from engine.stored import store
from schemas.codec import decode_record
from schemas.decisions import PlanCommitted
from schemas.ledger import Batch, Snapshot, sum_of
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.ledger import KafkaLedger
from streams.kafka.reader import KafkaReader
from streams.kafka.topics import Topology, declare
from streams.live.collecting import not_collecting
from streams.live.health import LOOPBACK
from streams.live.running import EngineSettings
from streams.snapshots import SnapshotFolder
from tests.bench.line import line
from tests.bench.live_history import History, wide_fleet
from tests.kafka.conftest import free_ports, own_broker
from tests.live.installation import Installation
from tests.live.traffic import Load, Traffic
from tests.live.world import QUICK

TAKEOVERS = 7
WARM_S, MEASURED_S = 8.0, 30.0
EVENTS_PER_S = 200
HISTORY, TAIL = 1_000_000, 10_000
STARTS = 3
NODES = 125
_PATIENCE_S = 120.0
_AT_ONCE = 2_000
_MS = 1_000


def run() -> Iterator[dict[str, object]]:
    """Measure; one result per figure, as it comes."""
    with _broker() as there:
        yield _takeover(there)
        yield _directives(there)
        yield _start(there)


@contextmanager
def _broker() -> Generator[Connection]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with own_broker(home) as layout:
            yield connection(home, layout)


def _topics(there: Connection) -> Topology:
    topology = declare(prefix=f"{uuid.uuid4().hex}.")
    Admin(there).apply(topology)
    return topology


# --- takeover -------------------------------------------------------------------------------------


def _takeover(there: Connection) -> dict[str, object]:
    """From SIGKILL of the leader until a reader sees the new leader's first cycle."""
    topology, took = _topics(there), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        engines = Installation(there, topology, Path(folder))
        reader = KafkaReader(there, topology)
        with engines, reader, Traffic(there, topology, 1) as traffic:
            engines.start("e0", "e1")
            epoch = 0
            for number in range(TAKEOVERS):
                leader = engines.leader(epoch)
                epoch = leader.epoch
                traffic.flow(WARM_S)  # until the standby is warm
                reader.wait(reader.head(), 0)  # and so is the reader
                killed_s = time.monotonic()
                engines.kill(leader.owner)
                took.append(_first_cycle_s(reader) - killed_s)
                engines.start(f"e{number + 2}")
    bare = [_bare_takeover_s(there) for _ in range(TAKEOVERS)]
    worst = max(took)
    conditions = (
        f"warm standby, beats each 100 ms, patience 1 s, cycles each 250 ms; "
        f"median of {TAKEOVERS}, worst {worst:.2f} s"
    )
    anchor = "opening the transactional id anew, one transaction, read by another"
    return _line("takeover_s", median(took), "s", (anchor, median(bare)), conditions)


def _first_cycle_s(reader: KafkaReader) -> float:
    """Return when a reader sees a cycle that is not there yet: only a new leader makes one."""
    head = reader.head()
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        now = reader.wait(head, 1_000)
        seen_s = time.monotonic()
        if now > head and any(_is_cycle(data) for data in reader.read(head, now - head)):
            return seen_s
        head = now
    msg = f"no cycle in {_PATIENCE_S:.0f} s"
    raise TimeoutError(msg)


def _is_cycle(data: bytes) -> bool:
    record = decode_record(data)
    return record is not None and isinstance(record.event, PlanCommitted)


def _bare_takeover_s(there: Connection) -> float:
    """Return what fencing, one record and reading it take, without anybody to be missed."""
    topology = _topics(there)
    with KafkaLedger(there, topology) as first, KafkaReader(there, topology) as reader:
        first.acquire("first")
        reader.head()
        began_s = time.monotonic()
        with KafkaLedger(there, topology) as second:
            second.append(second.acquire("second"), 0, Batch([b"x"]))
            reader.wait(0, int(_PATIENCE_S * _MS))
            return time.monotonic() - began_s


# --- directives -----------------------------------------------------------------------------------


def _directives(there: Connection) -> dict[str, object]:
    """From publishing a job on its topic until an agent has read the directive that launches it."""
    bare = _relayed(there)
    topology = _topics(there)
    load = Load(wide_fleet(NODES), EVENTS_PER_S / 3, (1,))  # submitted, started, finished
    with tempfile.TemporaryDirectory() as folder:
        engines = Installation(there, topology, Path(folder))
        traffic = Traffic(there, topology, 2, load, upstream=True)
        with _intake(there, topology), engines, traffic:
            engines.start("e0")
            engines.leader()
            traffic.flow(WARM_S)
            traffic.waits_s.clear()
            traffic.flow(MEASURED_S)
            waits = sorted(traffic.waits_s)
    conditions = (
        f"{len(waits)} launches in {MEASURED_S:.0f} s, {EVENTS_PER_S} job events/s, cycles each "
        f"250 ms, {NODES * 8 + 16} devices; through intake; p50 {_at(waits, 50):.3f} s, "
        f"worst {waits[-1]:.3f} s"
    )
    anchor = "consume, transaction with offsets, read: p99"
    return _line("directive_p99_s", _at(waits, 99), "s", (anchor, _at(bare, 99)), conditions)


@contextmanager
def _intake(there: Connection, topology: Topology) -> Generator[None]:
    at = ["--bootstrap", there.bootstrap, "--prefix", topology.prefix]
    with subprocess.Popen([sys.executable, "-m", "compose.cli", "serve", "intake", *at]) as process:
        try:
            yield
        finally:
            process.terminate()


def _at(ordered: Sequence[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _relayed(there: Connection) -> list[float]:
    """Return the waits of records that are only carried over, at the same rate."""
    topology, waits, over = _topics(there), list[float](), Event()
    relay = Thread(target=_relay, args=(there, topology, over))
    relay.start()
    told = _client(there, topology, "bench-agent")
    told.subscribe([topology.directives.name])
    sender = Producer(there.settings())
    ends_s = next_s = time.monotonic()
    ends_s += MEASURED_S / 2
    while time.monotonic() < ends_s:
        if time.monotonic() >= next_s:
            next_s += 1 / EVENTS_PER_S
            sender.produce(topology.accepted.name, str(time.monotonic()).encode())
        sender.poll(0)
        for message in told.consume(100, 0.002):
            if message.error() is None:
                waits.append(time.monotonic() - float(message.value() or b"0"))
    over.set()
    relay.join()
    told.close()
    return sorted(waits[len(waits) // 5 :])


def _relay(there: Connection, topology: Topology, over: Event) -> None:
    source = _client(there, topology, "bench-relay")
    source.subscribe([topology.accepted.name])
    producer = Producer(there.settings() | {"transactional.id": f"{topology.prefix}relay"})
    producer.init_transactions()
    while not over.is_set():
        first = source.poll(0.02)
        if first is None or first.error() is not None:
            continue
        producer.begin_transaction()
        for message in (first, *source.consume(500, 0)):
            producer.produce(topology.directives.name, message.value())
        places = source.position(source.assignment())
        producer.send_offsets_to_transaction(places, source.consumer_group_metadata())
        producer.commit_transaction()
    source.close()


def _client(there: Connection, topology: Topology, group: str) -> Consumer:
    return Consumer(
        there.settings()
        | {
            "group.id": f"{topology.prefix}{group}",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )


# --- start ----------------------------------------------------------------------------------------


def _start(there: Connection) -> dict[str, object]:
    """From the start of a process until it is ready: snapshot, and the tail behind it."""
    topology = _topics(there)
    with tempfile.TemporaryDirectory() as folder:
        history = History(NODES)
        with not_collecting():
            history.grow(HISTORY - TAIL)
        last_sum = sum_of(history.records[-1])
        kept = Snapshot(history.state.head, store(history.state), last_sum)
        SnapshotFolder(Path(folder) / topology.ledger.name).put(kept)
        history.grow(HISTORY)
        _fill(there, topology, history.records)
        cpu_s = _children_s()
        took = [_ready_s(there, topology, folder) for _ in range(STARTS)]
        cpu_s = (_children_s() - cpu_s) / STARTS
        zero_s, zero_cpu_s = _timed(lambda: _fold(history.records))
    conditions = (
        f"{len(history.records)} records, {len(history.state.jobs)} jobs, snapshot of "
        f"{len(kept.data) / 1e6:.1f} MB, {len(history.records) - kept.position} records behind it; "
        f"process start and imports included; median of {STARTS}, worst {max(took):.2f} s; "
        f"{cpu_s:.2f} CPU s, anchor {zero_cpu_s:.2f}"
    )
    anchor = "folding all records from zero, in memory, no process to start"
    return _line("start_1m_events_s", median(took), "s", (anchor, zero_s), conditions)


def _children_s() -> float:
    """Return the CPU seconds of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _fill(there: Connection, topology: Topology, records: Sequence[bytes]) -> None:
    with KafkaLedger(there, topology) as ledger:
        lease, head = ledger.acquire("history"), 0
        while head < len(records):
            head = ledger.append(lease, head, Batch(records[head : head + _AT_ONCE]))


def _ready_s(there: Connection, topology: Topology, folder: str) -> float:
    (port,) = free_ports(1)
    settings = EngineSettings(there, topology, "late", folder, QUICK, health_port=port)
    program = [sys.executable, "-m", "tests.live.engine", msgjson.encode(settings).decode()]
    began_s = time.monotonic()
    with subprocess.Popen(program, stderr=subprocess.DEVNULL) as engine:
        try:
            while not _is_ready(port):
                if engine.poll() is not None or time.monotonic() > began_s + _PATIENCE_S:
                    msg = "the engine did not become ready"
                    raise TimeoutError(msg)
                time.sleep(0.01)
            return time.monotonic() - began_s
        finally:
            engine.send_signal(signal.SIGKILL)


def _is_ready(port: int) -> bool:
    with closing(HTTPConnection(LOOPBACK, port, timeout=1)) as asked:
        try:
            asked.request("GET", "/readyz")
            return asked.getresponse().status == 200
        except OSError:
            return False


def _fold(records: Sequence[bytes]) -> None:
    state = State()
    for data in records:
        record = decode_record(data)
        if record is not None:
            evolve(state, record)
            state.directives.clear()


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    """Return how long work takes by the clock, and in CPU seconds."""
    began_s, cpu_s = time.monotonic(), time.process_time()
    work()
    return time.monotonic() - began_s, time.process_time() - cpu_s


def _line(
    name: str, value: float, unit: str, anchor: tuple[str, float], conditions: str
) -> dict[str, object]:
    shared = f"one broker on the same {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    return line((name, value, unit), anchor, f"{conditions}; {shared}")


if __name__ == "__main__":
    for result in run():
        print(json.dumps(result), flush=True)
