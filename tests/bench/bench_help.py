# SPDX-License-Identifier: Apache-2.0
"""How long `singlepool --help` takes to answer, beside a Python that does nothing."""

import json
import subprocess
import sys
import time
from resource import RUSAGE_CHILDREN, getrusage

from tests.bench.line import line

ROUNDS = 9


def run() -> list[dict[str, object]]:
    """Measure; one result per name."""
    help_s, help_cpu_s = _best("-m", "compose.cli", "--help")
    bare_s, _ = _best("-c", "pass")
    conditions = f"wall time of a warm start, best of {ROUNDS}; {help_cpu_s:.3f} CPU s"
    return [line(("help_s", help_s, "s"), ("python -c pass", bare_s), conditions)]


def _best(*arguments: str) -> tuple[float, float]:
    """Return wall and CPU seconds of the quickest of some rounds."""
    return min(_once(arguments) for _ in range(ROUNDS))


def _once(arguments: tuple[str, ...]) -> tuple[float, float]:
    started, cpu = time.perf_counter(), _children_s()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started, _children_s() - cpu


def _children_s() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    for result in run():
        print(json.dumps(result))
