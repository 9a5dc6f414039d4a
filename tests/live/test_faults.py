# SPDX-License-Identifier: Apache-2.0
"""Engines on a real broker, killed, paused, cut off while events flow: nothing is lost or repeated.

What a round does is drawn from a seed; when its blows fall, the machine decides.
"""

import json
import random
import signal
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from msgspec import structs

from compose.broker.layout import connection as connect
from compose.broker.nodes import kill, start
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.topics import Topology
from streams.live.watch import Patience
from tests.kafka.conftest import own_broker
from tests.kafka.test_three_nodes import NODES, kill_leader
from tests.live.aftermath import check
from tests.live.engine import FENCED
from tests.live.installation import PATIENCE_S, Installation
from tests.live.traffic import SMALL, Traffic

pytestmark = pytest.mark.long  # whole processes die here, on their own time

ROUNDS, MANY_ROUNDS = 10, 100
LONGEST_S = 2.0


@pytest.fixture
def engines(broker: Connection, topics: Topology, tmp_path: Path) -> Generator[Installation]:
    with Installation(broker, topics, tmp_path) as installation:
        yield installation


def killed(engines: Installation, folder: Path, rounds: int, seed: int) -> None:
    """Kill the leader at random instants; a standby takes over, and a new one stands by."""
    rng = random.Random(seed)  # noqa: S311  # chance that repeats
    engines.start("e000", "e001")
    with Traffic(engines.connection, engines.topology, seed) as traffic:
        epoch = 0
        for number in range(rounds):
            leader = engines.leader(epoch)
            epoch = leader.epoch
            traffic.flow(rng.random() * LONGEST_S)
            engines.kill(leader.owner)
            engines.start(f"e{number + 2:03}")
        engines.leader(epoch)
        traffic.stop()
        engines.drain()
    engines.leave()
    found = check(engines, traffic, folder)
    assert found.submitted > 0
    assert found.cycles > 0
    assert found.directives > 0
    assert found.snapshots > 0


def test_killed_leaders_lose_nothing_and_repeat_nothing(
    engines: Installation, tmp_path: Path
) -> None:
    """Ten of them, at random instants, while jobs come and agents answer."""
    killed(engines, tmp_path, ROUNDS, seed=11)


@pytest.mark.soak
@pytest.mark.long
def test_many_killed_leaders_lose_nothing_and_repeat_nothing(
    engines: Installation, tmp_path: Path
) -> None:
    """A hundred of them."""
    killed(engines, tmp_path, MANY_ROUNDS, seed=12)


def test_a_leader_paused_past_its_succession_lands_nothing(
    engines: Installation, tmp_path: Path
) -> None:
    """Continued, it is told that it is fenced, says so, and ends; the ledger is the successor's."""
    engines.start("e0", "e1")
    with Traffic(engines.connection, engines.topology, 13) as traffic:
        first = engines.leader()
        traffic.flow(2.0)
        engines.signal(first.owner, signal.SIGSTOP)
        second = engines.leader(first.epoch)
        assert second.owner != first.owner
        traffic.flow(1.0)
        engines.signal(first.owner, signal.SIGCONT)
        assert engines.engines.pop(first.owner).wait(PATIENCE_S) == FENCED
        *_, line, said = engines.log(first.owner).splitlines()
        assert first.owner in said
        assert "must stop" in said
        told = json.loads(line)
        assert (told["event"], told["owner"], told["error"]) == ("stopped", first.owner, said)
        traffic.flow(1.0)
        assert engines.leader().owner == second.owner
        traffic.stop()
        engines.drain()
    engines.leave()
    check(engines, traffic, tmp_path)


def test_of_two_standbys_one_takes_over_and_the_other_stands_by(
    broker: Connection, topics: Topology, tmp_path: Path
) -> None:
    """They never fence each other, kill after kill: one new epoch each, and all others live."""
    # Long enough that a machine that is short of time deposes nobody.
    patience = Patience(silence_ms=4_000, rank_ms=4_000)
    with (
        Installation(broker, topics, tmp_path, patience) as engines,
        Traffic(broker, topics, 14) as traffic,
    ):
        engines.start("e0", "e1", "e2")
        epoch = 0
        for number in range(3):
            leader = engines.leader(epoch)
            traffic.flow(6.0)
            assert leader.epoch == epoch + 1
            epoch = leader.epoch
            assert all(running.poll() is None for running in engines.engines.values())
            engines.kill(leader.owner)
            engines.start(f"e{number + 3}")
        engines.leader(epoch)
        traffic.stop()
        engines.drain()
        engines.leave()
        check(engines, traffic, tmp_path)


def test_a_leader_told_to_stop_hands_over(engines: Installation, tmp_path: Path) -> None:
    """SIGTERM loses nothing; the standby goes on from the next record."""
    engines.start("e0", "e1")
    with Traffic(engines.connection, engines.topology, 15) as traffic:
        first = engines.leader()
        traffic.flow(1.0)
        engines.signal(first.owner, signal.SIGTERM)
        assert engines.engines.pop(first.owner).wait(PATIENCE_S) == 0
        engines.leader(first.epoch)
        traffic.flow(1.0)
        traffic.stop()
        engines.drain()
    engines.leave()
    check(engines, traffic, tmp_path)


def test_what_comes_before_that_which_it_rests_on_counts_once_that_is_there(
    engines: Installation, tmp_path: Path
) -> None:
    """Partitions keep no order among each other: here the whole fleet comes last things first."""
    backwards = structs.replace(SMALL, fleet=SMALL.fleet[::-1])
    engines.start("e0")
    with Traffic(engines.connection, engines.topology, 17, backwards) as traffic:
        engines.leader()
        deadline = time.monotonic() + PATIENCE_S
        while not traffic.waits_s:  # until the first job is launched
            assert time.monotonic() < deadline
            traffic.flow(1.0)
        traffic.stop()
        engines.drain()
    engines.leave()
    found = check(engines, traffic, tmp_path)
    assert found.parked >= len(SMALL.fleet) // 2
    assert found.directives > 0


def test_the_ledgers_leader_of_three_killed_loses_nothing(
    topology: Topology, tmp_path: Path
) -> None:
    """Engines decide on with two nodes, and with the third when it is back."""
    home, three = tmp_path / "broker", structs.replace(topology, replication=NODES)
    with own_broker(home, NODES) as layout:
        at = connect(home, layout)
        assert Admin(at).apply(three).done
        with Installation(at, three, tmp_path) as engines:
            engines.start("e0", "e1")
            with Traffic(at, three, 18) as traffic:
                engines.leader()
                traffic.flow(2.0)
                kill_leader(home, layout, three)
                traffic.flow(5.0)
                start(home, layout)
                traffic.flow(5.0)
                traffic.stop()
                engines.drain()
            engines.leave()
            found = check(engines, traffic, tmp_path)
            assert found.directives > 0


def test_a_broker_killed_and_restarted_loses_nothing(topology: Topology, tmp_path: Path) -> None:
    """Engines outlast it, whoever leads then; what was acknowledged before and after is there."""
    home = tmp_path / "broker"
    with own_broker(home) as layout:
        at = connect(home, layout)
        assert Admin(at).apply(topology).done
        with Installation(at, topology, tmp_path) as engines:
            engines.start("e0", "e1")
            with Traffic(at, topology, 16) as traffic:
                engines.leader()
                traffic.flow(2.0)
                kill(home, layout.nodes[0])
                traffic.flow(3.0)
                start(home, layout)
                traffic.flow(10.0)
                traffic.stop()
                engines.drain()
            engines.leave()
            check(engines, traffic, tmp_path)
