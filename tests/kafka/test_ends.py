# SPDX-License-Identifier: Apache-2.0
"""Where partitions end is known of those whose leader lives, whatever the others do."""

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from compose.broker.layout import connection
from compose.broker.nodes import kill, start
from streams.kafka.ends import Ends
from tests.eventually import eventually
from tests.kafka.conftest import own_broker

SOON_S = 10.0


@pytest.mark.long
def test_a_partition_without_its_leader_is_silent_alone(tmp_path: Path) -> None:
    """Its silence is the broker's; of all others the end is known, and time passes there."""
    with own_broker(tmp_path, 2) as layout:
        there = connection(tmp_path, layout)
        alive, dead = layout.nodes
        admin: Any = AdminClient(there.settings())  # its futures say no type
        made = admin.create_topics(
            [NewTopic("t", 2, replica_assignment=[[alive.number], [dead.number]])]
        )
        for future in made.values():
            future.result(30)
        ends, places = Ends(there), (("t", 0), ("t", 1))
        eventually(lambda: ends.of(places) == dict.fromkeys(places, 0), "both are known")
        kill(tmp_path, dead)
        assert [ends.of(places), ends.begins(places)] == [{("t", 0): 0}] * 2


@pytest.mark.long
def test_a_broker_that_starts_again_says_again_where_partitions_end(tmp_path: Path) -> None:
    """Its leaders have another epoch then, and whoever asks for one that is over hears nothing."""
    with own_broker(tmp_path) as layout:
        there = connection(tmp_path, layout)
        admin: Any = AdminClient(there.settings())
        admin.create_topics([NewTopic("t", 1)])["t"].result(30)
        ends, places = Ends(there), (("t", 0),)
        eventually(lambda: ends.of(places) == {("t", 0): 0}, "it is known")
        kill(tmp_path, layout.nodes[0])
        assert ends.of(places) == {}
        start(tmp_path, layout)
        eventually(lambda: ends.of(places) == {("t", 0): 0}, "it is known again", SOON_S)
