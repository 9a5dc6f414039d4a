# SPDX-License-Identifier: Apache-2.0
"""`singlepool up`: all of an installation on this machine, playing a trace, until that has ended.

Broker, topics, intake, two engines, archiver and trace player, each a process of its own. One that
dies is started again. In the end the state is told three times (by the engine that decided, by a
fold of the ledger, by a fold of the archive with every plan made again), and must be one.
"""

import shutil
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from analytics.tables import Output
from compose.answers import answer_object, tell
from compose.arguments import Days, OneIn, Shown
from compose.broker.layout import OPERATOR, new_layout, saved
from compose.broker.making import make_broker
from compose.broker.nodes import pid_of, start, stop
from compose.crew import Crew, Member, left_running
from compose.exits import Exit, UsageError
from compose.installation import HERE, Where
from compose.live_proof import Ended, Proof, proof
from compose.live_trace import LIVE_DAYS, live_workload
from compose.live_view import leader_of, standing, view
from compose.places import RunFolder
from compose.serve import SERVED
from schemas.codec import decode_record
from schemas.errors import WorldError
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.plan import Action
from streams.kafka.reader import KafkaReader
from streams.kafka.topics import Topology
from streams.live.pace import Pace
from streams.live.process import told_to_stop

ENGINES = ("engine", "standby")
PORT = 9092

_LOGS = "logs"
_LOOK_S = 0.2
_SHOWN = 16
_SETTLE_MS = 8_000
"""From when processes are started until virtual time begins to pass: they are there by then."""


class TopicsDifferError(WorldError):
    """The topics of a broker are not what is declared, and cannot be made so from here."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Play:
    """What is played, and how fast."""

    days: Days = LIVE_DAYS
    hours: Annotated[
        int | None,
        Parameter(validator=Number(gte=1), help="play so many hours of the days, and not all"),
    ] = None
    speed: Annotated[
        int,
        Parameter(validator=Number(gte=1), help="virtual seconds in a second; 600: a day in 144 s"),
    ] = 600


PLAY = Play()


def up(  # noqa: PLR0913  # its options
    *,
    where: Where = HERE,
    play: Play = PLAY,
    home: Path = SERVED,
    port: int = PORT,
    tls: bool = False,
    resume: bool = False,
    verify_one_in: OneIn = 1,
    output: Shown = Output.TABLE,
) -> int:
    """Run all of it here: broker, intake, engine, standby, archiver, and a trace that is played.

    Ends when the trace's time is over, with every plan made again and all digests
    compared; exit code 3 if anything differs. Ctrl+C stops all in good order.

    Example: singlepool up --days 21-22 --speed 600

    Parameters
    ----------
    home
        the run's folder: broker, logs, snapshots, archive; an earlier run there is replaced.
    port
        of the broker that is started; with --bootstrap, none is.
    tls
        start it with mutual TLS: each process has a certificate and may do its own part alone.
    resume
        go on with the run that is there.
    """
    _hold_alone(home / _LOGS)
    workload = live_workload(play.days, play.hours)
    with told_to_stop() as told, _broker(where, home, port, tls=tls, resume=resume) as here:
        at = here.connection(OPERATOR)
        topology, reached_ms = _made_ready(here, at, workload.start_ms, resume=resume)
        if not resume:
            _empty(home)  # not before: of a run that may not be, the folder is somebody's
        pace = Pace(reached_ms, _soon_ms(), play.speed)
        with Crew(_members(here, home, pace, play), home / _LOGS) as crew:
            crew.start("intake", ENGINES[0], "archive", "player")
            _await_leader(crew, told.is_set)
            crew.start(*ENGINES[1:])
            _watch(crew, told.is_set)
            if told.is_set():
                tell("stopping all in good order")
            _leave(crew)
            ended = Ended(at, topology, RunFolder(home), verify_one_in, crew.restarts)
        if told.is_set():
            raise KeyboardInterrupt
        proved = proof(ended)
    answer_object(_for(proved, output), output, f"{workload.name}, live")
    if not proved.sound:
        tell("the digests or the plans differ; singlepool replay --verify names the first plan")
    return Exit.DONE if proved.sound else Exit.DIVERGED


def _hold_alone(logs: Path) -> None:
    """Let nothing of an earlier run go on beside this one. Raises `UsageError`."""
    if left := left_running(logs):
        named = ", ".join(f"{name} (process {pid})" for name, pid in left.items())
        msg = (
            f"of an earlier run with logs in {logs} there still runs {named}: end that run, or take"
            f" another --home; where it was killed itself, kill {' '.join(map(str, left.values()))}"
        )
        raise UsageError(msg)


def _empty(home: Path) -> None:
    """Remove what an earlier run left, but for its broker."""
    for name in (_LOGS, "snapshots"):
        shutil.rmtree(home / name, ignore_errors=True)
    RunFolder(home).emptied()


def _remove_earlier(home: Path) -> None:
    """Remove an earlier run with its broker. Raises `UsageError` where a node of that runs."""
    folder = home / "broker"
    layout = saved(folder)
    running = [pid for node in layout.nodes if (pid := pid_of(folder, node))] if layout else []
    if running:
        msg = (
            f"the broker in {folder} runs (process {running[0]}), and an earlier run may use it: "
            f"end that, or singlepool broker down --home {folder}; --resume goes on with it"
        )
        raise UsageError(msg)
    shutil.rmtree(folder, ignore_errors=True)
    _empty(home)


def _for(proved: Proof, output: Output) -> dict[str, object]:
    """Return what was proved; people tell digests apart by their beginnings."""
    fields = proved.fields()
    if output is Output.TABLE:
        short = {n: str(v)[:_SHOWN] for n, v in fields.items() if n.endswith("_digest")}
        return {**fields, **short}
    return fields


@contextmanager
def _broker(where: Where, home: Path, port: int, *, tls: bool, resume: bool) -> Generator[Where]:
    """Name a broker that runs: the one that was named, or one that is started for the run.

    One that is started is of this run alone: without `resume` nothing of an earlier one is left.
    """
    if where.bootstrap:
        if tls:
            msg = (
                "--tls is for the broker that is started; one that is named has its --certificates"
            )
            raise UsageError(msg)
        yield where
        return
    if not resume:
        _remove_earlier(home)
    folder = home / "broker"
    layout = saved(folder) or make_broker(folder, new_layout(1, port, tls=tls), where.domains)
    if layout.tls != tls:
        how = "with" if layout.tls else "without"
        msg = f"{folder} holds a broker made {how} --tls: go on so, or begin anew without --resume"
        raise UsageError(msg)
    start(folder, layout)
    try:
        yield replace(where, broker=folder)
    finally:
        stop(folder, layout.nodes)


def _made_ready(
    here: Where, at: Connection, start_ms: int, *, resume: bool
) -> tuple[Topology, int]:
    """Make the topics what is declared, in the replication that the ledger has there.

    Return them and the virtual time that the ledger has reached. Where it may not be played, or
    where what is left is a human's to do, it raises before anything is changed.
    """
    admin = Admin(at)
    found = admin.found()
    topology = here.topology_as_found(found)
    if any(topic.name == topology.ledger.name for topic in found):
        start_ms = _reached(at, topology, start_ms, resume=resume)
    plan = admin.plan(topology)
    left = plan if plan.by_hand else admin.apply(topology)
    if not left.done:
        steps = [step for step in left.steps if step.action is not Action.LEAVE]
        first = next((step for step in steps if step.action is Action.BY_HAND), steps[0])
        msg = (
            f"topics at {at.bootstrap} are not what is declared: {first.setting} of "
            f"{first.topic} is {first.found or 'none'} and not {first.wanted or 'none'} "
            f"({first.action}); singlepool topics plan shows all, or take another --prefix"
        )
        raise TopicsDifferError(msg)
    return topology, start_ms


def _reached(at: Connection, topology: Topology, start_ms: int, *, resume: bool) -> int:
    """Return the virtual time that a ledger has reached."""
    with KafkaReader(at, topology) as ledger:
        head = ledger.head()
        if not head:
            return start_ms
        if not resume:
            msg = f"{topology.ledger.name} holds {head:,} records: --resume, or another --prefix"
            raise UsageError(msg)
        record = decode_record(ledger.read(head - 1, 1)[0])
        return max(start_ms, record.recorded_ms if record else start_ms)


def _soon_ms() -> int:
    return time.time_ns() // 1_000_000 + _SETTLE_MS


def _members(where: Where, home: Path, pace: Pace, play: Play) -> Sequence[Member]:
    at = ["--broker", str(where.broker_folder), "--prefix", where.prefix, "--health-port", "0"]
    if where.bootstrap:
        at += ["--bootstrap", where.bootstrap]
    if where.certificates is not None:
        at += ["--certificates", str(where.certificates)]
    if where.domains is not None:
        at += ["--domains", str(where.domains)]
    virtual = ["--pace", pace.text()]
    played = ["--days", f"{play.days[0]}-{play.days[-1]}"]
    if play.hours is not None:
        played += ["--hours", str(play.hours)]
    kept = ["--home", str(home)]
    return (
        Member("intake", ["intake", *at]),
        *(Member(name, ["engine", *at, "--owner", name, *kept, *virtual]) for name in ENGINES),
        Member("archive", ["archive", *at, *kept, "--seal"]),
        Member("player", ["player", *at, *virtual, *played]),
    )


def _await_leader(crew: Crew, stop: Callable[[], bool]) -> None:
    """Let the engine lead before there is a standby: people look for the leader under its name."""
    tell(f"waiting until {ENGINES[0]} leads; its log is {crew.log(ENGINES[0])}")
    while not (stop() or leader_of(crew, ENGINES)):
        crew.look()
        time.sleep(_LOOK_S)


def _watch(crew: Crew, stop: Callable[[], bool]) -> None:
    """Show how all of it stands until the trace has ended; start again who dies."""
    with view(Console(stderr=True)) as shown:
        next_at = time.monotonic()
        while not stop() and crew.ended("player") != Exit.DONE:
            crew.look()
            if time.monotonic() >= next_at:
                shown.show(standing(crew, ENGINES))
                next_at = time.monotonic() + shown.every_s
            time.sleep(_LOOK_S)


def _leave(crew: Crew) -> None:
    """Stop all, from the source of events on: who stands by before who leads, the archive last."""
    leader = leader_of(crew, ENGINES) or ENGINES[0]
    engines = sorted(ENGINES, key=lambda name: name == leader)
    for name in ("player", "intake", *engines, "archive"):
        if name in crew.names:
            crew.stop(name)
