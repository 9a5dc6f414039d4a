# SPDX-License-Identifier: Apache-2.0
"""Whether a process number that was written down is still that process: by how it was called."""

import subprocess
from contextlib import suppress
from pathlib import Path


def called_as(pid: int) -> str:
    """Return how a process was called, or nothing where there is none."""
    if Path("/proc/self").exists():  # Linux; a container may lack ps
        with suppress(FileNotFoundError, ProcessLookupError):
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        return ""
    command = ["ps", "-o", "args=", "-p", str(pid)]
    return subprocess.run(  # noqa: S603  # a fixed command
        command, capture_output=True, text=True, check=False
    ).stdout
