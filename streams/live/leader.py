# SPDX-License-Identifier: Apache-2.0
"""The leader: the one writer of the ledger, at its own pace.

It never waits for a plan: a cycle is planned aside on a cut while events go on, and lands on the
head when it is made. Each turn is one short transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.rules import CURRENT_RULES
from engine.state import State
from engine.wakeup import next_wakeup
from schemas.decisions import Policy, PolicyActivated, RulesActivated
from schemas.errors import WorldError
from schemas.ledger import Batch as LedgerBatch
from schemas.ledger import FencedError, Lease, RejectedEvent
from streams.build import fingerprint
from streams.host import Batch, Host, PendingCycle, rejected_event
from streams.intake import take_in
from streams.live.cycle_line import Durations, cycle_line
from streams.live.ends import Ends
from streams.live.following import Follower
from streams.live.heart import Heart, Pulse
from streams.live.keeping import Keeper
from streams.live.outputs import follows
from streams.live.ports import NOTHING, Arrived, Role
from streams.live.recorded import RecordedTime
from streams.live.watch import Patience, Watch

AT_ONCE = 500
"""Most events of one turn: what keeps a transaction short while a backlog is worked off."""

WAIT_MS = 20
"""How long a turn waits for the first event; a plan that is made meanwhile lands so much later."""

COUNT_MS = 1_000
"""How often gauges of the whole state are brought up to date: a census looks at every job."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How an engine works: its name, its policy, how it keeps and beats.

    Policy and this build's rules are put in force on an empty ledger, and with `activate` wherever
    others are in force.
    """

    owner: str
    policy: Policy
    snapshot_every: int
    patience: Patience
    activate: bool = False


@dataclass(frozen=True, slots=True)
class _Planning:
    """A cycle that is being planned aside, and the steady moment of its cut."""

    pending: PendingCycle
    since_ms: int


@dataclass(frozen=True, slots=True)
class _Landed:
    """A plan's batch, and how long the plan took."""

    batch: Batch
    planned_ms: int


@dataclass(frozen=True, slots=True)
class Reign:
    """The lease that a leader holds, and the beats that say so."""

    lease: Lease
    heart: Heart


def _to_put_in_force(manner: Manner, state: State) -> Sequence[RulesActivated | PolicyActivated]:
    """Return what a new leader records before anything else."""
    if state.head and not manner.activate:
        return ()
    news: list[RulesActivated | PolicyActivated] = []
    if not state.head or state.rules.version != CURRENT_RULES:
        news.append(RulesActivated(CURRENT_RULES))
    if state.policy != manner.policy:
        news.append(PolicyActivated(manner.policy))
    return news


class Leader:
    """Holds the lease, and the state at the head of the ledger. Made anew after any error."""

    def __init__(
        self, ends: Ends, manner: Manner, watch: Watch, follower: Follower, reign: Reign
    ) -> None:
        """Go on from a state at the ledger's head, under a lease taken before it was read."""
        self._ends, self._watch, self._reign = ends, watch, reign
        self._host = Host(follower.state, fingerprint(), follower.digest)
        self._last = follower.last
        self._keeper = Keeper(ends.snapshots, ends.herald, manner.snapshot_every, follower.began)
        self._time = RecordedTime(ends.clock)
        self._planning: _Planning | None = None
        self._looked_ms = 0
        self._counted_head, self._count_ms = -1, 0
        news = _to_put_in_force(manner, self.state)
        if news:
            batch = self._host.activate(news, self._time.now_ms(self.state.now_ms))
            self._append([batch], NOTHING, ())

    @property
    def state(self) -> State:
        """The state at the ledger's head; between turns, all of it is durable."""
        return self._host.state

    def digest(self) -> bytes:
        """Return the state's digest."""
        return self._host.digest.update(self.state)

    def turn(self) -> None:
        """Do what there is to do now, in at most one transaction. Raises `FencedError`."""
        # 1. Take what has arrived, or wait a moment for it.
        arrived = self._ends.input.poll(AT_ONCE, WAIT_MS)
        now_ms = self._time.now_ms(self.state.now_ms)
        # 2. Admit it, and land the plan that was made meanwhile on what it made of the state.
        taken = take_in(arrived.events)
        batches = [self._host.admit(taken.accepted, now_ms)]
        landed = self._land(now_ms)
        if landed is not None:
            batches.append(landed.batch)
        # 3. Cut, so that the next plan is made while this turn's batch is carried.
        self._look(now_ms)
        # 4. Append it all, with what follows from it, or nothing.
        refused = [refusal.stored(now_ms) for refusal in taken.refused]
        refused += [rejected_event(r, now_ms) for batch in batches for r in batch.refused]
        append_ms = self._append(batches, arrived, refused)
        # 5. Say so, keep a snapshot if it is time, and show signs of life.
        if landed is not None and landed.batch.planned:
            self._tell(landed, append_ms)
        self._keep()
        self._count()
        self._live()

    def close(self, *, leaving: bool) -> None:
        """Stop beating; with `leaving`, let a standby take over at once, and keep a snapshot.

        A plan that is being made comes to nothing: whoever leads next makes its own.
        """
        self._reign.heart.stop(leaving=leaving)
        self._ends.planner.forget()
        if leaving and self._keeper.behind(self.state.head):
            self._keeper.keep(self.state, self.digest(), self._last)
        self._keeper.close()
        self._say_kept()

    # --- the steps of a turn --------------------------------------------------------------------

    def _land(self, now_ms: int) -> _Landed | None:
        """Return the batch of the plan that was being made, if it is made."""
        if self._planning is None:
            return None
        planned = self._ends.planner.finished()
        if planned is None:
            return None
        planning, self._planning = self._planning, None
        took_ms = self._ends.clock.steady_ms() - planning.since_ms
        return _Landed(self._host.close_cycle(planning.pending, planned, now_ms), took_ms)

    def _look(self, now_ms: int) -> None:
        """Begin a cycle where one is due; never two looks within a period, whatever came of one.

        What a look finds to be unchanged is not recorded, so the state cannot say that it was.
        """
        state = self.state
        if self._planning is not None or state.policy is None:
            return
        if now_ms < self._looked_ms + state.policy.period_ms:
            return
        wake_ms = next_wakeup(state, self._looked_ms)
        pending = self._host.open_cycle(now_ms, retry=wake_ms is not None and wake_ms <= now_ms)
        if pending is not None:
            self._looked_ms = now_ms
            self._planning = _Planning(pending, self._ends.clock.steady_ms())
            self._ends.planner.begin(pending.snapshot)

    def _append(
        self, batches: Sequence[Batch], arrived: Arrived, refused: Sequence[RejectedEvent]
    ) -> int:
        """Append a turn's batches as one, and return how long it took in milliseconds."""
        clock = self._ends.clock
        records = [record for batch in batches for record in batch.records]
        if not (records or refused or arrived.consumed):
            return 0
        outputs = [output for batch in batches for output in follows(self.state, batch)]
        kept = LedgerBatch(records, arrived.consumed, refused)
        before_ms = clock.steady_ms()
        head = self._ends.ledger.append_and_tell(self._reign.lease, batches[0].start, kept, outputs)
        took_ms = clock.steady_ms() - before_ms
        self._last = records[-1] if records else self._last
        entries = [entry for batch in batches for entry in batch.entries]
        self._ends.metrics.appended(entries, head, took_ms / 1_000, self._ends.input.lag())
        self._ends.metrics.admitted(
            facts=sum(len(batch.facts) for batch in batches),
            duplicates=sum(batch.duplicates for batch in batches),
            refused=len(refused),
        )
        return took_ms

    def _tell(self, landed: _Landed, append_ms: int) -> None:
        entries = landed.batch.entries
        self._ends.metrics.planned(entries, landed.planned_ms / 1_000, append_ms / 1_000)
        durations = Durations(landed.planned_ms, append_ms)
        self._ends.log.info("cycle", **cycle_line(landed.batch, self._reign.lease.epoch, durations))

    def _keep(self) -> None:
        self._say_kept()
        if self._keeper.due(self.state.head):
            self._keeper.keep(self.state, self.digest(), self._last)

    def _say_kept(self) -> None:
        written = self._keeper.written()
        if isinstance(written, WorldError):
            self._ends.metrics.kept(None)
            self._ends.log.warning("snapshot failed", error=str(written))
        elif written is not None:
            self._ends.metrics.kept(written)
            self._ends.log.info("snapshot", position=written)

    def _count(self) -> None:
        """Take a census of the state, where it is another than a second ago."""
        at_ms, head = self._ends.clock.steady_ms(), self.state.head
        if head != self._counted_head and at_ms >= self._count_ms:
            self._ends.metrics.counted(self.state)
            self._counted_head, self._count_ms = head, at_ms + COUNT_MS

    def _live(self) -> None:
        """Show that this leader gets on, and stop where another leads in a later epoch."""
        clock, epoch, head = self._ends.clock, self._reign.lease.epoch, self.state.head
        self._reign.heart.touch(head)
        for beat in self._ends.beats.poll():
            self._watch.hear(beat, clock.steady_ms())
        ready = not self._watch.unanswered(self._reign.heart.sent)
        self._ends.status.touch(Role.LEADER, ready=ready, epoch=epoch, head=head)
        later = self._watch.deposed(epoch)
        if later is not None:
            msg = (
                f"{later.owner} leads since epoch {later.epoch}; {self._reign.lease.owner} had "
                f"{epoch} and must stop"
            )
            raise FencedError(msg)


def take_over(ends: Ends, manner: Manner, watch: Watch, follower: Follower, pulse: Pulse) -> Leader:
    """Fence whoever led, read to the end, and only then begin to decide."""
    ends.log.info("taking over", position=follower.state.head)
    heart = Heart(pulse, ends.clock, follower.state.head, manner.patience.beat_ms)
    try:
        lease = ends.ledger.acquire(manner.owner)
        heart.lead(lease.epoch)
        followed = follower.follow(ends.ledger.head())
        follower.warm()
        ends.input.seek(ends.ledger.consumed())
        ends.metrics.followed(followed, follower.state.head)
        ends.metrics.became(Role.LEADER, lease.epoch)
        ends.log.info("leading", epoch=lease.epoch, position=follower.state.head, tail=followed)
        return Leader(ends, manner, watch, follower, Reign(lease, heart))
    except BaseException:
        heart.stop(leaving=False)
        raise
