# SPDX-License-Identifier: Apache-2.0
"""Plays one day of the Philly trace on the ledger that the first argument names.

Prints the final digest. Run as a process of its own, so that a test can kill it.
"""

import sys
from pathlib import Path

from engine.policies import POOL
from streams.embedded import EmbeddedLedger
from streams.play import Play, Played
from streams.traces.philly import Mode, philly

DAYS = range(21, 22)


def play(path: Path) -> Played:
    """Play to the end, from wherever the ledger stands."""
    with EmbeddedLedger(path) as ledger:
        return Play(ledger, philly(DAYS, Mode.POOL), POOL).run()


if __name__ == "__main__":
    print(play(Path(sys.argv[1])).digest.hex())  # noqa: T201  # read by the test that started it
