# SPDX-License-Identifier: Apache-2.0
"""Appends numbered batches to the ledger that the first argument names, until killed or fenced.

Prints a line per batch once it is acknowledged: what a test holds the ledger to after the kill.
Each batch accounts for one input event and keeps one refused event.
"""

import sys
from itertools import count
from pathlib import Path

from schemas.ledger import Batch, FencedError
from streams.embedded import EmbeddedLedger
from tests.streams.ledger_contract import SIZE, records, refused

FENCED = "fenced"


def numbered(number: int) -> Batch:
    """The batch of a number."""
    return Batch(records(number), {"in": number + 1}, [refused(number % 256)])


def append(path: Path) -> None:
    """Go on from the ledger's head."""
    with EmbeddedLedger(path) as ledger:
        lease = ledger.acquire("appender")
        for number in count(ledger.head() // SIZE):
            try:
                ledger.append(lease, number * SIZE, numbered(number))
            except FencedError:
                _say(FENCED)
                return
            _say(str(number))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    append(Path(sys.argv[1]))
