# SPDX-License-Identifier: Apache-2.0
"""The carriers in memory keep the contract."""

from collections.abc import Callable
from contextlib import nullcontext

import pytest

from schemas.ledger import Batch, Inbox, SnapshotStore, scan
from streams.memory import MemoryLedger, MemorySnapshots
from tests.streams.ledger_contract import (
    Carrier,
    InboxContract,
    LedgerContract,
    RejectedContract,
    RejectingWriter,
    SnapshotContract,
    records,
)


class TestMemoryLedger(LedgerContract, RejectedContract, InboxContract):
    """One object is every handle."""

    @pytest.fixture
    def carrier(self) -> Carrier:
        """The one ledger."""
        ledger = MemoryLedger()
        return lambda: nullcontext(ledger)

    @pytest.fixture
    def rejecting(self) -> RejectingWriter:
        """A ledger."""
        return MemoryLedger()

    @pytest.fixture
    def another_inbox(self) -> Callable[[], Inbox]:
        """The one inbox."""
        inbox = MemoryLedger()
        return lambda: inbox


class TestMemorySnapshots(SnapshotContract):
    """One object is every handle."""

    @pytest.fixture
    def another_store(self) -> Callable[[], SnapshotStore]:
        """The one store."""
        store = MemorySnapshots()
        return lambda: store


def test_a_ledger_begins_with_what_it_is_given() -> None:
    """A history that was read from elsewhere is there as committed, apart from the list given."""
    given = records(0)
    ledger = MemoryLedger(given)
    given.clear()
    assert list(scan(ledger)) == records(0)
    assert ledger.append(ledger.acquire("a"), 5, Batch([b"one"])) == 6
