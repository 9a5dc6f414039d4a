# SPDX-License-Identifier: Apache-2.0
"""`run_engine(settings)`: one engine process on Kafka, until a signal or another leader ends it."""

from contextlib import ExitStack, closing
from pathlib import Path

from msgspec import Struct

from engine.policies import POOL
from schemas.decisions import Policy
from streams.kafka.connection import Connection
from streams.kafka.topics import Topology
from streams.live.ends import Ends
from streams.live.health import HealthPort, Status
from streams.live.kafka_ends import KafkaBeats, KafkaHerald, KafkaInput, LiveKafkaLedger
from streams.live.leader import Manner
from streams.live.metrics import Metrics
from streams.live.pace import Pace, PacedClock
from streams.live.planner import ThreadPlanner
from streams.live.ports import SystemClock
from streams.live.process import end_told, json_log, told_to_stop
from streams.live.service import Service
from streams.live.watch import Patience
from streams.snapshots import SnapshotFolder


class EngineSettings(Struct, frozen=True):
    """What one engine is told.

    `owner`: its name, which no other engine of the installation has; of several standbys the first
    by name takes over first. `snapshots`: a folder for them, by ledger; it may be lost, and may be
    shared with the standby. `policy`: what the first leader of an empty ledger puts in force; with
    `activate`, any leader where another policy, or other rules than this build's, are in force.
    `health_port`: of the loopback interface; 0 takes a free one, None opens none. `pace`: how
    virtual time passes, where a trace is played; None is this machine's time.
    """

    connection: Connection
    topology: Topology
    owner: str
    snapshots: str
    policy: Policy = POOL
    snapshot_every: int = 50_000
    health_port: int | None = None
    patience: Patience = Patience()
    pace: Pace | None = None
    activate: bool = False


def run_engine(settings: EngineSettings) -> None:
    """Stand by and lead until SIGTERM or SIGINT, and then leave in good order.

    Every line that it logs is one JSON object on stderr. Raises `FencedError` where another engine
    has taken the ledger from this one, `InternalError` for a bug of ours, `CorruptLedgerError`
    where the ledger is not what was written, `HealthPortError` where its port is taken; a broker
    that is away it outlasts.
    """
    clock = SystemClock() if settings.pace is None else PacedClock(settings.pace)
    metrics = Metrics()
    status = Status(clock)
    log = json_log().bind(owner=settings.owner)
    with ExitStack() as stack:
        stack.enter_context(end_told(log))
        told = stack.enter_context(told_to_stop())
        at, topology = settings.connection, settings.topology
        ends = Ends(
            ledger=stack.enter_context(closing(LiveKafkaLedger(at, topology))),
            input=stack.enter_context(closing(KafkaInput(at, topology))),
            beats=stack.enter_context(closing(KafkaBeats(at, topology))),
            snapshots=SnapshotFolder(Path(settings.snapshots) / topology.ledger.name),
            herald=stack.enter_context(closing(KafkaHerald(at, topology, settings.owner))),
            planner=stack.enter_context(closing(ThreadPlanner())),
            clock=clock,
            metrics=metrics,
            status=status,
            log=log,
        )
        if settings.health_port is not None:
            port = stack.enter_context(closing(HealthPort(status, metrics, settings.health_port)))
            log.info("health", port=port.port)
        manner = Manner(
            settings.owner,
            settings.policy,
            settings.snapshot_every,
            settings.patience,
            settings.activate,
        )
        Service(ends, manner, told.is_set).run()
        log.info("left")
