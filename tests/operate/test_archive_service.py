# SPDX-License-Identifier: Apache-2.0
"""The archiver's loop without a broker: a disk that is full, and a backlog."""

import errno
import json
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from analytics.audit import read_envelopes, verify
from compose.archiving import ArchiveService, Archiving
from streams.live.health import STALE_MS
from streams.live.ports import SystemClock
from streams.live.process import json_log
from streams.live.vitals import Vitals
from streams.memory import MemoryLedger
from tests.analytics.ledgers import long_ledger
from tests.live.world import FakeClock

SEGMENT = 10


class Closable(MemoryLedger):
    """A ledger in memory that is opened and closed like one on a broker."""

    def close(self) -> None:
        """Nothing is held."""


def test_a_full_disk_is_outlasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is full nothing half is there, and the process is not ready; then it goes on."""
    records = long_ledger(20).records
    real, calls = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if 5 < calls <= 12:  # within the second segment, and its next tries
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    clock = SystemClock()
    vitals = Vitals("archiver", clock)
    ready: list[tuple[bool, int]] = []

    class Resting(SystemClock):
        def rest(self, ms: int) -> None:
            assert ms
            ready.append((vitals.ready, verify(tmp_path).records))

    service = ArchiveService(
        Archiving(tmp_path, SEGMENT),
        lambda: closing(Closable(records)),
        vitals,
        json_log(),
    )
    service.run(lambda: ready[-1:] == [(True, 20)], Resting())
    assert ready[0] == (False, 10)
    assert verify(tmp_path).findings == ()
    assert list(read_envelopes(tmp_path)) == records


@pytest.mark.parametrize(("seal", "kept"), [(False, 20), (True, 45)])
def test_a_backlog_is_worked_off_by_segments(tmp_path: Path, *, seal: bool, kept: int) -> None:
    """After each it shows that it gets on, and asks whether to stop; to seal, it ends the work."""
    clock = FakeClock()
    vitals = Vitals("archiver", clock)
    seen: list[tuple[bool, object]] = []

    class Slow(Closable):
        def read(self, start: int, limit: int) -> Sequence[bytes]:
            clock.rest(STALE_MS - 1)
            return super().read(start, limit)

    def stop() -> bool:
        seen.append((vitals.alive, json.loads(vitals.text()).get("position")))
        return len(seen) == 3

    told = Archiving(tmp_path, SEGMENT, seal_at_end=seal)
    slow = Slow(long_ledger(45).records)
    ArchiveService(told, lambda: closing(slow), vitals, json_log()).run(stop, clock)
    assert seen == [(True, None), (True, 10), (True, 20)]
    assert (verify(tmp_path).records, vitals.alive) == (kept, True)
