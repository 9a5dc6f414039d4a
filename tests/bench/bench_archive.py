# SPDX-License-Identifier: Apache-2.0
# pyright: basic
# pyarrow ships no types, so strict mode knows nothing of the anchor.
"""How fast the ledger becomes Parquet, decoding, hashing and syncing included, on one core.

The anchor is a bare Arrow write of the same envelopes as one column, compressed alike, synced once.
"""

import gc
import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from analytics.audit import verify
from analytics.database import open_history
from schemas import decisions, jobs
from schemas.kinds import Tier
from schemas.records import Origin
from tests.analytics.ledgers import LedgerBuilder, declare_fleet, launch, piece, sealed, submit
from tests.bench.line import line

EVENTS = 131_072
ROUNDS = 3
_REPORT = Origin("report-1", "agent/node-1", "acme/job@1", "2017-09-25T08:30:00Z")


def run() -> list[dict[str, object]]:
    """Measure; one result per name."""
    ledger = a_ledger(EVENTS)
    with TemporaryDirectory() as folder:
        return [_archive(ledger, Path(folder)), _opened(ledger, Path(folder) / "opened")]


def a_ledger(events: int) -> LedgerBuilder:
    """Jobs as in a training trace, each from its submission to its end; a cycle for each two."""
    ledger = LedgerBuilder()
    declare_fleet(ledger, ("node-1",))
    number = 0
    while ledger.head() < events:
        number += 1
        ledger.at(number)
        job = submit(ledger, f"job-{number}", tier=Tier(1 + number % 3))
        if number % 2:
            ledger.put(decisions.CycleOpened(number, ledger.head()))
        ledger.put(decisions.VerdictReached(job, "placed", 0, 0))
        ledger.put(launch(job, 1, piece("node-1", range(number % 8 + 1))))
        ledger.put(jobs.JobStarted(job, 1), origin=_REPORT)
        ledger.put(jobs.JobFinished(job, 1), origin=_REPORT)
    del ledger.records[events:]
    return ledger


def _archive(ledger: LedgerBuilder, folder: Path) -> dict[str, object]:
    spent = min(_cpu_s(partial(sealed, ledger, folder / f"archive-{at}")) for at in range(ROUNDS))
    bare = min(_cpu_s(lambda: _write_bare(ledger.records, folder / "bare")) for _ in range(ROUNDS))
    checking = _cpu_s(lambda: verify(folder / "archive-0"))
    mean_bytes = sum(map(len, ledger.records)) // EVENTS
    return _result(
        "archive_events_per_s",
        EVENTS / spent,
        "bare Arrow write of the same envelopes",
        EVENTS / bare,
        f"{EVENTS} events of {mean_bytes} bytes, decoded to JSON and 15 columns, zstd, "
        f"hashed, fsync; CPU seconds, best of {ROUNDS}; verify {EVENTS / checking:.0f} events/s",
    )


def _opened(ledger: LedgerBuilder, folder: Path) -> dict[str, object]:
    sealed(ledger, folder)
    (segment, *_) = sorted(folder.glob("*.parquet"))
    spent = _cpu_s(lambda: open_history(folder).close())
    bare = _cpu_s(lambda: pq.ParquetFile(segment).read())
    rows = pq.ParquetFile(segment).metadata.num_rows
    return _result(
        "history_opened_events_per_s",
        EVENTS / spent,
        "Arrow read of a segment, all columns",
        rows / bare,
        f"{EVENTS} events loaded, all views made, tables computed; CPU seconds over all threads",
    )


def _write_bare(records: list[bytes], path: Path) -> None:
    table = pa.table({"envelope": pa.array(records, pa.binary())})
    pq.write_table(table, path, compression="zstd", compression_level=1, use_dictionary=False)
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _cpu_s(work: Callable[[], object]) -> float:
    gc.collect()
    before = time.process_time()
    work()
    return time.process_time() - before


def _result(
    name: str, value: float, anchor: str, anchor_value: float, conditions: str
) -> dict[str, object]:
    return line((name, value, "events/s"), (anchor, anchor_value), conditions, digits=None)


if __name__ == "__main__":
    for result in run():
        print(json.dumps(result))
