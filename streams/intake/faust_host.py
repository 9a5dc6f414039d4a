# SPDX-License-Identifier: Apache-2.0
"""The Faust host of the reducer: one stock agent over all upstream topics.

Faust 0.15.3 loses events, stalls and exposes itself in measured ways. What keeps it from that is
here and in `streams.intake.faust_app`, each with a test in `tests/intake/test_faust_traps.py`:

- `concurrency=1`, and acks only in the order of the log: a later ack must never commit an earlier
  record away.
- The agent never raises: an exception acks the event, and drops what waits behind it. What cannot
  be handled ends the process before anything is acked.
- No `take`: an exception in it loses what it has buffered. Records are acked by hand at a
  checkpoint, in the order that `streams.intake.worker` gives.
- Faust writes no changelog: a commit waits a tenth of a second for it and then goes ahead without,
  and a failed write is a line in the log. Cells go the way of all that intake sends, by counted
  delivery reports.
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
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import structlog
from faust.types import TP
from structlog.typing import FilteringBoundLogger

from streams.intake.bounds import Bounds
from streams.intake.faust_app import App, FaustWorker, settings
from streams.intake.faust_consumer import EagerConsumer
from streams.intake.fold_rules import FOLD, FoldRules
from streams.intake.gaps import holds_records
from streams.intake.lost import UNSETTLED, IntakeLostError, end_process
from streams.intake.outbox import Outbox
from streams.intake.standstill import Standstills
from streams.intake.worker import Worker
from streams.kafka.connection import Connection
from streams.kafka.ends import Ends
from streams.kafka.topics import CELLS_TABLE, INTAKE, Place, Topology

CHECKPOINT_S = 0.5
MOST_PENDING = 20_000
"""Records taken in and not yet acked; more wait for the next checkpoint."""

STALL_S, BUSY_STALL_S = 30.0, 300.0
"""A partition with records to read from which none came for so long stands still: where none came
from any other either, and where the worker is busy with those."""

_SETTLE_S = 0.002
_MS = 1_000


class FaustIntake:
    """One worker of a group, as a Faust app. `app` is what a Faust worker runs."""

    def __init__(
        self,
        connection: Connection,
        topology: Topology,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        fold: FoldRules = FOLD,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        """Declare app, table and agent; nothing is connected before the app starts."""
        self._now_ms = now_ms
        self._fold = fold
        self._connection = connection
        self._group = topology.group(INTAKE)
        self._upstream = frozenset(topic.name for topic in topology.upstream)
        self._worker = Worker(topology.rules, fold)
        self._outbox = Outbox(connection, topology)
        self._log = log or structlog.get_logger()
        self._bounds = Bounds(Ends(connection), self._worker, self._log)
        self._pending: list[Any] = []
        self._stream: Any = None
        self._settling = asyncio.Lock()
        self._next: dict[Place, int] = {}
        self._standstills = Standstills()
        self._asked_at = 0.0
        self._settled: Callable[[], None] = lambda: None
        self.taken = self._taken_before = 0
        self.ready = False  # until the group gave it partitions, and while no broker answers
        self.app: Any = App(topology.group(INTAKE), **settings(connection, topology))
        self.app.settle = self.keep_settling
        transport: Any = self.app.transport
        transport.Consumer = EagerConsumer
        self._cells: Any = self.app.Table(
            CELLS_TABLE, key_type=bytes, value_type=bytes, partitions=topology.cells.partitions
        )
        names = [topic.name for topic in topology.upstream]
        channel = self.app.topic(*names, value_type=bytes, key_type=bytes, allow_empty=True)
        self.app.agent(channel, concurrency=1, name="intake")(self._agent)
        self.app.on_partitions_revoked.connect(self._on_partitions, weak=False)
        self.app.on_partitions_assigned.connect(self._on_partitions, weak=False)

    @property
    def expired(self) -> int:
        """How many offsets were gone for their age before they were read."""
        return self._bounds.expired

    def run(self, settled: Callable[[], None] = lambda: None) -> None:
        """Take in until the process is told to stop (SIGINT, SIGTERM).

        `settled` is called after each checkpoint. Where no broker answers this ends the process
        within `LEAVE_S` all the same: what was not settled then is read again by whoever comes
        next.
        """
        self._settled = settled
        gc.collect()
        gc.freeze()  # what was loaded stays; looking through it again and again costs a tenth
        worker = FaustWorker(
            self.app,
            quiet=True,
            loglevel="WARNING",
            redirect_stdouts=False,
            override_logging=False,
            late=lambda: end_process(self._log, "the broker let it not leave", UNSETTLED),
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
            except IntakeLostError as error:
                end_process(self._log, str(error), UNSETTLED)
            except Exception:  # noqa: BLE001  # whatever it is, Faust would ack the event
                end_process(self._log, "a record could not be taken in")

    def _take(self, event: Any) -> None:  # noqa: ANN401  # Faust's are loose
        message = event.message
        place: Place = (message.topic, message.partition)
        expected = self._expected(place)
        if message.offset > expected:
            self._look_into(place, expected, message.offset)
        self._own(place)
        self._bounds.make_sure(place)
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
        self._pending.append(event)
        self.taken += 1

    def _own(self, place: Place) -> None:
        if not self._worker.owns(place):
            self._worker.assign(place, self._cells.get)
            committed: int | None = self.app.consumer._committed_offset.get(TP(*place))  # noqa: SLF001  # said nowhere else
            self._bounds.look({place: -1 if committed is None else committed})

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
            why = f"Faust passed over records of {place} between {expected} and {offset}"
            end_process(self._log, why)

    async def let_time_pass(self) -> None:
        """Let time pass in the partitions whose end is where we are, by the broker's own word.

        Also where nothing has come yet: what a predecessor left may fall due.
        """
        now = time.monotonic()
        if now < self._asked_at + self._fold.sweep_ms / _MS:
            return
        self._asked_at = now
        ends = await self._ends()
        patience_s = STALL_S if self.taken == self._taken_before else BUSY_STALL_S
        self._taken_before = self.taken
        for place, end in ends.items():
            self._watch(place, end, now, patience_s)
            if self._expected(place) >= end:
                self._own(place)
                now_ms = self._now_ms()
                for output in self._worker.quiet(place, now_ms):
                    self._outbox.send(output, now_ms)

    async def _ends(self) -> dict[Place, int]:
        """Return the ends of our partitions; of none before their cells are recovered."""
        consumer: Any = self.app.consumer
        generation = self.app.consumer_generation_id
        try:
            assigned = [tp for tp in consumer.assignment() if tp.topic in self._upstream]
            ends: dict[Any, int] = await consumer.highwaters(*assigned) if assigned else {}
        except Exception:  # noqa: BLE001  # whatever it is, no broker answers: nobody's silence
            self._standstills.clear()
            self.ready = False
            return {}
        if not self.app.tables.actives_ready or self.app.consumer_generation_id != generation:
            return {}
        self.ready = bool(ends)
        return {(tp.topic, tp.partition): end for tp, end in ends.items()}

    def _watch(self, place: Place, end: int, now: float, patience_s: float) -> None:
        """End the process if a partition with records to read has stood still for long."""
        expected = self._expected(place)
        missing_before = self._standstills.see(place, expected, end, now, patience_s)
        if missing_before is not None:
            self._look_into(place, expected, missing_before)
            self._next[place] = missing_before  # nothing but holes lies before it

    # --- checkpoints ----------------------------------------------------------------------------

    async def keep_settling(self) -> None:
        """Make checkpoints and let time pass, until cancelled."""
        while True:
            try:
                await self.checkpoint()
                await self.let_time_pass()
                self._settled()
            except IntakeLostError as error:
                end_process(self._log, str(error), UNSETTLED)
            except Exception:  # noqa: BLE001  # whatever it is, nothing may be acked after it
                end_process(self._log, "a checkpoint could not be made")
            await asyncio.sleep(CHECKPOINT_S)

    async def checkpoint(self) -> None:
        """Settle, keep and ack, in the order that `streams.intake.worker` gives.

        Faust commits what is acked, in its own time.
        """
        async with self._settling:
            pending, self._pending = self._pending, []
            cells = self._worker.changed()
            await self._settle()
            for cell in cells:
                self._cells.data[cell.key] = cell.data
                self._outbox.keep(cell.key, cell.data, cell.partition)
            await self._settle()
            generation = self.app.consumer_generation_id if pending else None
            for event in pending:
                if event.message.generation_id == generation:
                    await self._stream.ack(event)

    async def _settle(self) -> None:
        """Wait until all that was sent so far is delivered. Raises `UndeliveredError`."""
        sent = self._outbox.sent
        while not self._outbox.settled(sent):
            await asyncio.sleep(_SETTLE_S)
            self._outbox.serve()

    async def _on_partitions(self, *_: object, **__: object) -> None:
        """Own nothing until the next record: who owned it in between has changed its cells."""
        for place in self._worker.places:
            self._worker.revoke(place)
        self._next.clear()
        self._standstills.clear()
        self._pending.clear()
