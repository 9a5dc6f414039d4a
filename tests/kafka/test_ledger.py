# SPDX-License-Identifier: Apache-2.0
"""The ledger on a real broker keeps the contract that all carriers share."""

from collections.abc import Iterator

import pytest

from streams.kafka.connection import Connection
from streams.kafka.ledger import KafkaLedger
from streams.kafka.topics import Topology
from tests.streams.ledger_contract import (
    Carrier,
    LedgerContract,
    RejectedContract,
    RejectingWriter,
)


class TestKafkaLedger(LedgerContract, RejectedContract):
    """Handles have connections of their own to one broker."""

    @pytest.fixture
    def carrier(self, broker: Connection, topics: Topology) -> Carrier:
        """One more handle."""
        return lambda: KafkaLedger(broker, topics)

    @pytest.fixture
    def rejecting(self, broker: Connection, topics: Topology) -> Iterator[RejectingWriter]:
        """A ledger."""
        with KafkaLedger(broker, topics) as ledger:
            yield ledger
