# SPDX-License-Identifier: Apache-2.0
"""The ledger in one file: SQLite in WAL mode with synchronous FULL.

An append that returned survives a power cut. A batch is one transaction, and SQLite recovers its
log to whole transactions, so a ledger never opens with half a batch. `docs/ledger.md` says more.
"""

from streams.embedded.ledger import EmbeddedLedger
from streams.embedded.reader import EmbeddedReader

__all__ = ["EmbeddedLedger", "EmbeddedReader"]
