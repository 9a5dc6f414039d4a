# SPDX-License-Identifier: Apache-2.0
"""Appends numbered batches to the ledger on a broker, until killed or fenced.

The arguments are the broker's address and the topics' prefix. Prints a line per batch once it is
acknowledged: what a test holds the ledger to. Where the broker is away it goes on once it is back.
"""

import sys
from itertools import count

from schemas.ledger import FencedError, LedgerBusyError, LedgerStorageError
from streams.kafka.connection import Connection
from streams.kafka.ledger import KafkaLedger
from streams.kafka.topics import declare
from tests.streams.appender import FENCED, numbered
from tests.streams.ledger_contract import SIZE


def append(ledger: KafkaLedger) -> None:
    """Go on from the ledger's head until fenced."""
    lease = ledger.acquire("appender")
    for number in count(ledger.head() // SIZE):
        try:
            ledger.append(lease, number * SIZE, numbered(number))
        except FencedError:
            _say(FENCED)
            return
        _say(str(number))


def insist(bootstrap: str, prefix: str) -> None:
    """Append, and begin again whenever the broker was away."""
    topology = declare(prefix=prefix, partitions=2)
    while True:
        try:
            with KafkaLedger(Connection(bootstrap), topology) as ledger:
                append(ledger)
                return
        except (LedgerBusyError, LedgerStorageError) as error:
            sys.stderr.write(f"{error}\n")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    insist(sys.argv[1], sys.argv[2])
