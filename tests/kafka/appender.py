# SPDX-License-Identifier: Apache-2.0
"""Appends numbered batches to the ledger on a broker, until killed or fenced.

The arguments are the broker's address and the topics' prefix. Prints a line per batch once it is
acknowledged: what a test holds the ledger to. Where the broker is away it does what
`docs/ledger.md` says of each error, and goes on by the same handle.
"""

import sys

from schemas.errors import WorldError
from schemas.ledger import FencedError, LedgerBusyError, LedgerStorageError
from streams.kafka.connection import Connection
from streams.kafka.ledger import KafkaLedger
from streams.kafka.topics import declare
from tests.streams.appender import FENCED, numbered
from tests.streams.ledger_contract import SIZE


def append(ledger: KafkaLedger) -> None:
    """Go on from the ledger's head until fenced; an aborted batch is tried again."""
    lease = ledger.acquire("appender")
    number = ledger.head() // SIZE
    while True:
        try:
            ledger.append(lease, number * SIZE, numbered(number))
        except FencedError as error:
            _complain(error)
            _say(FENCED)
            return
        except LedgerBusyError as error:
            _complain(error)
            continue
        _say(str(number))
        number += 1


def insist(bootstrap: str, prefix: str) -> None:
    """Append, and take the lease again whenever it is not known what is there."""
    topology = declare(prefix=prefix, partitions=2)
    with KafkaLedger(Connection(bootstrap), topology) as ledger:
        while True:
            try:
                append(ledger)
            except (LedgerBusyError, LedgerStorageError) as error:
                _complain(error)
            else:
                return


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _complain(error: WorldError) -> None:
    sys.stderr.write(f"{type(error).__name__}: {error}\n")


if __name__ == "__main__":
    insist(sys.argv[1], sys.argv[2])
