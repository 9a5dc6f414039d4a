# SPDX-License-Identifier: Apache-2.0
"""What a long-running process says on stderr."""

import json
import subprocess
import sys

PROGRAM = """
import logging
from streams.live.process import json_log

log = json_log().bind(owner="left")
log.info("leading", epoch=1)
logging.getLogger("aiokafka").warning("no coordinator for %s", "a group")
logging.getLogger("aiokafka").info("of no interest")
try:
    raise ValueError("a\\nb")
except ValueError:
    logging.getLogger("faust").exception("gave up")
"""


def test_every_line_is_an_object_whoever_logs() -> None:
    """A library's warning has its logger's name, and a trace stays on its line."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    ours, theirs, trace = (json.loads(line) for line in ran.stderr.splitlines())
    assert (ours["event"], ours["owner"], ours["level"]) == ("leading", "left", "info")
    assert theirs["event"] == "no coordinator for a group"
    assert (theirs["logger"], theirs["level"]) == ("aiokafka", "warning")
    assert "ValueError" in trace["exception"]
    assert all("timestamp" in line for line in (ours, theirs, trace))
