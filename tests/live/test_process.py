# SPDX-License-Identifier: Apache-2.0
"""What a long-running process says on stderr."""

import json
import socket
import subprocess
import sys
from pathlib import Path

from msgspec.json import encode

from streams.kafka.connection import Connection
from streams.kafka.topics import declare
from streams.live.health import LOOPBACK
from streams.live.running import EngineSettings

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


def test_an_engine_that_cannot_go_on_says_why_in_a_line(tmp_path: Path) -> None:
    """Whatever ends it; here it finds its port taken, before it has met any broker."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        settings = EngineSettings(
            Connection(f"{LOOPBACK}:1"),
            declare(),
            "left",
            str(tmp_path),
            health_port=taken.getsockname()[1],
        )
        program = [sys.executable, "-m", "tests.live.engine", encode(settings).decode()]
        ran = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    said = (line for line in ran.stderr.splitlines() if line.startswith("{"))
    last = [json.loads(line) for line in said][-1]
    assert (last["event"], last["owner"], last["level"]) == ("stopped", "left", "error")
    assert "in use" in last["error"]
