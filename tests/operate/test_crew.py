# SPDX-License-Identifier: Apache-2.0
"""The processes that `up` looks after: who dies comes again, but not for ever."""

import socket
import time
from pathlib import Path

import pytest
from msgspec import json

from compose.crew import MOST_RESTARTS, Crew, CrewError, Member, left_running
from streams.live.health import LOOPBACK
from tests.eventually import eventually

PATIENCE_S = 120.0


def died_often(crew: Crew) -> CrewError:
    """Look after a crew until it is given up."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            crew.look()
        except CrewError as error:
            return error
        time.sleep(0.1)
    pytest.fail(f"started again {crew.restarts} times, and for ever")


def test_a_member_that_dies_again_and_again_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    """Where somebody else has its port it can never come up; who waits for it hears why."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = int(taken.getsockname()[1])
        arguments = ["intake", "--bootstrap", "127.0.0.1:9", "--health-port", str(port)]
        with Crew([Member("intake", arguments)], tmp_path) as crew:
            crew.start("intake")
            error = died_often(crew)
    assert f"intake was started again {MOST_RESTARTS} times" in str(error)
    assert str(port) in str(error)
    assert str(tmp_path / "intake.log") in str(error)
    assert crew.restarts == MOST_RESTARTS


def test_who_outlives_a_crew_that_was_killed_is_known_by_its_folder(tmp_path: Path) -> None:
    """What is noted of the dead, and of processes that are others by now, counts for nothing."""
    arguments = ["intake", "--bootstrap", "127.0.0.1:9"]
    assert left_running(tmp_path) == {}
    with Crew([Member("intake", arguments)], tmp_path) as crew:
        crew.start("intake")
        noted = json.decode((tmp_path / "processes.json").read_bytes())
        eventually(lambda: left_running(tmp_path) == noted, "it does not run")
    assert left_running(tmp_path) == {}
    (tmp_path / "processes.json").write_bytes(json.encode({"intake": 1}))
    assert left_running(tmp_path) == {}
