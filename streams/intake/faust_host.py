# SPDX-License-Identifier: Apache-2.0
"""The Faust host of the reducer: one stock agent over all upstream topics.

Faust 0.15.3 loses events, stalls and exposes itself in measured ways. What keeps it from that is
here, each with a test in `tests/intake/test_faust_traps.py`:

- `concurrency=1`, and acks only in the order of the log: a later ack must never commit an earlier
  record away.
- The agent never raises: an exception acks the event, and drops what waits behind it. What cannot
  be handled ends the process before anything is acked.
- No `take`: an exception in it loses what it has buffered. Records are acked by hand at a
  checkpoint, in the order that `streams.intake.worker` gives.
- At least once: Faust's transactions do not cover topics that the app does not read.
- One agent on real topics; an app on channels alone crashes.
- A buffer far larger than a fetch; a full one pauses its partition for a second.
- What Faust passes over is noticed: after a rebalance it may drop records that it takes for read,
  or stop reading a partition. Either ends the process, and its successor reads on from what is
  committed.
- No web server; it would show tables to everybody on the network.
- Topics are declared by the project: Faust creates none, and needs no leader topic.
- Raw bytes in and out; no codec that runs what it reads.
"""

import asyncio
import gc
import os
import ssl
import tempfile
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NoReturn

import faust
import structlog
from faust.types import TP

from streams.intake.faust_consumer import EagerConsumer
from streams.intake.fold_rules import FOLD, FoldRules
from streams.intake.gaps import holds_records
from streams.intake.outbox import LEAVE_S, Outbox
from streams.intake.worker import SESSION_S, Place, Worker
from streams.kafka.connection import Connection
from streams.kafka.topics import CELLS_TABLE, INTAKE, Topology

# Much of Faust is typed loosely or not at all: Any stays inside this module.

CHECKPOINT_S = 0.5
MOST_PENDING = 20_000
"""Records taken in and not yet acked; more wait for the next checkpoint."""

BUFFER = 65_536
FETCH_BYTES = 1_048_576
COMMIT_S = 1.0
STALL_S, BUSY_STALL_S = 30.0, 300.0
"""A partition with records to read from which none came for so long stands still: where none came
from any other either, and where the worker is busy with those."""

_SETTLE_S = 0.002
_MS = 1_000
_BUG, _UNSETTLED = 70, 1
"""The exit codes of a process that cannot go on, EX_SOFTWARE, and of one that left unsettled."""


def settings(connection: Connection, topology: Topology) -> dict[str, Any]:
    """Return what a Faust app of intake is told; `docs/intake.md` says why."""
    return {
        "broker": [f"kafka://{address}" for address in connection.bootstrap.split(",")],
        "broker_credentials": _credentials(connection),
        "processing_guarantee": "at_least_once",
        "store": "memory://",
        # Faust makes a folder for its tables, though these are in memory; it stays empty.
        "datadir": str(Path(tempfile.gettempdir()) / f"{topology.group(INTAKE)}-faust"),
        "key_serializer": "raw",
        "value_serializer": "raw",
        "topic_partitions": topology.cells.partitions,
        "topic_replication_factor": topology.replication,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "table_standby_replicas": 1,
        "stream_buffer_maxsize": BUFFER,
        "stream_wait_empty": True,
        "consumer_max_fetch_size": FETCH_BYTES,
        "consumer_auto_offset_reset": "earliest",
        "broker_commit_interval": COMMIT_S,
        "broker_session_timeout": SESSION_S,
        "broker_heartbeat_interval": SESSION_S / 4,
        "broker_request_timeout": 90.0,
        "web_enabled": False,
        "producer_acks": -1,
        "producer_compression_type": "lz4",
        "autodiscover": False,
        "origin": None,
    }


def _credentials(connection: Connection) -> object:
    """Return who the app is under mutual TLS, or None where the broker asks for none."""
    security = connection.security
    if security is None:
        return None
    context = ssl.create_default_context(cafile=str(security.authority))
    context.load_cert_chain(str(security.certificate), str(security.key))
    return faust.SSLCredentials(context)


class FaustIntake:
    """One worker of a group, as a Faust app. `app` is what a Faust worker runs."""

    def __init__(
        self,
        connection: Connection,
        topology: Topology,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        fold: FoldRules = FOLD,
    ) -> None:
        """Declare app, table and agent; nothing is connected before the app starts."""
        self._now_ms = now_ms
        self._fold = fold
        self._connection = connection
        self._group = topology.group(INTAKE)
        self._upstream = frozenset(topic.name for topic in topology.upstream)
        self._worker = Worker(topology.rules, fold)
        self._outbox = Outbox(connection, topology)
        self._pending: list[Any] = []
        self._stream: Any = None
        self._settling = asyncio.Lock()
        self._next: dict[Place, int] = {}
        self._moved_at: dict[Place, float] = {}
        self._asked_at = 0.0
        self._settled: Callable[[], None] = lambda: None
        self.taken = self._taken_before = 0
        self.app: Any = _App(topology.group(INTAKE), **settings(connection, topology))
        self.app.intake = self
        transport: Any = self.app.transport
        transport.Consumer = EagerConsumer
        self._cells: Any = self.app.Table(
            CELLS_TABLE,
            key_type=bytes,
            value_type=bytes,
            partitions=topology.cells.partitions,
        )
        names = [topic.name for topic in topology.upstream]
        channel = self.app.topic(*names, value_type=bytes, key_type=bytes, allow_empty=True)
        self.app.agent(channel, concurrency=1, name="intake")(self._agent)
        self.app.on_partitions_revoked.connect(self._on_partitions, weak=False)
        self.app.on_partitions_assigned.connect(self._on_partitions, weak=False)

    def run(self, settled: Callable[[], None] = lambda: None) -> None:
        """Take in until the process is told to stop (SIGINT, SIGTERM).

        `settled` is called after each checkpoint. Where no broker answers this ends the process
        within `LEAVE_S` all the same: what was not settled then is read again by whoever comes
        next.
        """
        self._settled = settled
        gc.collect()
        gc.freeze()  # what was loaded stays; looking through it again and again costs a tenth
        worker = _FaustWorker(
            self.app,
            quiet=True,
            loglevel="WARNING",
            redirect_stdouts=False,
            override_logging=False,
        )
        try:
            worker.execute_from_commandline()
        except SystemExit as ended:  # Faust ends the process, which is not its own here
            if ended.code:
                raise

    # --- records --------------------------------------------------------------------------------

    async def _agent(self, stream: Any) -> None:  # noqa: ANN401  # Faust's are loose
        """Take in record by record; never raise."""
        self._stream = stream.noack()
        events: AsyncIterator[Any] = self._stream.events()
        async for event in events:
            try:
                self._take(event)
                if len(self._pending) >= MOST_PENDING:
                    await self.checkpoint()
            except Exception:  # noqa: BLE001  # whatever it is, Faust would ack the event
                _end("a record could not be taken in")

    def _take(self, event: Any) -> None:  # noqa: ANN401  # Faust's are loose
        message = event.message
        place: Place = (message.topic, message.partition)
        expected = self._expected(place)
        if message.offset > expected:
            self._look_into(place, expected, message.offset)
        if not self._worker.owns(place):
            self._worker.assign(place, self._cells.get)
        now_ms = self._now_ms()
        record = (
            message.offset,
            int(message.timestamp * _MS),
            message.headers,
            message.value,
        )
        for output in self._worker.take(place, record, now_ms):
            self._outbox.send(output, now_ms)
        self._next[place] = message.offset + 1
        self._moved_at[place] = time.monotonic()
        self._pending.append(event)
        self.taken += 1

    def _expected(self, place: Place) -> int:
        """Return where to go on in a partition: behind the last record, or at what is committed."""
        known = self._next.get(place)
        if known is not None:
            return known
        committed: int | None = self.app.consumer._committed_offset.get(TP(*place))  # noqa: SLF001  # said nowhere else
        return committed or 0

    def _look_into(self, place: Place, expected: int, offset: int) -> None:
        """End the process if Faust passed over records before `offset`."""
        if holds_records(self._connection, self._group, place, expected, offset):
            _end(f"Faust passed over records of {place} between {expected} and {offset}")

    async def let_time_pass(self) -> None:
        """Let time pass in the partitions whose end is where we are, by the broker's own word."""
        now = time.monotonic()
        if now < self._asked_at + self._fold.sweep_ms / _MS:
            return
        self._asked_at = now
        try:
            consumer: Any = self.app.consumer
            assigned = [tp for tp in consumer.assignment() if tp.topic in self._upstream]
            ends: dict[Any, int] = await consumer.highwaters(*assigned) if assigned else {}
        except Exception:  # noqa: BLE001  # whatever it is, no broker answers: nobody's silence
            self._moved_at.clear()
            return
        patience_s = STALL_S if self.taken == self._taken_before else BUSY_STALL_S
        self._taken_before = self.taken
        for tp, end in ends.items():
            self._watch((tp.topic, tp.partition), end, now, patience_s)
        for place in self._worker.places:
            if self._next.get(place, -1) >= ends.get(TP(*place), 0):
                now_ms = self._now_ms()
                for output in self._worker.quiet(place, now_ms):
                    self._outbox.send(output, now_ms)

    def _watch(self, place: Place, end: int, now: float, patience_s: float) -> None:
        """End the process if a partition with records to read has stood still for long."""
        expected = self._expected(place)
        if expected >= end:
            self._moved_at[place] = now
        elif now - self._moved_at.setdefault(place, now) > patience_s:
            self._moved_at[place] = now
            self._look_into(place, expected, end)
            self._next[place] = end  # nothing but holes lies before it

    # --- checkpoints ----------------------------------------------------------------------------

    async def keep_settling(self) -> None:
        """Make checkpoints and let time pass, until cancelled."""
        while True:
            try:
                await self.checkpoint()
                await self.let_time_pass()
                self._settled()
            except Exception:  # noqa: BLE001  # whatever it is, nothing may be acked after it
                _end("a checkpoint could not be made")
            await asyncio.sleep(CHECKPOINT_S)

    async def checkpoint(self) -> None:
        """Settle, keep and ack, in the order that `streams.intake.worker` gives.

        Faust commits what is acked, after it has flushed what its tables changed.
        """
        async with self._settling:
            pending, self._pending = self._pending, []
            cells = self._worker.changed()
            sent = self._outbox.sent
            while not self._outbox.settled(sent):
                await asyncio.sleep(_SETTLE_S)
                self._outbox.serve()
            generation = self.app.consumer_generation_id if pending else None
            for cell in cells:
                self._keep(cell.key, cell.data, cell.partition)
            for event in pending:
                if event.message.generation_id == generation:
                    await self._stream.ack(event)

    def _keep(self, key: bytes, data: bytes, partition: int) -> None:
        self._cells.data[key] = data
        self._cells.send_changelog(partition, key, data)

    async def _on_partitions(self, *_: object, **__: object) -> None:
        """Own nothing until the next record: who owned it in between has changed its cells."""
        for place in self._worker.places:
            self._worker.revoke(place)
        self._next.clear()
        self._moved_at.clear()
        self._pending.clear()


class _App(faust.App):
    """A Faust app that settles as long as it runs, and to the end of its shutdown."""

    intake: FaustIntake
    _keeper: asyncio.Task[None] | None = None

    async def on_started(self) -> None:
        """Begin to settle."""
        await super().on_started()
        self._keeper = asyncio.get_running_loop().create_task(self.intake.keep_settling())

    async def on_stop(self) -> None:
        """Stop: Faust waits here for the acks of all that was taken in."""
        await super().on_stop()
        if self._keeper is not None:
            self._keeper.cancel()


class _FaustWorker(faust.Worker):
    """A Faust worker that ends when it is stopped: Faust would wait for its broker for ever."""

    async def stop(self) -> None:
        """Stop in good order, or end as a kill would, which intake survives."""
        late = threading.Timer(LEAVE_S, _end, ["the broker let it not leave", _UNSETTLED])
        late.daemon = True
        late.start()
        await super().stop()


def _end(why: str, code: int = _BUG) -> NoReturn:
    """End the process at once: nothing more is acked, so whoever comes next reads it again.

    An exception would not do: Faust acks the event that raised it.
    """
    structlog.get_logger().critical("intake ends", why=why, error=traceback.format_exc())
    os._exit(code)
