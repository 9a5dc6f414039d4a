# SPDX-License-Identifier: Apache-2.0
"""`run_player(settings, workload)`: the trace player as a process on Kafka."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager

from msgspec import Struct

from schemas.codec import decode_directive
from schemas.directives import Directive
from schemas.errors import WorldError
from schemas.ledger import CorruptLedgerError
from streams.kafka.connection import Connection
from streams.kafka.feed import Feed
from streams.kafka.publisher import Publisher
from streams.kafka.reader import KafkaReader
from streams.kafka.rejected import RejectedLog
from streams.kafka.topics import READER, Topology
from streams.live.health import HealthPort
from streams.live.outputs import TYPE_HEADER
from streams.live.pace import Pace, PacedClock
from streams.live.process import json_log, told_to_stop
from streams.live.trace_player import LivePlayer, Stage
from streams.live.vitals import Vitals
from streams.traces.workload import Workload

_AGAIN_MS = 500


class PlayerSettings(Struct, frozen=True):
    """What a trace player is told: how virtual time passes, until when, and as whom it publishes.

    It reads and publishes by one connection, so on a secured broker it comes as the operator.
    """

    connection: Connection
    topology: Topology
    domain: str
    pace: Pace
    until_ms: int
    health_port: int | None = None


class KafkaOrders:
    """The topic of directives as a node agent reads it."""

    def __init__(self, connection: Connection, topology: Topology) -> None:
        """Listen from now on."""
        name = topology.directives.name
        self._feed = Feed(connection, name, f"{topology.group(READER)}.agents")

    def close(self) -> None:
        """Leave the broker."""
        self._feed.close()

    def take(self) -> Sequence[Directive]:
        """Return what came since the last call."""
        found: list[Directive] = []
        for message in self._feed.take():
            headers: Mapping[str, str | bytes | None] = dict(message.headers() or ())
            kind = headers.get(TYPE_HEADER)
            ce_type = kind.decode() if isinstance(kind, bytes) else ""
            found.append(decode_directive(ce_type, message.value() or b""))
        return found


def run_player(settings: PlayerSettings, workload: Workload) -> None:
    """Play until the workload's time is over, or until SIGTERM or SIGINT.

    A broker that is away it outlasts: it recalls from the ledger and goes on.
    """
    clock, log = PacedClock(settings.pace), json_log().bind(process="player")
    vitals = Vitals("player", clock)
    with ExitStack() as stack:
        told = stack.enter_context(told_to_stop())
        if settings.health_port is not None:
            port = stack.enter_context(
                closing(HealthPort(vitals, vitals.metrics, settings.health_port))
            )
            log.info("health", port=port.port)
        while not told.is_set():
            try:
                with _stage(settings, clock) as stage:
                    player = LivePlayer(stage, workload, settings.until_ms)
                    log.info("playing", position=player.head, now_ms=player.now_ms)
                    while not (told.is_set() or player.done):
                        player.turn()
                        _tell(vitals, player)
                    log.info("played", position=player.head, now_ms=player.now_ms)
                    return
            except CorruptLedgerError:
                raise
            except WorldError as error:
                log.warning("begins anew", error=str(error))
                vitals.touch(ready=False)
                clock.rest(_AGAIN_MS)


def _tell(vitals: Vitals, player: LivePlayer) -> None:
    vitals.touch(
        ready=True,
        now_ms=player.now_ms,
        position=player.head,
        published_events=player.published,
        under_way_events=player.under_way,
    )


@contextmanager
def _stage(settings: PlayerSettings, clock: PacedClock) -> Generator[Stage]:
    at, topology = settings.connection, settings.topology
    with ExitStack() as stack:
        orders = stack.enter_context(closing(KafkaOrders(at, topology)))
        yield Stage(
            ledger=stack.enter_context(closing(KafkaReader(at, topology))),
            orders=orders,
            outlet=stack.enter_context(closing(Publisher(at, topology, settings.domain))),
            refused=stack.enter_context(closing(RejectedLog(at, topology))),
            clock=clock,
        )
