# SPDX-License-Identifier: Apache-2.0
"""The archive of a ledger on a real broker: each position once, and where to go on."""

import json
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from analytics import parquet
from analytics.archive import Archiver
from analytics.audit import read_envelopes, verify
from analytics.errors import LedgerGapError
from compose.exits import Exit
from schemas.codec import encode_record, publish
from schemas.ids import JobId
from schemas.jobs import JobFinished
from schemas.ledger import Batch, LedgerReader, scan
from streams.kafka.connection import Connection
from streams.kafka.entries import Note, note_headers, note_value, record_headers
from streams.kafka.ledger import KafkaLedger
from streams.kafka.reader import KafkaReader
from streams.kafka.topics import ARCHIVER, Topology
from streams.memory import MemoryLedger
from tests.analytics.ledgers import long_ledger, sealed
from tests.compose.conftest import Singlepool
from tests.eventually import eventually

SEGMENT = 10
PATIENCE_S = 120.0
FULL_BYTES = 4_096
"""Less than a segment has; and more than the log, which goes to a file as well."""


def write(broker: Connection, topology: Topology, records: list[bytes], at_once: int = 7) -> None:
    """Append records in transactions, each of which leaves a note and a marker between them."""
    with KafkaLedger(broker, topology) as ledger:
        lease = ledger.acquire("test")
        while (head := ledger.head()) < len(records):
            ledger.append(lease, head, Batch(records[head : head + at_once]))


def reader(broker: Connection, topology: Topology) -> KafkaReader:
    return KafkaReader(broker, topology, ARCHIVER)


def caught_up(ledger: LedgerReader, folder: Path) -> None:
    """Archive the full segments, as a process that comes and goes."""
    with closing(Archiver(folder, SEGMENT)) as archiver:
        archiver.catch_up(ledger)


def stated(folder: Path) -> list[dict[str, int]]:
    """What each segment states of the broker's places."""
    found = [parquet.read(f.read_bytes(), ["position"]) for f in sorted(folder.glob("*.parquet"))]
    return [msgspec.json.decode(c.metadata["places"], type=dict[str, int]) for c in found]


def test_notes_and_markers_are_no_gaps(
    broker: Connection, topics: Topology, tmp_path: Path
) -> None:
    """Offsets have holes where positions have none; the archive has each position once."""
    records = long_ledger(45).records
    write(broker, topics, records)
    with reader(broker, topics) as ledger:
        sealed(ledger, tmp_path, SEGMENT)
    assert list(read_envelopes(tmp_path)) == records
    assert verify(tmp_path).sound
    offsets = [places[f"{topics.ledger.name}/0"] for places in stated(tmp_path)]
    assert offsets == sorted(offsets)
    assert offsets[-1] > len(records)


def test_segments_hold_the_same_as_those_of_an_embedded_ledger(
    broker: Connection, topics: Topology, tmp_path: Path
) -> None:
    """Names and roots agree; the broker's places are the one thing that an embedded one lacks."""
    records = long_ledger(30).records
    write(broker, topics, records)
    with reader(broker, topics) as ledger:
        sealed(ledger, tmp_path / "live", SEGMENT)
    sealed(MemoryLedger(records), tmp_path / "embedded", SEGMENT)
    roots = [
        [
            (f.name, parquet.read(f.read_bytes(), ["position"]).metadata["root"])
            for f in sorted((tmp_path / name).glob("*.parquet"))
        ]
        for name in ("live", "embedded")
    ]
    assert roots[0] == roots[1]


def test_a_new_archiver_goes_on_at_the_place_that_the_archive_states(
    broker: Connection, topics: Topology, tmp_path: Path
) -> None:
    """Where it goes on is what the last segment states; nothing is archived twice or left out."""
    records = long_ledger(60).records
    write(broker, topics, records[:33])
    with reader(broker, topics) as ledger:
        caught_up(ledger, tmp_path)
    write(broker, topics, records)
    opened = Archiver(tmp_path, SEGMENT)
    with closing(opened) as again, reader(broker, topics) as ledger:
        assert again.meet(ledger) == stated(tmp_path)[-1]
        assert again.next_position == 30
        again.seal(ledger)
    assert list(read_envelopes(tmp_path)) == records
    assert verify(tmp_path).sound


def test_a_ledger_that_has_lost_its_end_is_not_gone_on_from(tmp_path: Path) -> None:
    """Fewer records than are archived: to wait for more would join two histories."""
    records = long_ledger(30).records
    sealed(MemoryLedger(records), tmp_path, SEGMENT)
    with (
        closing(Archiver(tmp_path, SEGMENT)) as archiver,
        pytest.raises(LedgerGapError, match="has 20 records, and 30 are archived"),
    ):
        archiver.meet(MemoryLedger(records[:20]))


def test_another_ledger_is_not_gone_on_from(tmp_path: Path) -> None:
    """The record before the next position must be the one that is archived."""
    records = long_ledger(30).records
    sealed(MemoryLedger(records[:20]), tmp_path, SEGMENT)
    other = [*records[:19], records[20], *records[20:]]
    with (
        closing(Archiver(tmp_path, SEGMENT)) as archiver,
        pytest.raises(LedgerGapError, match="record 19 of the ledger is not the one"),
    ):
        archiver.meet(MemoryLedger(other))


def leave_out(broker: Connection, topology: Topology, records: list[bytes], missing: int) -> None:
    """Go on behind a position as only a broken writer, or a broker that loses, could."""
    producer = Producer(broker.settings())
    for at in range(missing + 1, len(records)):
        producer.produce(topology.ledger.name, records[at], headers=record_headers(at))
    note = note_value(Note(len(records), 99, "broken"))
    producer.produce(topology.ledger.name, note, headers=note_headers())
    assert producer.flush(30) == 0


def test_a_missing_position_ends_the_process_with_code_3(
    broker: Connection, topics: Topology, tmp_path: Path
) -> None:
    """It is named, what is archived stays so, and no segment reaches over it."""
    records = long_ledger(40).records
    write(broker, topics, records[:25])
    with reader(broker, topics) as ledger:
        caught_up(ledger, tmp_path / "archive")
    leave_out(broker, topics, records, 25)
    ended = serve(broker, topics, tmp_path)
    code = ended.wait(PATIENCE_S)
    said = (tmp_path / "log").read_text()
    assert code == Exit.DIVERGED, said
    assert "record 25 is missing" in said
    assert verify(tmp_path / "archive").records == 20


def serve(broker: Connection, topology: Topology, home: Path) -> "subprocess.Popen[bytes]":
    """Start the archiver's process."""
    at = ["--bootstrap", broker.bootstrap, "--prefix", topology.prefix, "--home", str(home)]
    program = [sys.executable, "-m", "compose.cli", "serve", "archive", *at, "--seal"]
    with (home / "log").open("ab") as log:
        return subprocess.Popen([*program, "--segment-records", str(SEGMENT)], stderr=log)


def limit_files(running: "subprocess.Popen[bytes]", size_bytes: int) -> None:
    """Let a process write no file past a size."""
    limits = (size_bytes, resource.RLIM_INFINITY)
    resource.prlimit(running.pid, resource.RLIMIT_FSIZE, limits)


def archived(home: Path) -> int:
    return len(list((home / "archive").glob("*.parquet"))) * SEGMENT


def reached(home: Path, position: int) -> Callable[[], bool]:
    return lambda: archived(home) >= position


def test_killed_and_started_again_it_archives_all_once(
    broker: Connection, topics: Topology, tmp_path: Path
) -> None:
    """SIGKILL while it works, then SIGTERM when it has caught up: the ledger as it is, sealed."""
    records = long_ledger(4_005).records
    write(broker, topics, records, at_once=500)
    first = serve(broker, topics, tmp_path)
    eventually(lambda: archived(tmp_path) > SEGMENT, "nothing archived")
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = serve(broker, topics, tmp_path)
    eventually(lambda: archived(tmp_path) == 4_000, "not caught up")
    second.terminate()
    assert second.wait(PATIENCE_S) == Exit.DONE, (tmp_path / "log").read_text()
    assert list(read_envelopes(tmp_path / "archive")) == records
    assert verify(tmp_path / "archive").sound


@pytest.mark.soak
@pytest.mark.long
def test_killed_a_hundred_times_it_archives_all_once(
    broker: Connection, topics: Topology, tmp_path: Path
) -> None:
    """At random instants while the ledger grows; what has a name is sound after each."""
    rng = random.Random(21)  # noqa: S311  # chance that repeats
    rounds, each = 100, 40 * SEGMENT
    records = long_ledger((rounds + 1) * each).records
    for number in range(rounds):
        write(broker, topics, records[: (number + 1) * each], at_once=50)
        target = number * each + rng.randrange(each)
        running = serve(broker, topics, tmp_path)
        eventually(reached(tmp_path, target), "nothing archived")
        time.sleep(rng.random() / 50)
        running.kill()
        running.wait()
        assert (
            list(read_envelopes(tmp_path / "archive", target))
            == records[target : archived(tmp_path)]
        )
    write(broker, topics, records, at_once=50)
    last = serve(broker, topics, tmp_path)
    eventually(lambda: archived(tmp_path) == len(records), "not caught up")
    last.terminate()
    assert last.wait(PATIENCE_S) == Exit.DONE, (tmp_path / "log").read_text()
    assert list(read_envelopes(tmp_path / "archive")) == records
    assert verify(tmp_path / "archive").sound


def test_a_disk_full_while_sealing_is_outlasted_by_the_process(
    broker: Connection, topics: Topology, tmp_path: Path
) -> None:
    """No file may grow past a limit, until one may: nothing half has a name, then all is there."""
    records = long_ledger(4 * SEGMENT).records
    write(broker, topics, records)
    running = serve(broker, topics, tmp_path)
    limit_files(running, FULL_BYTES)  # long before it has anything to write
    try:
        folder = tmp_path / "archive"
        eventually(lambda: "File too large" in (tmp_path / "log").read_text(), "never full")
        assert verify(folder).records == 0
        assert [f.stat().st_size for f in folder.glob("*.parquet*")] in ([], [FULL_BYTES])
        limit_files(running, resource.RLIM_INFINITY)
        eventually(reached(tmp_path, len(records)), "not caught up")
        running.terminate()
        assert running.wait(PATIENCE_S) == Exit.DONE
    finally:
        running.kill()
        running.wait()
    assert list(read_envelopes(folder)) == records
    assert verify(folder).sound


def test_an_archive_becomes_a_ledger_again(
    broker: Connection, topics: Topology, tmp_path: Path, singlepool: Singlepool
) -> None:
    """What was interrupted goes on, a second time appends nothing, another ledger is refused."""
    records = long_ledger(1_203).records
    sealed(MemoryLedger(records), tmp_path / "archive", 400)
    write(broker, topics, records[:700], at_once=350)
    at = ("--bootstrap", broker.bootstrap, "--prefix", topics.prefix)
    again = ("archive", "restore", "--home", tmp_path, *at, "-o", "json")
    for appended in (503, 0):
        ended = singlepool(*again)
        assert ended.code == Exit.DONE, ended.err
        assert json.loads(ended.out) == {"appended": appended, "head": len(records)}
    with reader(broker, topics) as ledger:
        assert list(scan(ledger)) == records
    other = encode_record(len(records) - 1, 9, publish(JobFinished(JobId("acme/other@1"), 1)))
    sealed(MemoryLedger([*records[:-1], other]), tmp_path / "other" / "archive")
    ended = singlepool(*again[:2], "--home", tmp_path / "other", *at)
    assert (ended.code, "that are not this archive's" in ended.err) == (Exit.USAGE, True)
