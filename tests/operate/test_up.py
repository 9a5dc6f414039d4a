# SPDX-License-Identifier: Apache-2.0
"""A trace through real Kafka, every part a process of its own: in the end there is one state."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from msgspec import json as msgjson

from analytics.audit import read_envelopes
from compose.broker.layout import new_layout, save
from compose.exits import Exit
from compose.folding import folded
from compose.live_trace import LIVE_DAYS, live_workload
from compose.places import RunFolder
from engine.digest import Digest
from schemas.codec import decode_record
from schemas.jobs import JobSubmitted
from schemas.ledger import Batch, scan
from streams.embedded import EmbeddedLedger
from streams.kafka.connection import Connection
from streams.kafka.reader import KafkaReader
from streams.kafka.topics import Topology, declare
from tests.compose.conftest import Singlepool
from tests.eventually import eventually
from tests.kafka.conftest import free_ports

pytestmark = pytest.mark.long  # whole processes die here, on their own time

PATIENCE_S = 300.0
PROCESSES = ("intake", "engine", "standby", "archive", "player")
QUICK = ("--hours", "1", "--speed", "90")
SOUND = {"plans_diverged": 0, "archive_damages": 0, "sound": True}


def start_up(
    broker: Connection, prefix: str, home: Path, play: Sequence[str]
) -> "subprocess.Popen[str]":
    """Start all of it on a broker that runs."""
    at = ["--bootstrap", broker.bootstrap, "--prefix", prefix, "--home", str(home)]
    program = [sys.executable, "-m", "compose.cli", "up", *at, *play, "--output", "json"]
    with (home / "said").open("wb") as said:
        return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=said, text=True)


def process_ids(home: Path) -> Mapping[str, int]:
    """Who runs as which process, as `up` writes it down."""
    try:
        return msgjson.decode((home / "logs" / "processes.json").read_bytes(), type=dict[str, int])
    except (FileNotFoundError, ValueError):
        return {}


def said(home: Path, name: str, event: str) -> bool:
    """Whether a process has logged something."""
    log = home / "logs" / f"{name}.log"
    return log.exists() and f'"event": "{event}"' in log.read_text()


def hold_to_one_state(
    broker: Connection,
    topology: Topology,
    home: Path,
    told: Mapping[str, object],
    hours: int | None,
) -> None:
    """Fold what Kafka holds on an embedded ledger, and hold all that was told to it.

    Every job of the trace is on the ledger once: nothing was lost, and nothing counted twice.
    """
    with KafkaReader(broker, topology) as live, EmbeddedLedger(home / "ledger.db") as ledger:
        ledger.append(ledger.acquire("test"), 0, Batch(list(scan(live))))
        records = list(scan(ledger))
    assert list(read_envelopes(RunFolder(home).archive)) == records
    state = folded(decode_record(data) for data in records)
    digest = Digest().update(state).hex()
    assert told["engine_digest"] == told["ledger_digest"] == told["archive_digest"] == digest
    decoded = [decode_record(data) for data in records]
    submitted = Counter(
        record.event.job.id
        for record in decoded
        if record is not None and isinstance(record.event, JobSubmitted)
    )
    arrivals = live_workload(LIVE_DAYS, hours).arrivals
    assert submitted == Counter(arrival.job.id for arrival in arrivals)
    assert sum(job.attempt > 0 for job in state.jobs.values()) > len(arrivals) // 2


def test_an_hour_of_the_trace_ends_in_one_state_though_its_leader_was_killed(
    broker: Connection, topology: Topology, tmp_path: Path, singlepool: Singlepool
) -> None:
    """The standby goes on; engine, ledger and archive agree, and every plan comes out again.

    Meanwhile the commands that watch see it.
    """
    topology = declare(prefix=topology.prefix)
    at = ("--bootstrap", broker.bootstrap, "--prefix", topology.prefix)
    running = start_up(broker, topology.prefix, tmp_path, QUICK)
    try:
        eventually(lambda: said(tmp_path, "engine", "cycle"), "no cycle", PATIENCE_S)
        os.kill(process_ids(tmp_path)["engine"], signal.SIGKILL)
        hold_to_the_commands(singlepool, at, tmp_path)
        out, _ = running.communicate(timeout=PATIENCE_S)
    finally:
        running.terminate()
        running.wait(PATIENCE_S)
    assert running.returncode == Exit.DONE, (tmp_path / "said").read_text()
    told = json.loads(out)
    assert {name: told[name] for name in SOUND} == SOUND
    assert told["restarts"] >= 1
    assert told["plans_checked"] == told["cycles"] > 0
    hold_to_one_state(broker, topology, tmp_path, told, 1)


@pytest.mark.soak
@pytest.mark.long
def test_two_days_of_the_trace_end_in_one_state_though_every_process_was_killed(
    broker: Connection, topology: Topology, tmp_path: Path
) -> None:
    """Each process is killed once, in an order and at moments that are drawn."""
    topology = declare(prefix=topology.prefix)
    drawn = random.Random(4)  # noqa: S311  # reproducible moments, not secrets
    order = drawn.sample(PROCESSES, len(PROCESSES))
    running = start_up(broker, topology.prefix, tmp_path, ("--speed", "600"))
    try:
        eventually(lambda: said(tmp_path, "engine", "cycle"), "no cycle", PATIENCE_S)
        for name in order:
            time.sleep(drawn.uniform(10, 40))
            os.kill(process_ids(tmp_path)[name], signal.SIGKILL)
        out, _ = running.communicate(timeout=4 * PATIENCE_S)
    finally:
        running.terminate()
        running.wait(PATIENCE_S)
    assert running.returncode == Exit.DONE, (tmp_path / "said").read_text()
    told = json.loads(out)
    assert {name: told[name] for name in SOUND} == SOUND
    assert told["restarts"] >= len(PROCESSES)
    assert told["plans_checked"] == told["cycles"] > 0
    hold_to_one_state(broker, topology, tmp_path, told, None)


@pytest.mark.long
def test_told_to_stop_it_leaves_in_good_order_and_goes_on_later(
    broker: Connection, topology: Topology, tmp_path: Path
) -> None:
    """After Ctrl+C no process is left and the archive is whole; resumed, it plays to the end."""
    first = start_up(broker, topology.prefix, tmp_path, QUICK)
    try:
        eventually(lambda: said(tmp_path, "engine", "cycle"), "no cycle", PATIENCE_S)
        ids = process_ids(tmp_path)
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=PATIENCE_S)
    finally:
        first.terminate()
        first.wait(PATIENCE_S)
    assert first.returncode == 130, (tmp_path / "said").read_text()
    assert set(ids) == set(PROCESSES)
    assert not any(Path(f"/proc/{pid}").exists() for pid in ids.values())
    again = start_up(broker, topology.prefix, tmp_path, (*QUICK, "--resume"))
    out, _ = again.communicate(timeout=2 * PATIENCE_S)
    assert again.returncode == Exit.DONE, (tmp_path / "said").read_text()
    told = json.loads(out)
    assert {name: told[name] for name in SOUND} == SOUND
    hold_to_one_state(broker, declare(prefix=topology.prefix), tmp_path, told, 1)


@pytest.mark.parametrize("secured", [False, True])
def test_a_run_is_not_gone_on_with_under_other_security(
    tmp_path: Path, singlepool: Singlepool, *, secured: bool
) -> None:
    """A switch that would be ignored is refused, before anything is started."""
    save(new_layout(1, 9, tls=secured), tmp_path / "broker")
    asked = () if secured else ("--tls",)
    ended = singlepool("up", "--resume", *asked, "--home", tmp_path, *QUICK)
    assert ended.code == Exit.USAGE
    assert f"made {'with' if secured else 'without'} --tls" in ended.err


def test_on_a_secured_broker_of_its_own_every_process_may_do_its_part(
    tmp_path: Path, singlepool: Singlepool
) -> None:
    """`--tls` alone makes certificates and grants, and the trace goes through as without."""
    port = free_ports(1)[0]
    ended = singlepool(
        "up", "--tls", "--home", tmp_path, "--port", port, *QUICK, "--output", "json"
    )
    assert ended.code == Exit.DONE, ended.err
    told = json.loads(ended.out)
    assert {name: told[name] for name in SOUND} == SOUND
    assert (told["restarts"], told["jobs"] > 0, told["cycles"] > 0) == (0, True, True)


def hold_to_the_commands(singlepool: Singlepool, at: Sequence[str], home: Path) -> None:
    """`tail`, `lag`, `doctor` and `rejected` answer while all of it runs."""
    shown = json.loads(singlepool("tail", *at, "--type", "job.submitted", "-o", "json").out)
    assert {row["type"] for row in shown} == {"singlepool.job.submitted.v1"}
    one = singlepool("tail", *at, "--job", shown[0]["job"], "-o", "ndjson").out.splitlines()
    assert {json.loads(line)["job"] for line in one} == {shown[0]["job"]}
    since = singlepool("tail", *at, "--since", shown[-1]["recorded_at"], "-o", "ndjson").out
    assert json.loads(since.splitlines()[0])["position"] <= shown[-1]["position"]
    rows = json.loads(singlepool("lag", *at, "--home", home, "-o", "json").out)
    assert {row["consumer"] for row in rows} == {"intake", "engine", "archiver", "snapshots"}
    assert all(row["end"] >= row["position"] and row["lag"] >= 0 for row in rows)
    doctor = singlepool("doctor", *at, "--home", home / "none", "-o", "json")
    found = {row["what"]: row["verdict"] for row in json.loads(doctor.out)}
    sound = ("broker", "kafka", "topics", "transactions", "schema")
    assert {found[what] for what in sound} == {"ok"}, doctor.out
    assert json.loads(singlepool("rejected", "list", *at, "-o", "json").out) == []
