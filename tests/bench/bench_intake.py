# SPDX-License-Identifier: Apache-2.0
"""How fast one worker of intake takes in what lies on a real broker, by each of its hosts.

Beside each host its anchor, on the same records in the same run: what carries it, doing nothing but
decoding headers and payload. A figure counts the CPU seconds of all of a worker's threads, so that
neighbours on the machine do not enter it; on free cores a worker does a little more in a second of
the clock, as its client's threads work beside it. It is the best of the rounds. Each worker is a
process of its own. Its time runs from its first record until everything that came of the last one
is delivered and kept.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import faust
from confluent_kafka import Consumer
from msgspec import Struct
from msgspec import json as msgjson

from compose.broker.layout import connection
from schemas.catalogue import Event
from schemas.codec import decode_event
from schemas.fleet import NodeHeartbeat
from schemas.ids import DeploymentId, JobId, NodeName, RegionName
from schemas.jobs import JobProgressed
from schemas.serving import RequestServed
from streams.intake import Refused
from streams.intake.batched import BatchedIntake
from streams.intake.faust_app import settings
from streams.intake.faust_host import FaustIntake
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.headers import Headers, from_record
from streams.kafka.topics import Topology, declare
from tests.bench.line import line
from tests.intake.upstream import Upstream
from tests.kafka.conftest import own_broker

ROUNDS = 3
STOCK, BATCHED = 60_000, 240_000
_RAW_OF_TEN = 9
_MS = 1_000


class Run(Struct, frozen=True):
    """How long a worker took, by the clock and in CPU seconds of all its threads."""

    wall_s: float
    cpu_s: float


def run() -> list[dict[str, object]]:
    """Measure both hosts on telemetry, and on job reports alone."""
    with _broker() as there:
        return [
            _compare(there, "intake_stock_events_per_s", _stock, _bare_stock, STOCK, "mixed"),
            _compare(
                there, "intake_batched_events_per_s", _batched, _bare_batched, BATCHED, "mixed"
            ),
            _compare(there, "intake_batched_jobs_per_s", _batched, _bare_batched, BATCHED, "jobs"),
        ]


Worker = Callable[[Connection, Topology, int], Run]


def _compare(
    there: Connection, name: str, ours: Worker, bare: Worker, count: int, mix: str
) -> dict[str, object]:
    rounds = [
        (_measured(there, bare, count, mix), _measured(there, ours, count, mix))
        for _ in range(ROUNDS)
    ]
    anchor = min((r[0] for r in rounds), key=lambda r: r.cpu_s)
    best = min((r[1] for r in rounds), key=lambda r: r.cpu_s)
    value, anchor_value = count / best.cpu_s, count / anchor.cpu_s
    return line(
        (name, value, "events/CPU s"),
        (f"{_ANCHORS[bare]}, only decoding the same records", anchor_value),
        f"{count} {_MIXES[mix]}; judged, folded, forwarded, delivered, kept; best of {ROUNDS}; "
        f"by the clock {count / best.wall_s:.0f}/s, anchor {count / anchor.wall_s:.0f}/s, "
        f"broker on the same {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}",
        digits=None,
    )


_MIXES = {
    "mixed": "records: 5 of 10 beats (2,000 nodes), 4 requests, 1 job report",
    "jobs": "job reports",
}


# --- records --------------------------------------------------------------------------------------


def _records(count: int, mix: str) -> Iterator[Event]:
    now_ms = time.time_ns() // 1_000_000
    for number in range(count):
        kind = number % 10 if mix == "mixed" else _RAW_OF_TEN
        sequence = number // 10 + 1
        if kind < 5:  # half of ten
            node = NodeName(f"west-1.n-{(number // 10 * 5 + kind) % 2_000:04}")
            yield NodeHeartbeat(node, now_ms, sequence, now_ms, 0)
        elif kind < _RAW_OF_TEN:
            yield RequestServed(
                deployment=DeploymentId(f"acme/chat-{sequence % 20}@1"),
                origin_region=RegionName("west"),
                gateway=f"gw-{kind}",
                boot=now_ms,
                sequence=sequence,
                served_ms=now_ms,
                prompt_tokens=370,
                output_tokens=130,
                reused_prefix_tokens=166,
                latency_ms=300 + number % 700,
            )
        else:
            yield JobProgressed(JobId(f"acme/train-{number % 1_000}@1"), 1, number + 1, 250_000)


# --- workers --------------------------------------------------------------------------------------


def _stock(there: Connection, topology: Topology, count: int) -> Run:
    """Intake's Faust host."""
    intake = FaustIntake(there, topology)

    async def watch() -> Run:
        begun = await _begin(lambda: intake.taken)
        await _until(lambda: intake.taken >= count)
        await intake.checkpoint()
        return _since(begun)

    return _run_app(intake.app, watch)


def _bare_stock(there: Connection, topology: Topology, count: int) -> Run:
    """A stock Faust agent."""
    app: Any = faust.App(f"bare-{uuid.uuid4().hex}", **settings(there, topology))
    topics = app.topic(*(t.name for t in topology.upstream), value_type=bytes, key_type=bytes)
    seen = 0

    async def decode(stream: Any) -> None:  # noqa: ANN401  # Faust's are loose
        nonlocal seen
        async for event in stream.events():
            _decode(event.message.headers, event.message.value)
            seen += 1

    app.agent(topics, concurrency=1, name="bare")(decode)

    async def watch() -> Run:
        begun = await _begin(lambda: seen)
        await _until(lambda: seen >= count)
        return _since(begun)

    return _run_app(app, watch)


def _batched(there: Connection, topology: Topology, count: int) -> Run:
    """Intake's batched host."""
    intake = BatchedIntake(there, topology)
    while not intake.taken:
        intake.step(1)
    begun = _now()
    intake.run(lambda: intake.taken >= count)
    return _since(begun)


def _bare_batched(there: Connection, topology: Topology, count: int) -> Run:
    """A bare confluent-kafka loop."""
    consumer = Consumer(
        there.settings() | {"group.id": f"bare-{uuid.uuid4().hex}", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic.name for topic in topology.upstream])
    seen, begun = 0, None
    while seen < count:
        for message in consumer.consume(2_000, 0.1):
            begun = begun or _now()
            _decode(cast("Headers | None", message.headers()), message.value())
            seen += 1
    assert begun is not None
    found = _since(begun)
    consumer.close()
    return found


def _decode(headers: Headers | None, value: bytes | None) -> Event:
    published = from_record(headers, value)
    assert not isinstance(published, Refused)
    return decode_event(published.ce_type, published.payload)


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(begun: tuple[float, float]) -> Run:
    wall, cpu = _now()
    return Run(wall - begun[0], cpu - begun[1])


async def _begin(seen: Callable[[], int]) -> tuple[float, float]:
    await _until(lambda: bool(seen()))
    return _now()


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  # counters of a stream that tells nobody
        await asyncio.sleep(0.002)


def _run_app(app: Any, watch: Callable[[], Any]) -> Run:  # noqa: ANN401  # Faust's are loose
    """Run a Faust app until its watch is over."""

    async def whole() -> Run:
        await app.start()
        found: Run = await watch()
        await app.stop()
        return found

    return asyncio.run(whole())


_ANCHORS: dict[Worker, str] = {
    _bare_stock: "stock Faust agent",
    _bare_batched: "bare confluent-kafka loop",
}


# --- processes ------------------------------------------------------------------------------------

_WORKERS: dict[str, Worker] = {
    worker.__name__: worker for worker in (_stock, _bare_stock, _batched, _bare_batched)
}


def _measured(there: Connection, worker: Worker, count: int, mix: str) -> Run:
    """Run a worker in a process of its own, on topics of its own."""
    topology = declare(prefix=f"{uuid.uuid4().hex}.", partitions=2)
    assert Admin(there).apply(topology).done
    upstream = Upstream(there, topology, "lz4")
    for number, event in enumerate(_records(count, mix)):
        upstream.publish(event, str(number))
    upstream.flush()
    command = (sys.executable, "-m", "tests.bench.bench_intake", worker.__name__)
    arguments = (there.bootstrap, topology.prefix, str(count))
    told = subprocess.run(
        [*command, *arguments], check=True, capture_output=True, timeout=300
    )  # ourselves
    return msgjson.decode(told.stdout.splitlines()[-1], type=Run)


@contextmanager
def _broker() -> Generator[Connection]:
    with tempfile.TemporaryDirectory() as folder, own_broker(Path(folder)) as layout:
        yield connection(Path(folder), layout)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        name, bootstrap, prefix, count = sys.argv[1:]
        topics = declare(prefix=prefix, partitions=2)
        found = _WORKERS[name](Connection(bootstrap), topics, int(count))
        print(msgjson.encode(found).decode())
    else:
        for result in run():
            print(json.dumps(result))
