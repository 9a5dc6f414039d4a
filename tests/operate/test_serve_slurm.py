# SPDX-License-Identifier: Apache-2.0
"""`serve slurm` as a process: from Slurm's topic to a verdict's way, and out in good order."""

import json
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import Producer
from msgspec import structs

from compose.exits import Exit
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.topics import Key, Topic, declare
from tests.compose.conftest import Singlepool
from tests.eventually import eventually
from tests.operate.test_serve import PATIENCE_S, at, listed, page, served
from tests.streams.adapters.test_slurm import OURS, OWN, record
from tests.streams.adapters.test_slurm_file import GOOD

__all__ = ["at"]


def test_slurm_is_served_from_its_topic_until_told(
    broker: Connection, at: Sequence[str], tmp_path: Path, singlepool: Singlepool
) -> None:
    """A report, a submission by the operator's table, and a refusal that is listed."""
    topic = f"{at[-1]}slurm.jobs"
    declared = declare(prefix=at[-1])
    more = (*declared.upstream, Topic(topic, Key.NONE, (), ()))
    assert Admin(broker).apply(structs.replace(declared, upstream=more)).done
    demand = tmp_path / "slurm.toml"
    demand.write_text(GOOD)
    producer = Producer(broker.settings())
    for each in (record(OURS), record(OWN), record(OWN, account="nobody")):
        producer.produce(topic, each)
    assert producer.flush(PATIENCE_S) == 0
    with served(tmp_path, "slurm", "--topic", topic, "--demand", str(demand), *at) as (own, port):
        eventually(lambda: carried(port), "never carried")
        assert page(port, "/readyz")[0] == 200
        own.terminate()
        assert own.wait(PATIENCE_S) == Exit.DONE, (tmp_path / "log").read_text()
    last = json.loads((tmp_path / "log").read_text().splitlines()[-1])
    assert (last["event"], last["published"], last["refused"]) == ("left", 2, 1)
    assert listed(singlepool, at) == [1]
    shown = json.loads(singlepool("rejected", "show", 1, *at, "-o", "json").out)
    assert (shown["field"], shown["value"]) == ("account", "nobody")


def carried(port: int) -> bool:
    """Whether the process says that it published two events and refused one record."""
    told = json.loads(page(port, "/healthz")[1])
    return (told.get("published_events"), told.get("refused_records")) == (2, 1)


def test_a_table_that_cannot_be_read_is_wrong_use(
    at: Sequence[str], singlepool: Singlepool
) -> None:
    """Nothing starts, and the file is named."""
    ended = singlepool("serve", "slurm", "--topic", "x", "--demand", "none.toml", *at)
    assert (ended.code, "none.toml cannot be read" in ended.err) == (Exit.USAGE, True)
