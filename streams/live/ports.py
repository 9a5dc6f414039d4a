# SPDX-License-Identifier: Apache-2.0
"""What the engine service needs of the world: an input, a ledger, a voice, and time."""

import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from msgspec import Struct

from engine.planning import Plan
from engine.snapshot import Snapshot as Cut
from schemas.ledger import Batch, Lease, LedgerTail, LedgerWriter
from schemas.records import Published


class Channel(StrEnum):
    """Where what follows from a batch is told, beside the ledger."""

    DIRECTIVES = "directives"
    VERDICTS = "verdicts"


class Output(Struct, frozen=True):
    """One message that follows from a batch and is committed with it.

    A `value` of None forgets the key where a channel keeps only the last of each.
    """

    channel: Channel
    key: str
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class LiveLedger(LedgerWriter, LedgerTail, Protocol):
    """A ledger that carries what follows from a batch in the same transaction."""

    def append_and_tell(
        self, lease: Lease, position: int, batch: Batch, outputs: Sequence[Output]
    ) -> int:
        """Append a batch and tell what follows from it, all or nothing; return the new head.

        Raises what `append` raises.
        """
        ...


class Arrived(Struct, frozen=True):
    """Published events as they arrived, and per input the offset after the last of them."""

    events: tuple[Published, ...] = ()
    consumed: Mapping[str, int] = MappingProxyType({})


NOTHING = Arrived()


class Input(Protocol):
    """Accepted events, in the order of each of its inputs."""

    def seek(self, consumed: Mapping[str, int]) -> None:
        """Go on after what the ledger accounts for; from the start for an input not named."""
        ...

    def poll(self, limit: int, timeout_ms: int) -> Arrived:
        """Return up to `limit` events as soon as there are any, or `NOTHING` after `timeout_ms`."""
        ...

    def lag(self) -> int:
        """Return how many events are known to wait; no question is asked for it."""
        ...


class Role(StrEnum):
    """What an engine is: waiting, about to take the ledger, its one writer, or on its way out."""

    STANDBY = "standby"
    CANDIDATE = "candidate"
    LEADER = "leader"
    LEAVING = "leaving"


class Beat(Struct, frozen=True):
    """A sign of life: who, as what, in which epoch of the ledger (0: none), and how far it is.

    `number` rises with each beat of one process.
    """

    owner: str
    role: Role
    epoch: int
    head: int
    number: int


class Beats(Protocol):
    """A topic of one partition on which engines beat: all of them read all, in one order."""

    def send(self, beat: Beat) -> None:
        """Send a beat without waiting; one that cannot be delivered soon is dropped."""
        ...

    def poll(self) -> Sequence[Beat]:
        """Return what was beaten since the last call, own beats included; never waits long."""
        ...


class Herald(Protocol):
    """Tells where snapshots are, for whoever starts elsewhere."""

    def announce(self, position: int, digest: bytes) -> None:
        """Say that a snapshot of a position is kept, and the state's digest at it."""
        ...


class Planner(Protocol):
    """Makes one plan at a time, aside."""

    def begin(self, cut: Cut) -> None:
        """Start to plan on a cut. Only while none is being made."""
        ...

    def finished(self) -> Plan | None:
        """Return the plan once it is made, or None; raises what planning raised."""
        ...

    def forget(self) -> None:
        """Let a plan that is being made come to nothing; another may begin."""
        ...


class Clock(Protocol):
    """Time, at the edge."""

    def wall_ms(self) -> int:
        """Return the time of day, which becomes recorded time."""
        ...

    def steady_ms(self) -> int:
        """Return milliseconds since some moment; never runs backwards."""
        ...

    def rest(self, ms: int) -> None:
        """Return after so many milliseconds."""
        ...


class SystemClock:
    """This machine's time."""

    def wall_ms(self) -> int:
        """Return the time of day."""
        return time.time_ns() // 1_000_000

    def steady_ms(self) -> int:
        """Return milliseconds since some moment of this machine's past."""
        return time.monotonic_ns() // 1_000_000

    def rest(self, ms: int) -> None:
        """Return after so many milliseconds."""
        time.sleep(ms / 1_000)
