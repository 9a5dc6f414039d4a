# SPDX-License-Identifier: Apache-2.0
"""One engine process for the tests on a real broker: its settings are one JSON object."""

import faulthandler
import signal
import sys

from msgspec import json

from schemas.ledger import FencedError
from streams.live.running import EngineSettings, run_engine

FENCED = 3
"""How a process ends that another took the ledger from."""


def main() -> int:
    """Run an engine until a signal ends it; SIGUSR1 makes it say where every thread is."""
    faulthandler.register(signal.SIGUSR1)
    settings = json.decode(sys.argv[1], type=EngineSettings)
    try:
        run_engine(settings)
    except FencedError as error:
        sys.stderr.write(f"{error}\n")
        return FENCED
    return 0


if __name__ == "__main__":
    sys.exit(main())
