# SPDX-License-Identifier: Apache-2.0
"""How fast a ledger is folded on one core, from its bytes to the state, and digested at the end.

The ledger is played in the same run: days of the Philly trace in one pool. The anchor is protobuf's
own parser on the same envelopes, payloads left as bytes.
"""

import gc
import json
import time
from collections.abc import Callable, Sequence

from engine.digest import Digest
from engine.evolve import evolve
from engine.policies import POOL
from engine.state import State
from schemas.codec import decode_record
from schemas.records import Record
from schemas.v1 import envelope_pb2
from streams.memory import MemoryLedger
from streams.play import Play
from streams.traces.philly import philly
from tests.bench.line import line

DAYS = range(21, 24)
ROUNDS = 7


def run() -> list[dict[str, object]]:
    """Measure; one result per name."""
    ledger = MemoryLedger()
    played = Play(ledger, philly(DAYS), POOL).run()
    envelopes = ledger.read(0, ledger.head())
    parse = envelope_pb2.Record.FromString
    bare = _events_per_s(lambda: _each(parse, envelopes), len(envelopes))
    state = _folded(envelopes)
    assert Digest().update(state) == played.digest
    records = [record for record in map(decode_record, envelopes) if record is not None]
    what = f"Philly days {DAYS.start}-{DAYS.stop - 1} in one pool, {len(envelopes)} records, "
    what += f"{sum(map(len, envelopes)) // len(envelopes)} bytes each; CPU s, best of {ROUNDS}"
    steps: dict[str, tuple[str, Callable[[], object]]] = {
        "fold_events_per_s": ("decoded and folded", lambda: _folded(envelopes)),
        "decode_events_per_s": ("decoded", lambda: _each(decode_record, envelopes)),
        "evolve_events_per_s": ("folded, decoded before", lambda: _evolved(records)),
        "fold_and_digest_events_per_s": (
            "decoded and folded, digest of the end state",
            lambda: Digest().update(_folded(envelopes)),
        ),
    }
    return [
        _result(name, _events_per_s(work, len(envelopes)), bare, f"{how}; {what}")
        for name, (how, work) in steps.items()
    ]


def _each(convert: Callable[[bytes], object], envelopes: Sequence[bytes]) -> None:
    for envelope in envelopes:
        convert(envelope)


def _folded(envelopes: Sequence[bytes]) -> State:
    state = State()
    for envelope in envelopes:
        record = decode_record(envelope)
        if record is not None:
            evolve(state, record)
    return state


def _evolved(records: Sequence[Record]) -> None:
    state = State()
    for record in records:
        evolve(state, record)


def _events_per_s(work: Callable[[], object], events: int) -> float:
    return events / min(_cpu_s(work) for _ in range(ROUNDS))


def _cpu_s(work: Callable[[], object]) -> float:
    gc.collect()
    before = time.process_time()
    work()
    return time.process_time() - before


def _result(name: str, value: float, anchor: float, conditions: str) -> dict[str, object]:
    parsed = ("protobuf parse of the same envelopes", anchor)
    return line((name, value, "events/s"), parsed, conditions, digits=None)


if __name__ == "__main__":
    for result in run():
        print(json.dumps(result))
