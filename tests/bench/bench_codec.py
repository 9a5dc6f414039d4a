# SPDX-License-Identifier: Apache-2.0
"""What one record costs on its way in: decoding its envelope, validating it, taking it in.

The anchor is protobuf's own parser on the same bytes, envelope and payload, read into no value.
"""

import gc
import json
import time
from collections.abc import Callable, Sequence

from schemas.catalogue import Event
from schemas.codec import decode_record, encode_record, publish
from schemas.decisions import LaunchOrdered, PlanCommitted
from schemas.fleet import NodeDeclared
from schemas.jobs import JobProgressed, JobStarted, JobSubmitted
from schemas.records import Origin
from schemas.v1 import decision_pb2, envelope_pb2, fleet_pb2, job_pb2
from schemas.validation import validate
from streams.intake import intake
from tests.bench.line import line
from tests.schemas.samples import ID, SAMPLES

ROUNDS = 5
TIMES = 20_000
_ORIGIN = Origin("report-1", "agent/n-1", ID, "2026-01-01T00:00:00Z", ID, "ledger/7")
_PARSERS: dict[type[Event], Callable[[bytes], object]] = {
    JobStarted: job_pb2.JobStarted.FromString,
    JobProgressed: job_pb2.JobProgressed.FromString,
    JobSubmitted: job_pb2.JobSubmitted.FromString,
    NodeDeclared: fleet_pb2.NodeDeclared.FromString,
    LaunchOrdered: decision_pb2.LaunchOrdered.FromString,
    PlanCommitted: decision_pb2.PlanCommitted.FromString,
}
_TAKEN_IN = (JobStarted, JobProgressed, JobSubmitted, NodeDeclared)


def run() -> list[dict[str, object]]:
    """Measure; one result per step and event type."""
    decoded = [_decode(event) for event in _PARSERS]
    judged = [line for event in _TAKEN_IN for line in (_validate(event), _intake(event))]
    return [*decoded, *judged]


def _decode(event: type[Event]) -> dict[str, object]:
    data = encode_record(77, 1_000, publish(SAMPLES[event], _ORIGIN), 3)
    spent = _us(lambda: decode_record(data))
    return _result("decode", event, spent, _parsed_us(event), f"envelope of {len(data)} bytes")


def _validate(event: type[Event]) -> dict[str, object]:
    sample = SAMPLES[event]
    return _result("validate", event, _us(lambda: validate(sample)), _parsed_us(event), "all rules")


def _intake(event: type[Event]) -> dict[str, object]:
    published = publish(SAMPLES[event], _ORIGIN)
    spent = _us(lambda: intake(published))
    return _result("intake", event, spent, _parsed_us(event), "size, decode, source, all rules")


def _parsed_us(event: type[Event]) -> float:
    published = publish(SAMPLES[event], _ORIGIN)
    data = encode_record(77, 1_000, published, 3)
    open_envelope, parse = envelope_pb2.Record.FromString, _PARSERS[event]
    return _us(lambda: parse(open_envelope(data).payload))


def _us(work: Callable[[], object]) -> float:
    """Return CPU microseconds a call, the best of some rounds."""
    gc.collect()
    return min(_round(work, range(TIMES)) for _ in range(ROUNDS)) / TIMES * 1e6


def _round(work: Callable[[], object], times: Sequence[int]) -> float:
    before = time.process_time()
    for _ in times:
        work()
    return time.process_time() - before


def _result(
    step: str, event: type[Event], value: float, anchor_value: float, conditions: str
) -> dict[str, object]:
    return line(
        (f"{step}_{event.__name__}_us", value, "CPU us/event"),
        ("protobuf parse of envelope and payload", anchor_value),
        f"{conditions}; sample with every field set; best of {ROUNDS} x {TIMES}",
        digits=2,
    )


if __name__ == "__main__":
    for result in run():
        print(json.dumps(result))
