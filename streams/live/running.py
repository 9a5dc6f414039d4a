# SPDX-License-Identifier: Apache-2.0
"""`run_engine(settings)`: one engine process on Kafka, until a signal or another leader ends it."""

import signal
import sys
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Event, current_thread, main_thread
from types import FrameType

import structlog
from msgspec import Struct
from structlog.typing import FilteringBoundLogger

from engine.policies import POOL
from schemas.decisions import Policy
from streams.kafka.connection import Connection
from streams.kafka.topics import Topology
from streams.live.ends import Ends
from streams.live.health import HealthPort, Status
from streams.live.kafka_ends import KafkaBeats, KafkaHerald, KafkaInput, LiveKafkaLedger
from streams.live.leader import Manner
from streams.live.metrics import Metrics
from streams.live.planner import ThreadPlanner
from streams.live.ports import SystemClock
from streams.live.service import Service
from streams.live.watch import Patience
from streams.snapshots import SnapshotFolder


class EngineSettings(Struct, frozen=True):
    """What one engine is told.

    `owner`: its name, which no other engine of the installation has; of several standbys the first
    by name takes over first. `snapshots`: a folder for them; it may be lost, and may be shared with
    the standby. `policy`: what the first leader of an empty ledger activates, and of no meaning
    after that. `health_port`: of the loopback interface; 0 takes a free one, None opens none.
    """

    connection: Connection
    topology: Topology
    owner: str
    snapshots: str
    policy: Policy = POOL
    snapshot_every: int = 50_000
    health_port: int | None = None
    patience: Patience = Patience()


def run_engine(settings: EngineSettings) -> None:
    """Stand by and lead until SIGTERM or SIGINT, and then leave in good order.

    Every line that it logs is one JSON object on stderr. Raises `FencedError` where another engine
    has taken the ledger from this one, `InternalError` for a bug of ours, `CorruptLedgerError`
    where the ledger is not what was written; a broker that is away it outlasts.
    """
    clock, metrics = SystemClock(), Metrics()
    status = Status(clock)
    with ExitStack() as stack:
        told = stack.enter_context(_told_to_stop())
        at, topology = settings.connection, settings.topology
        ends = Ends(
            ledger=stack.enter_context(closing(LiveKafkaLedger(at, topology))),
            input=stack.enter_context(closing(KafkaInput(at, topology))),
            beats=stack.enter_context(closing(KafkaBeats(at, topology))),
            snapshots=SnapshotFolder(Path(settings.snapshots)),
            herald=stack.enter_context(closing(KafkaHerald(at, topology, settings.owner))),
            planner=stack.enter_context(closing(ThreadPlanner())),
            clock=clock,
            metrics=metrics,
            status=status,
            log=engine_log().bind(owner=settings.owner),
        )
        if settings.health_port is not None:
            port = stack.enter_context(closing(HealthPort(status, metrics, settings.health_port)))
            ends.log.info("health", port=port.port)
        manner = Manner(settings.owner, settings.policy, settings.snapshot_every, settings.patience)
        Service(ends, manner, told.is_set).run()
        ends.log.info("left")


def engine_log() -> FilteringBoundLogger:
    """Return a log of JSON lines on stderr, each with the time of day."""
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    return log


@contextmanager
def _told_to_stop() -> Generator[Event]:
    """Give what SIGTERM and SIGINT set; signals reach the main thread alone."""
    told = Event()
    if current_thread() is not main_thread():
        yield told
        return

    def tell(_: int, __: FrameType | None) -> None:
        told.set()

    before = {number: signal.signal(number, tell) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
