# SPDX-License-Identifier: Apache-2.0
"""`singlepool serve`: the long-running processes, one each.

All of them log JSON lines on stderr, show health, readiness and metrics on a port of the loopback
interface, and leave in good order on SIGTERM.
"""

import os
import socket
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Protocol

from cyclopts import App, Parameter
from cyclopts.validators import Number
from structlog.typing import FilteringBoundLogger

from analytics.archive import SEGMENT_RECORDS
from compose.archiving import ArchiveService, Archiving
from compose.arguments import Days
from compose.broker.layout import OPERATOR
from compose.health_shown import HealthPortNumber, health_shown
from compose.installation import HERE, Where
from compose.live_trace import LIVE_DAYS, live_workload
from compose.places import DEFAULT_HOME, RunFolder
from compose.serve_slurm import serve_slurm
from engine.policies import BY_NAME
from schemas.errors import InternalError
from streams.intake.batched import BatchedIntake
from streams.intake.lost import end_process
from streams.kafka.reader import KafkaReader
from streams.kafka.topics import ANYBODY, ARCHIVER, ENGINE, INTAKE
from streams.live.pace import parse_pace
from streams.live.player_ends import PlayerSettings, run_player
from streams.live.ports import SystemClock
from streams.live.process import end_told, json_log, told_to_stop
from streams.live.running import EngineSettings, run_engine
from streams.live.vitals import Vitals

SERVED = DEFAULT_HOME / "live"

serve = App(name="serve", help="The long-running processes on a broker, one each.")

serve.command(serve_slurm, name="slurm")


PolicyName = Literal["pool", "fenced"]
"""The policies that come with the project, as one asks for them."""

Count = Annotated[int, Parameter(validator=Number(gte=1))]


class Host(StrEnum):
    """What carries intake's reducer; both give the same."""

    FAUST = "faust"
    BATCHED = "batched"


class Intake(Protocol):
    """What either host says of itself."""

    @property
    def ready(self) -> bool:
        """Whether the group gave it partitions, and the broker answers."""
        ...

    @property
    def taken(self) -> int:
        """How many records it took in."""
        ...

    @property
    def expired(self) -> int:
        """How many offsets were gone for their age before they were read."""
        ...


@serve.command(name="intake")
def serve_intake(
    *,
    where: Where = HERE,
    host: Host = Host.BATCHED,
    health_port: HealthPortNumber = None,
) -> None:
    """Take in what upstream publishes: validate, fold, forward to the engine, keep what is refused.

    Start as many as there is work for, up to six: they share the partitions.

    Example: singlepool serve intake --health-port 8081

    Parameters
    ----------
    host
        a stock Faust agent, or batches by Kafka's own client, which is faster.
    health_port
        shows /healthz, /readyz and /metrics; 0 takes a free one, none without.
    """
    vitals = Vitals(INTAKE, SystemClock())
    log = json_log().bind(process=INTAKE)
    with end_told(log), health_shown(vitals, health_port):
        take_in = _faust if host is Host.FAUST else _batched
        log.info("left", taken=take_in(where, vitals, log))


def _batched(where: Where, vitals: Vitals, log: FilteringBoundLogger) -> int:
    with told_to_stop() as told:
        intake = BatchedIntake(where.connection(INTAKE), where.topology(), log=log)
        log.info("taking in")

        def stop() -> bool:
            _touch(vitals, intake)
            return told.is_set()

        try:
            intake.run(stop)
        except InternalError:
            end_process(log, "a bug of its own")
    return intake.taken


def _faust(where: Where, vitals: Vitals, log: FilteringBoundLogger) -> int:
    from streams.intake.faust_host import FaustIntake  # noqa: PLC0415  # Faust loads for seconds

    intake = FaustIntake(where.connection(INTAKE), where.topology(), log=log)
    log.info("taking in")
    intake.run(lambda: _touch(vitals, intake))  # it hears signals itself
    return intake.taken


def _touch(vitals: Vitals, intake: Intake) -> None:
    vitals.touch(ready=intake.ready, taken_events=intake.taken, expired_offsets=intake.expired)


@serve.command(name="engine")
def serve_engine(  # noqa: PLR0913  # its options
    *,
    where: Where = HERE,
    owner: str = "",
    home: Path = SERVED,
    policy: PolicyName = "pool",
    activate: bool = False,
    snapshot_every: Count = 50_000,
    health_port: HealthPortNumber = None,
    pace: str = "",
) -> None:
    """Decide: lead, or stand by until the leader is gone. Start two, and one may always fail.

    Example: singlepool serve engine --owner left --health-port 8082

    Parameters
    ----------
    owner
        its name, which no other engine has; of several standbys the first by name leads next.
    home
        the folder for its snapshots; it may be lost, and may be shared with the other engines.
    policy
        what the first leader of an empty ledger puts in force.
    activate
        put the policy, and this build's rules, in force also where others are.
    snapshot_every
        records between two snapshots.
    health_port
        shows /healthz, /readyz and /metrics; 0 takes a free one, none without.
    pace
        START_MS,ANCHOR_MS,SPEED of virtual time, where a trace is played.
    """
    run_engine(
        EngineSettings(
            where.connection(ENGINE),
            where.topology(),
            owner or f"{socket.gethostname()}-{os.getpid()}",
            str(home / "snapshots"),
            BY_NAME[policy],
            snapshot_every,
            health_port,
            pace=parse_pace(pace) if pace else None,
            activate=activate,
        )
    )


@serve.command(name="player")
def serve_player(
    *,
    pace: str,
    where: Where = HERE,
    days: Days = LIVE_DAYS,
    hours: Count | None = None,
    domain: str = ANYBODY.name,
    health_port: HealthPortNumber = None,
) -> None:
    """Play the Philly trace: its upstream systems and node agents; `up` starts one with the rest.

    Example: singlepool serve player --pace 1506297600000,1764027171000,600 --days 21-22

    Parameters
    ----------
    pace
        START_MS,ANCHOR_MS,SPEED of virtual time, as the engines have it.
    hours
        play so many hours of the first days, and not all of them.
    domain
        the trust domain to publish as.
    health_port
        shows /healthz, /readyz and /metrics; 0 takes a free one, none without.
    """
    workload = live_workload(days, hours)
    settings = PlayerSettings(
        where.connection(OPERATOR),
        where.topology(),
        domain,
        parse_pace(pace),
        workload.end_ms,
        health_port,
    )
    run_player(settings, workload)


@serve.command(name="archive")
def serve_archive(
    *,
    where: Where = HERE,
    home: Path = SERVED,
    segment_records: Count = SEGMENT_RECORDS,
    seal: bool = False,
    health_port: HealthPortNumber = None,
) -> None:
    """Archive the ledger as it grows, each position exactly once; exit code 3 where one is missing.

    It goes on where the archive ends. A broker that is away and a disk that is full it outlasts.

    Example: singlepool serve archive --home out/live --health-port 8083

    Parameters
    ----------
    home
        the run's folder; the archive is in it, and questions go there: singlepool query --home.
    segment_records
        records of one segment; what does not fill one stays on the ledger alone.
    seal
        when told to stop, archive also what does not fill a segment.
    health_port
        shows /healthz, /readyz and /metrics; 0 takes a free one, none without.
    """
    clock, log = SystemClock(), json_log().bind(process=ARCHIVER)
    vitals = Vitals(ARCHIVER, clock)
    at, topology = where.connection(ARCHIVER), where.topology()
    told = Archiving(RunFolder(home).archive, segment_records, seal_at_end=seal)

    def open_ledger() -> KafkaReader:
        return KafkaReader(at, topology, ARCHIVER)

    with told_to_stop() as stop, health_shown(vitals, health_port), end_told(log):
        ArchiveService(told, open_ledger, vitals, log).run(stop.is_set, clock)
