# SPDX-License-Identifier: Apache-2.0
"""What the embedded ledger costs beside bare SQLite doing the same on the same disk.

Bare SQLite is a table of position and bytes, written and read with no check at all, under the same
durability. The two take turns, so that the machine's mood falls on both; a figure is the median of
the rounds. Appending waits for the disk, so it is measured by the clock on the wall; reading is
measured in CPU seconds.
"""

import gc
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from statistics import median

from schemas.ledger import CHUNK, Batch, scan
from streams.embedded import EmbeddedLedger
from tests.bench.line import line

ROUNDS = 7
APPENDS = 500
BATCH_RECORDS = 20
RECORD_BYTES = 200
SCANNED = 200_000
_PERMILLE = (500, 990)


def run() -> list[dict[str, object]]:
    """Measure appending and scanning; one result per figure."""
    return [*_appending(), *_scanning()]


def _appending() -> list[dict[str, object]]:
    batch = _records(BATCH_RECORDS)
    ours, bare, waits = list[float](), list[float](), list[float]()
    for _ in range(ROUNDS):
        bare.append(_append_bare(batch))
        rate, each = _append_ours(batch)
        ours.append(rate)
        waits.extend(each)
    ratio = median(own / other for own, other in zip(ours, bare, strict=True))
    waits.sort()
    p50, p99 = (waits[len(waits) * part // 1_000] * 1_000 for part in _PERMILLE)
    conditions = (
        f"{BATCH_RECORDS} records of {RECORD_BYTES} bytes a transaction, WAL, synchronous FULL, "
        f"median of {ROUNDS} x {APPENDS}; ours also lease, CRC-32, an input's offset; "
        f"wait p50 {p50:.2f} ms, p99 {p99:.2f} ms"
    )
    bare_rate = ("bare SQLite, same durability", median(bare))
    return [
        line(("append20_ratio", ratio, "of bare rate"), bare_rate, conditions, ratio=ratio),
        line(
            ("append20_records_per_s", median(ours), "records/s"),
            bare_rate,
            conditions,
            ratio=ratio,
        ),
    ]


def _append_ours(batch: Sequence[bytes]) -> tuple[float, list[float]]:
    """Return records a second, and the seconds that each append took."""
    each: list[float] = []
    with _folder() as folder, EmbeddedLedger(folder / "ledger.db") as ledger:
        lease, head = ledger.acquire("bench"), 0
        started = before = time.perf_counter()
        for number in range(APPENDS):
            head = ledger.append(lease, head, Batch(batch, {"in": number}))
            now = time.perf_counter()
            each.append(now - before)
            before = now
        return head / (time.perf_counter() - started), each


def _append_bare(batch: Sequence[bytes]) -> float:
    with _folder() as folder, _bare(folder) as db:
        started, head = time.perf_counter(), 0
        for _ in range(APPENDS):
            db.execute("BEGIN IMMEDIATE")
            rows = zip(range(head, head + len(batch)), batch, strict=True)
            db.executemany("INSERT INTO record VALUES (?, ?)", rows)
            db.execute("COMMIT")
            head += len(batch)
        return head / (time.perf_counter() - started)


def _scanning() -> list[dict[str, object]]:
    records = _records(SCANNED)
    with _folder() as folder, EmbeddedLedger(folder / "ledger.db") as ledger, _bare(folder) as db:
        ledger.append(ledger.acquire("bench"), 0, Batch(records))
        db.execute("BEGIN")
        db.executemany("INSERT INTO record VALUES (?, ?)", enumerate(records))
        db.execute("COMMIT")
        ours, bare = list[float](), list[float]()
        for _ in range(ROUNDS):
            bare.append(_rate(lambda: _scan_bare(db)))
            ours.append(_rate(lambda: sum(1 for _ in scan(ledger))))
    ratio = median(own / other for own, other in zip(ours, bare, strict=True))
    conditions = (
        f"{SCANNED} records of {RECORD_BYTES} bytes, in memory, chunks of {CHUNK}, median of "
        f"{ROUNDS}; ours also checks positions and CRC-32"
    )
    bare_rate = ("bare SQLite, ordered scan", median(bare))
    measured = ("scan_records_per_s", median(ours), "records/CPU s")
    return [line(measured, bare_rate, conditions, ratio=ratio)]


def _scan_bare(db: sqlite3.Connection) -> int:
    rows = db.execute("SELECT position, data FROM record ORDER BY position")
    count = 0
    while part := rows.fetchmany(CHUNK):
        for _position, _data in part:
            count += 1
    return count


def _rate(count: Callable[[], int]) -> float:
    gc.collect()
    before = time.process_time()
    counted = count()
    return counted / (time.process_time() - before)


def _records(count: int) -> list[bytes]:
    draw = Random(1)  # noqa: S311  # chance that repeats
    return [draw.randbytes(RECORD_BYTES) for _ in range(count)]


@contextmanager
def _folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@contextmanager
def _bare(folder: Path) -> Generator[sqlite3.Connection]:
    with closing(sqlite3.connect(folder / "bare.db", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE record (position INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT")
        yield db


if __name__ == "__main__":
    for result in run():
        print(json.dumps(result))
