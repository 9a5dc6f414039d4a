# SPDX-License-Identifier: Apache-2.0
"""What every carrier of the ledger owes, as tests: subclass, and say how to open the carrier.

A carrier's test module subclasses the contracts that it fulfils and overrides their first fixture,
which gives what opens one more handle on the *same* ledger (inbox, store), as another process
would; a handle is closed in the thread that opened it. What a carrier owes beyond these
(durability, damage, processes) it tests itself.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol

import pytest

from schemas.ledger import (
    Batch,
    FencedError,
    Inbox,
    LedgerTail,
    LedgerWriter,
    NoSuchRejectedError,
    PositionError,
    RejectedEvent,
    RejectedStore,
    Snapshot,
    SnapshotStore,
    scan,
    sum_of,
    tail,
)
from schemas.records import Origin, Published

SIZE = 5
PATIENCE_MS = 20_000


class TailingWriter(LedgerWriter, LedgerTail, Protocol):
    """A ledger that its writer also tails."""


class RejectingWriter(LedgerWriter, RejectedStore, Protocol):
    """A ledger beside which refused events are kept."""


Carrier = Callable[[], AbstractContextManager[TailingWriter]]
"""What opens one more handle on one ledger."""


def batch(number: int, size: int = SIZE) -> Batch:
    """A batch whose records say which they are, that accounts for one more input event."""
    return Batch(records(number, size), consumed={"in": number + 1})


def records(number: int, size: int = SIZE) -> list[bytes]:
    """The records of a batch."""
    return [f"{number}-{i}".encode() * 9 for i in range(size)]


def published(number: int) -> Published:
    """An event that says which it is, with every attribute set."""
    origin = Origin(f"id-{number}", "somebody", "job/1", "2026-01-01T00:00:00Z", "c-1", "c-2")
    return Published("singlepool.job.submitted.v1", bytes([number, 0, 255]), origin)


def refused(number: int) -> RejectedEvent:
    """A refused event that says which it is."""
    return RejectedEvent(published(number), "conflict", "job", f"x{number}", "because", 7)


class LedgerContract:
    """Order, atomicity, one writer, readers that see only what is committed."""

    @pytest.fixture
    def carrier(self) -> Carrier:
        """What opens the test's ledger: override it."""
        raise NotImplementedError

    @pytest.fixture
    def another(self, carrier: Carrier) -> Iterator[Callable[[], TailingWriter]]:
        """Open another handle on the test's ledger, closed at the test's end."""
        with ExitStack() as stack:
            yield lambda: stack.enter_context(carrier())

    @pytest.fixture
    def ledger(self, another: Callable[[], TailingWriter]) -> TailingWriter:
        """The test's ledger, empty."""
        return another()

    def test_a_new_ledger_is_empty(self, ledger: TailingWriter) -> None:
        """No records, and no input accounted for."""
        assert ledger.head() == 0
        assert list(ledger.read(0, 10)) == []
        assert list(scan(ledger)) == []
        assert dict(ledger.consumed()) == {}

    def test_records_are_read_in_order_by_every_reader(
        self, another: Callable[[], TailingWriter]
    ) -> None:
        """Positions count from zero, through one handle as through another."""
        writer, reader = another(), another()
        lease = writer.acquire("a")
        for number in range(3):
            assert writer.append(lease, number * SIZE, batch(number)) == (number + 1) * SIZE
            assert reader.head() == writer.head() == (number + 1) * SIZE
        expected = [record for number in range(3) for record in records(number)]
        assert list(scan(reader)) == list(scan(writer)) == expected
        assert list(scan(reader, 4, chunk=2)) == expected[4:]
        assert list(reader.read(4, 2)) == expected[4:6]
        assert list(reader.read(14, 5)) == expected[14:]
        assert list(reader.read(15, 5)) == list(reader.read(99, 5)) == []
        assert dict(reader.consumed()) == {"in": 3}

    def test_records_are_any_bytes(self, ledger: TailingWriter) -> None:
        """Empty, binary and a megabyte long come back as they were, and alike ones stay apart."""
        odd = [b"", b"\x00", bytes(range(256)) * 4_096, b"", b"same", b"same"]
        ledger.append(ledger.acquire("a"), 0, Batch(odd))
        assert list(ledger.read(0, 10)) == odd

    def test_an_older_epoch_appends_nothing(self, another: Callable[[], TailingWriter]) -> None:
        """Who lost the lease is fenced, nothing of its batch is there, and the new one goes on."""
        first, second = another(), another()
        old = first.acquire("first")
        first.append(old, 0, batch(0))
        new = second.acquire("second")
        assert new.epoch > old.epoch
        lost = Batch(records(7), consumed={"in": 7}, rejected=[refused(1)])
        with pytest.raises(FencedError, match=r"second .* first"):
            first.append(old, SIZE, lost)
        assert first.head() == SIZE
        assert dict(first.consumed()) == {"in": 1}
        assert second.append(new, SIZE, batch(1)) == 2 * SIZE
        with pytest.raises(FencedError):
            first.append(old, 2 * SIZE, lost)

    def test_the_same_owner_is_fenced_by_itself(self, ledger: TailingWriter) -> None:
        """A restarted writer of the same name fences what is left of the one before."""
        old, new = ledger.acquire("a"), ledger.acquire("a")
        with pytest.raises(FencedError):
            ledger.append(old, 0, batch(0))
        assert ledger.append(new, 0, batch(0)) == SIZE

    @pytest.mark.parametrize("position", [0, SIZE - 1, SIZE + 1])
    def test_a_batch_for_another_head_is_refused(
        self, ledger: TailingWriter, position: int
    ) -> None:
        """A writer that lost track leaves no hole and writes nothing twice; a right one goes on."""
        lease = ledger.acquire("a")
        ledger.append(lease, 0, batch(0))
        with pytest.raises(PositionError, match=f"head is {SIZE}"):
            ledger.append(lease, position, Batch(records(1), {"in": 9, "other": 4}))
        assert list(scan(ledger)) == records(0)
        assert dict(ledger.consumed()) == {"in": 1}
        assert ledger.append(lease, SIZE, batch(1)) == 2 * SIZE

    def test_an_input_never_goes_back(self, ledger: TailingWriter) -> None:
        """A batch that would un-consume an input is refused whole; the same offset is fine."""
        lease = ledger.acquire("a")
        ledger.append(lease, 0, Batch([b"a"], {"x": 5, "y": 2}))
        with pytest.raises(PositionError, match="goes back"):
            ledger.append(lease, 1, Batch([b"b"], {"y": 3, "x": 4}))
        assert dict(ledger.consumed()) == {"x": 5, "y": 2}
        assert list(scan(ledger)) == [b"a"]
        ledger.append(lease, 1, Batch([b"b"], {"x": 5, "z": 0}))
        assert dict(ledger.consumed()) == {"x": 5, "y": 2, "z": 0}

    def test_a_batch_without_records_still_accounts(self, ledger: TailingWriter) -> None:
        """Duplicates alone make no record, and yet are not read again."""
        lease = ledger.acquire("a")
        assert ledger.append(lease, 0, Batch((), {"in": 3})) == 0
        assert dict(ledger.consumed()) == {"in": 3}

    def test_a_batch_that_fails_halfway_leaves_nothing(self, ledger: TailingWriter) -> None:
        """What the caller breaks in the middle of a batch breaks all of it."""
        lease = ledger.acquire("a")
        with pytest.raises(_OurMistakeError):
            ledger.append(lease, 0, Batch(_Breaking(records(0))))
        assert ledger.head() == 0
        assert ledger.append(lease, 0, batch(0)) == SIZE

    @pytest.mark.parametrize(("start", "limit"), [(-1, 5), (0, 0), (0, -1)])
    def test_a_read_of_nothing_is_a_mistake(
        self, ledger: TailingWriter, start: int, limit: int
    ) -> None:
        """A negative start and no limit are refused, and never taken for an empty ledger."""
        with pytest.raises(PositionError):
            ledger.read(start, limit)

    def test_waiting_ends_when_there_is_more_or_time_is_up(self, ledger: TailingWriter) -> None:
        """What is there is told at once; what is not, after the time."""
        ledger.append(ledger.acquire("a"), 0, batch(0))
        assert ledger.wait(SIZE - 1, PATIENCE_MS) == SIZE
        before = time.monotonic()
        assert ledger.wait(SIZE, 30) == SIZE
        assert time.monotonic() - before >= 0.03

    def test_a_tail_sees_every_record_once_in_order(
        self, carrier: Carrier, ledger: TailingWriter
    ) -> None:
        """From the middle of what is there, through what comes while it waits, to its stop."""
        total = 40
        lease = ledger.acquire("a")
        ledger.append(lease, 0, batch(0))
        following = _Following(carrier, 2, total)
        following.start()
        following.began.wait(PATIENCE_MS / 1_000)
        for number in range(1, total // SIZE):
            ledger.append(lease, number * SIZE, batch(number))
        following.join(PATIENCE_MS / 1_000)
        assert not following.is_alive()
        assert following.seen == list(scan(ledger, 2))
        assert len(following.seen) == total - 2

    def test_a_tail_that_is_stopped_ends(self, ledger: TailingWriter) -> None:
        """A stop ends a tail that waits for what never comes, without a record."""
        stops = iter([False, True])
        assert list(tail(ledger, 0, lambda: next(stops))) == []


class _Following(threading.Thread):
    """Tails through a handle of its own until it has read up to a position, or patience is out."""

    def __init__(self, carrier: Carrier, start: int, end: int) -> None:
        super().__init__()
        self.began = threading.Event()
        self.seen: list[bytes] = []
        self._carrier = carrier
        self._start, self._end = start, end
        self._deadline = time.monotonic() + PATIENCE_MS / 1_000

    def run(self) -> None:
        with self._carrier() as ledger:
            for part in tail(ledger, self._start, self._done, chunk=3):
                self.seen.extend(part)
                self.began.set()

    def _done(self) -> bool:
        return self._start + len(self.seen) >= self._end or time.monotonic() > self._deadline


class _OurMistakeError(Exception):
    """What a caller's own sequence may raise."""


class _Breaking(Sequence[bytes]):
    """Records of which the last cannot be had."""

    def __init__(self, whole: Sequence[bytes]) -> None:
        self._whole = whole

    def __len__(self) -> int:
        return len(self._whole)

    def __getitem__(self, index: int) -> bytes:  # type: ignore[override]  # nobody slices it
        if index == len(self._whole) - 1:
            raise _OurMistakeError
        return self._whole[index]

    def __iter__(self) -> Iterator[bytes]:
        return (self[i] for i in range(len(self)))


class RejectedContract:
    """Refused events: kept with their batch, listed, marked."""

    @pytest.fixture
    def rejecting(self) -> RejectingWriter:
        """The test's ledger, empty."""
        raise NotImplementedError

    def test_refused_events_are_kept_whole_with_their_batch(
        self, rejecting: RejectingWriter
    ) -> None:
        """They are numbered from one in the order of the batches, and read back as they were."""
        lease = rejecting.acquire("a")
        rejecting.append(lease, 0, Batch([b"a"], rejected=[refused(1), refused(2)]))
        rejecting.append(lease, 1, Batch((), rejected=[refused(3)]))
        everything = [(1, refused(1)), (2, refused(2)), (3, refused(3))]
        assert list(rejecting.rejected(1, 10)) == list(rejecting.rejected(0, 3)) == everything
        assert list(rejecting.rejected(2, 1)) == everything[1:2]
        assert list(rejecting.rejected(4, 10)) == []

    def test_a_refused_batch_leaves_no_refused_events(self, rejecting: RejectingWriter) -> None:
        """They come with the batch or not at all."""
        lease = rejecting.acquire("a")
        with pytest.raises(PositionError):
            rejecting.append(lease, 1, Batch((), rejected=[refused(1)]))
        assert list(rejecting.rejected(1, 10)) == []

    def test_what_was_replayed_is_outstanding_no_more(self, rejecting: RejectingWriter) -> None:
        """Marked once or twice, it stays in the store and leaves the list of what is left to do."""
        several = [refused(n) for n in range(1, 5)]
        rejecting.append(rejecting.acquire("a"), 0, Batch((), rejected=several))
        rejecting.mark_replayed([1, 3])
        rejecting.mark_replayed([3])
        assert [number for number, _ in rejecting.outstanding(1, 10)] == [2, 4]
        assert [number for number, _ in rejecting.outstanding(2, 1)] == [2]
        assert [number for number, _ in rejecting.outstanding(3, 1)] == [4]
        assert len(rejecting.rejected(1, 10)) == len(several)

    def test_marking_what_is_not_there_marks_nothing(self, rejecting: RejectingWriter) -> None:
        """A wrong number is named, and the right ones beside it are left as they were."""
        rejecting.append(rejecting.acquire("a"), 0, Batch((), rejected=[refused(1)]))
        for wrong in (0, 2):
            with pytest.raises(NoSuchRejectedError, match=f"no refused event {wrong}"):
                rejecting.mark_replayed([1, wrong])
        assert [number for number, _ in rejecting.outstanding(1, 10)] == [1]


class InboxContract:
    """Where upstream publishes: order, offsets, publishers at once."""

    @pytest.fixture
    def another_inbox(self) -> Callable[[], Inbox]:
        """Open another handle on the test's inbox."""
        raise NotImplementedError

    def test_what_was_published_is_polled_in_order(
        self, another_inbox: Callable[[], Inbox]
    ) -> None:
        """Each event's offset is where to go on after it."""
        publisher, engine = another_inbox(), another_inbox()
        assert list(engine.poll(0, 10)) == []
        end = publisher.publish([published(n) for n in range(5)])
        arrived = engine.poll(0, 3)
        assert [event.published for event in arrived] == [published(n) for n in range(3)]
        rest = engine.poll(arrived[-1].offset, 10)
        assert [event.published for event in rest] == [published(3), published(4)]
        assert rest[-1].offset == end
        assert list(engine.poll(end, 10)) == []
        assert another_inbox().publish([]) == end


class SnapshotContract:
    """States by position: the newest that fits."""

    @pytest.fixture
    def another_store(self) -> Callable[[], SnapshotStore]:
        """Open another handle on the test's store."""
        raise NotImplementedError

    def test_the_newest_snapshot_that_fits_is_found(
        self, another_store: Callable[[], SnapshotStore]
    ) -> None:
        """Of at most a position, or of all, by number and not by name."""
        store = another_store()
        assert store.latest() is None
        kept = {
            p: Snapshot(p, f"state {p}".encode(), sum_of(f"record {p}".encode()))
            for p in (900, 0, 10_000)
        }
        for snapshot in kept.values():
            store.put(snapshot)
        other = another_store()
        assert list(other.positions()) == [0, 900, 10_000]
        assert other.latest() == other.latest(10_000) == kept[10_000]
        assert other.latest(9_999) == other.latest(900) == kept[900]
        assert other.latest(899) == kept[0]

    def test_a_snapshot_is_replaced_and_dropped(
        self, another_store: Callable[[], SnapshotStore]
    ) -> None:
        """The last one at a position counts; one that was dropped is gone, twice or never there."""
        store = another_store()
        for data in (b"first, and longer", b""):
            store.put(Snapshot(7, data, sum_of(data)))
        assert store.latest() == Snapshot(7, b"", sum_of(b""))
        for _ in range(2):
            store.drop(7)
        assert store.latest() is None
        assert list(store.positions()) == []
