# SPDX-License-Identifier: Apache-2.0
"""Each rule on values, broken alone; and nothing else refused."""

from collections.abc import Iterator
from enum import IntEnum
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from schemas.catalogue import CATALOGUE, Event
from schemas.event_rules import FIELDS, TOGETHER
from schemas.jobs import JobSubmitted
from schemas.validation import LONGEST_VALUE, Refusal, validate
from schemas.value_rules import COUNT_LIMIT, CROWD_LIMIT, NAME_LENGTH, SIZE_LIMIT, TEXT_LENGTH
from streams.traces.philly import Mode, philly
from tests.schemas import samples
from tests.schemas.samples import SAMPLES
from tests.schemas.strategies import any_event, valid_events

BY_NAME = {event.__name__: sample for event, sample in SAMPLES.items()}
_LONG_NAME = "n" * (NAME_LENGTH + 1)
_SAME_KEY = (samples.NODE.labels[0], samples.NODE.labels[0])
_ONE_TIER = samples.POLICY.tiers[:1]

BROKEN: list[tuple[str, str, object, str]] = [
    # event, field, value, field that the refusal names ("" for the same)
    ("RegionDeclared", "region.name", "", ""),
    ("RegionDeclared", "region.name", "a/b", ""),
    ("RegionDeclared", "region.name", "a@1", ""),
    ("RegionDeclared", "region.name", "a b", ""),
    ("RegionDeclared", "region.name", "west\n", ""),
    ("RegionDeclared", "region.name", "wést", ""),
    ("RegionDeclared", "region.name", _LONG_NAME, ""),
    ("RegionDeclared", "region.generation", 0, ""),
    ("RegionDeclared", "region.generation", -1, ""),
    ("RegionDeclared", "region.generation", COUNT_LIMIT + 1, ""),
    ("ClusterDeclared", "cluster.interconnect_mbps", 0, ""),
    ("ClusterDeclared", "cluster.region", "", ""),
    ("NodeDeclared", "node.devices", -1, ""),
    ("NodeDeclared", "node.devices", CROWD_LIMIT + 1, ""),
    ("NodeDeclared", "node.memory_mib", SIZE_LIMIT + 1, ""),
    ("NodeDeclared", "node.storage_mbps", 0, ""),
    ("NodeDeclared", "node.network_mbps", 0, ""),
    ("NodeDeclared", "node.attested_until_ms", -1, ""),
    ("NodeDeclared", "node.labels", _SAME_KEY, ""),
    ("NodeDeclared", "node.sku", "", ""),
    ("SkuDeclared", "sku.memory_mib", -1, ""),
    ("SkuDeclared", "sku.speeds", (samples.SKU.speeds[0], samples.SKU.speeds[0]), ""),
    ("DeviceChanged", "slot", -1, ""),
    ("DeviceChanged", "sequence", 0, ""),
    ("NodeHealthReported", "detail", "x" * (TEXT_LENGTH + 1), ""),
    ("NodeHealthReported", "detail", "\x1b[2J", ""),
    ("TenantDeclared", "tenant.share_weight", 0, ""),
    ("TeamDeclared", "team.limit_devices", -1, ""),
    ("ReservationGranted", "reservation.devices", 0, ""),
    ("ReservationGranted", "reservation.regions", ("west", "west"), ""),
    ("ReservationGranted", "reservation.skus", ("h100", "a/b"), "reservation.skus[1]"),
    ("JobSubmitted", "job.workers_min", 0, ""),
    ("JobSubmitted", "job.workers_max", 3, ""),
    ("JobSubmitted", "job.workers_max", CROWD_LIMIT + 1, ""),
    ("JobSubmitted", "job.priority", 2**31 + 1, ""),
    ("JobSubmitted", "job.workload_class", "a b", ""),
    ("JobSubmitted", "job.checkpoint_mib", -1, ""),
    ("JobSubmitted", "job.worker.device_milli", 0, ""),
    ("JobSubmitted", "job.worker.device_milli", 1_001, ""),
    ("JobSubmitted", "job.worker.devices", 2, "job.worker.device_milli"),
    ("JobSubmitted", "job.worker.devices", 0, "job.worker.device_milli"),
    ("JobSubmitted", "job.constraints.skus", ("a", "a"), ""),
    ("JobSubmitted", "job.constraints.labels", _SAME_KEY, ""),
    ("JobCancelled", "job", "train-7", ""),
    ("JobCancelled", "job", "acme/train-7@0", ""),
    ("JobCancelled", "job", "acme/train-7@01", ""),
    ("JobCancelled", "job", "acme/train/7@1", ""),
    ("JobStarted", "attempt", 0, ""),
    ("JobSuspended", "checkpoint", 0, ""),
    ("JobResized", "workers", 0, ""),
    ("JobProgressed", "progress_ppm", 1_000_001, ""),
    ("DeploymentDeclared", "deployment.model", "", ""),
    ("RequestProfileObserved", "profile.window_ms", 0, ""),
    ("RequestProfileObserved", "profile.reused_prefix_tokens", 2_000_001, ""),
    ("RequestProfileObserved", "profile.latency_p50_ms", 2_101, "profile.latency_p99_ms"),
    ("RequestProfileObserved", "profile.source", "", ""),
    ("NodeHeartbeat", "boot", 0, ""),
    ("NodeHeartbeat", "device_errors", -1, ""),
    ("RequestServed", "deployment", "acme/chat", ""),
    ("RequestServed", "gateway", "", ""),
    ("RequestServed", "sequence", 0, ""),
    ("RequestServed", "reused_prefix_tokens", 371, ""),
    ("PolicyActivated", "policy.tiers", _ONE_TIER, ""),
    ("PolicyActivated", "policy.tiers", _ONE_TIER * 3, ""),
    ("PolicyActivated", "policy.period_ms", 0, ""),
    ("PolicyActivated", "policy.failure_buffer_ppm", 1_000_001, ""),
    ("RulesActivated", "rules", 0, ""),
    ("PlanCommitted", "state_digest", b"short", ""),
    ("PlanCommitted", "applied", 5, ""),
    ("VerdictReached", "reason", "because", ""),
    ("ActionDropped", "reason", "because", ""),
    ("LaunchOrdered", "slices", (), ""),
    ("LaunchOrdered", "waits_for", ("x",), "waits_for[0]"),
    ("EventParked", "waits_for", "nobody", ""),
    ("ParkedReleased", "reason", "", ""),
]


def with_field(value: Any, path: str, new: object) -> Any:  # noqa: ANN401  # any struct
    """Return a struct with another value at a dotted path."""
    name, _, rest = path.partition(".")
    inner = with_field(getattr(value, name), rest, new) if rest else new
    return structs.replace(value, **{name: inner})


@pytest.mark.parametrize(("event", "path", "value", "named"), BROKEN)
def test_a_rule_broken_alone_is_named(event: str, path: str, value: object, named: str) -> None:
    """One wrong value in a valid event is refused, and the refusal names the field."""
    refusal = validate(with_field(BY_NAME[event], path, value))
    assert refusal is not None
    assert refusal.field == (named or path)
    assert refusal.sentence.startswith(f"{refusal.field} is ")


FREE = {"PlanCommitted.objective", "PlanCommitted.bound"}
"""Integers that may be anything."""


def leaves(value: Struct, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield path and value of each number and text of a sample, whole lists of them included."""
    for name in value.__struct_fields__:
        found: object = getattr(value, name)
        if isinstance(found, Struct):
            yield from leaves(found, f"{prefix}{name}.")
        elif not isinstance(found, bool | bytes | IntEnum | tuple):
            yield prefix + name, found


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=lambda e: type(e).__name__)
def test_no_field_takes_just_anything(sample: Event) -> None:
    """No number may be hugely negative and no text hold a zero byte, in any field of any event."""
    for path, value in leaves(sample):
        absurd = -(2**62) if isinstance(value, int) else "\x00"
        refusal = validate(with_field(sample, path, absurd))
        free = f"{type(sample).__name__}.{path}" in FREE
        assert (refusal is None) if free else (refusal is not None and refusal.field == path), path


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=lambda e: type(e).__name__)
def test_samples_are_valid(sample: Event) -> None:
    """A sensible event of each type is accepted."""
    assert validate(sample) is None


@given(valid_events())
def test_what_upstream_may_say_is_accepted(event: Event) -> None:
    """The strategy for valid events and the rules agree."""
    assert validate(event) is None


@given(st.sampled_from([e.event for e in CATALOGUE]).flatmap(any_event))
def test_any_value_is_judged(event: Event) -> None:
    """Whatever an event holds is accepted or refused, never an error, in one line of text."""
    refusal = validate(event)
    assert refusal is None or (refusal.value.isprintable() and len(refusal.value) < 200)


def test_a_refusal_shows_no_more_of_a_value_than_a_reader_needs() -> None:
    """A value as long as its sender likes is cut, and one that is no line of text is escaped."""
    long = validate(with_field(BY_NAME["RegionDeclared"], "region.name", "/" * 10_000))
    assert long is not None
    assert long.value == "/" * LONGEST_VALUE + "..."
    odd = validate(with_field(BY_NAME["RegionDeclared"], "region.name", "a\x1b[2J"))
    assert odd is not None
    assert odd.value == r"'a\x1b[2J'"


def test_a_wrong_element_is_named_by_its_number() -> None:
    """A rule inside a list of values shows which of them breaks it."""
    speeds = (
        *samples.SKU.speeds,
        structs.replace(samples.SKU.speeds[0], workload_class="", speed_milli=1),
    )
    refusal = validate(with_field(BY_NAME["SkuDeclared"], "sku.speeds", speeds))
    assert refusal is not None
    assert (refusal.field, refusal.value) == ("sku.speeds[2].workload_class", "")
    launch = with_field(
        BY_NAME["LaunchOrdered"],
        "slices",
        (samples.SLICES[0], structs.replace(samples.SLICES[1], slots=(3, -1))),
    )
    refusal = validate(launch)
    assert refusal is not None
    assert refusal.field == "slices[1].slots[1]"


def test_a_job_asks_for_something() -> None:
    """A worker that needs neither device nor core nor memory is refused."""
    job = structs.replace(
        samples.JOB,
        worker=structs.replace(
            samples.JOB.worker, devices=0, device_milli=1_000, cpu_milli=0, memory_mib=0
        ),
    )
    refusal = validate(with_field(BY_NAME["JobSubmitted"], "job", job))
    assert refusal == Refusal(
        "job.worker.devices",
        "0",
        "must be at least 1 where neither cpu_milli nor memory_mib asks for anything",
    )


def test_limits_are_inclusive() -> None:
    """The largest and smallest values that a rule names are allowed."""
    for event, path, value in (
        ("RegionDeclared", "region.generation", COUNT_LIMIT),
        ("RegionDeclared", "region.name", "n" * NAME_LENGTH),
        ("JobProgressed", "progress_ppm", 1_000_000),
        ("JobProgressed", "progress_ppm", 0),
        ("JobSubmitted", "job.workers_max", CROWD_LIMIT),
        ("JobSubmitted", "job.workers_max", 4),
        ("JobSubmitted", "job.checkpoint_mib", 0),
        ("NodeDeclared", "node.memory_mib", SIZE_LIMIT),
        ("NodeHealthReported", "detail", "two\nlines"),
    ):
        assert validate(with_field(BY_NAME[event], path, value)) is None, (event, path, value)


def test_every_field_has_a_rule() -> None:
    """No field of any event is forgotten: booleans, enumerations and nested values aside."""
    found = {s: hints for e in CATALOGUE for s, hints in nested(e.event)}
    missing = [
        f"{struct.__name__}.{name}"
        for struct, hints in found.items()
        for name, hint in hints.items()
        if needs_rule(hint) and name not in FIELDS.get(struct, {})
    ]
    assert not missing
    assert set(FIELDS) | set(TOGETHER) <= set(found), "a rule for a type that no event holds"
    for struct, rules in FIELDS.items():
        assert set(rules) <= set(found[struct]), struct


def nested(struct: type[Struct]) -> Iterator[tuple[type[Struct], dict[str, Any]]]:
    hints = get_type_hints(struct)
    yield struct, hints
    for hint in hints.values():
        origin: object = get_origin(hint)
        inner = get_args(hint)[0] if origin is tuple else hint
        if isinstance(inner, type) and issubclass(inner, Struct):
            yield from nested(inner)


def needs_rule(hint: Any) -> bool:  # noqa: ANN401  # what stands behind a field's colon
    origin: object = get_origin(hint)
    if origin is tuple:
        inner = get_args(hint)[0]
        return not (isinstance(inner, type) and issubclass(inner, Struct))
    plain = getattr(hint, "__supertype__", hint)
    return not (plain is bool or issubclass(plain, IntEnum | Struct))


def test_the_traces_that_are_played_are_valid() -> None:
    """Everything that the trace player publishes for a workload keeps the rules."""
    for mode in Mode:
        workload = philly(range(21, 22), mode)
        events = (*workload.genesis, *(JobSubmitted(a.job) for a in workload.arrivals))
        assert [found for found in map(validate, events) if found is not None] == []
