# SPDX-License-Identifier: Apache-2.0
"""Requests become profiles of whole windows, which replace each other and never add."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from schemas.ids import DeploymentId
from schemas.reasons import Rejection
from schemas.serving import RequestProfile, RequestProfileObserved
from schemas.validation import validate
from streams.intake.cells import CELLS, cell_of, encode_cell
from streams.intake.fold_rules import FOLD
from streams.intake.requests import bucket_of, percentile, upper_end
from streams.kafka.topics import PUBLISHED_BYTES
from tests.intake.partition import START_MS, Partition, merged, profiles, refusals, served

TOPIC = "request.events.main"


def test_a_window_is_told_once_it_is_closed() -> None:
    """All of its requests are in one profile, told when stragglers had their time."""
    partition = Partition(TOPIC)
    for number in range(60):
        partition.arrives(served(number + 1, number * 1_000, latency_ms=number), number * 1_000)
    assert partition.outputs == []
    assert profiles(partition.quiet(69_000)) == []
    (profile,) = profiles(partition.quiet(70_000))
    assert profile == RequestProfile(
        deployment=served(1).deployment,
        origin_region=served(1).origin_region,
        window_start_ms=START_MS,
        window_ms=60_000,
        requests=60,
        prompt_tokens=600,
        output_tokens=300,
        reused_prefix_tokens=240,
        latency_p50_ms=29,
        latency_p99_ms=59,
        source=f"{TOPIC}/3/gw-1",
    )
    assert validate(RequestProfileObserved(profile)) is None
    assert partition.quiet(75_000) == ()


def test_a_late_request_tells_the_whole_window_again() -> None:
    """The second profile replaces the first: it has all requests, not the late ones alone."""
    partition = Partition(TOPIC)
    partition.arrives(served(1, 1_000), 1_000)
    partition.arrives(served(2, 61_000), 75_000)
    partition.arrives(served(3, 59_000), 76_000)
    partition.quiet(81_000)
    first, second = profiles(partition.outputs)
    assert (first.requests, second.requests) == (1, 2)
    assert merged([second, first]) == merged([first, second])


def test_a_request_counts_once_in_the_order_of_boot_and_sequence() -> None:
    """A redelivered request, or one of an earlier boot, changes nothing."""
    partition = Partition(TOPIC)
    for sequence, boot in ((1, 1), (2, 1), (2, 1), (1, 1), (1, 2), (9, 1), (1, 2)):
        partition.arrives(served(sequence, 5, boot=boot), 10)
    partition.quiet(70_000)
    assert [p.requests for p in profiles(partition.outputs)] == [3]


@pytest.mark.parametrize(
    ("served_at_ms", "arrives_at_ms", "refused"),
    [
        (0, 359_999, False),
        (59_999, 359_999, False),
        (59_999, 360_000, True),
        (60_000, 360_000, False),
        (60_000, 0, False),
        (60_001, 0, True),
    ],
)
def test_a_request_out_of_its_time_is_refused(
    served_at_ms: int, arrives_at_ms: int, *, refused: bool
) -> None:
    """Windows take requests for five minutes after their end, and none that lies ahead."""
    partition = Partition(TOPIC)
    found = refusals(partition.arrives(served(1, served_at_ms), arrives_at_ms))
    assert bool(found) is refused
    if refused:
        assert (found[0].rejection, found[0].field) == (Rejection.INVALID_VALUE, "served_ms")
        assert found[0].topic == TOPIC


@pytest.mark.parametrize("spread", [1, 2_000], ids=["idle", "busy"])
def test_a_cell_fits_into_a_record_whatever_upstream_publishes(spread: int) -> None:
    """A gateway that names a deployment per request: what has no room is refused, all else counts.

    After that time passes, there is room again.
    """
    partition, rng = Partition(TOPIC), random.Random(7)  # noqa: S311  # chance that repeats
    room_bytes, most_bytes = FOLD.room_bytes // 20, PUBLISHED_BYTES // 20
    partition.state.fold = structs.replace(FOLD, room_bytes=room_bytes)
    refused, slowest_ms = 0, dict[str, int]()
    for number in range(1, 20_001):
        request = structs.replace(
            served(number, latency_ms=rng.randrange(spread)),
            deployment=DeploymentId(f"acme/request-{rng.randrange(20_000 // spread + 400)}@1"),
        )
        if refusals(partition.arrives(request, 0)):
            refused += 1
        else:
            known_ms = slowest_ms.get(request.deployment, 0)
            slowest_ms[request.deployment] = max(known_ms, request.latency_ms)
        assert partition.state.cells[cell_of(request.gateway)].requests_bytes < most_bytes
    assert refused > 500
    (cell,) = (cell for cell in partition.state.cells if cell.windows)
    assert len(encode_cell(cell)) <= cell.requests_bytes
    assert sum(window.requests for window in cell.windows.values()) == 20_000 - refused
    told = {p.deployment: p.latency_p99_ms for p in profiles(partition.quiet(70_000))}
    assert set(told) == set(slowest_ms)
    whole = {key[0]: percentile(window.latencies, 100) for key, window in cell.windows.items()}
    assert all(whole[name] >= slowest_ms[name] for name in whole)
    partition.quiet(400_000)
    partition.quiet(500_000)
    assert (cell.windows, cell.requests_bytes) == ({}, 0)
    assert refusals(partition.arrives(served(30_000, 500_000), 500_000)) == []


def test_nothing_told_is_forgotten_before_it_was_told() -> None:
    """Even where time makes a jump over a window's whole life, it is told first."""
    partition = Partition(TOPIC)
    partition.arrives(served(1, 1_000), 1_000)
    assert len(profiles(partition.quiet(86_400_000))) == 1
    assert not any(cell.windows or cell.gateways for cell in partition.state.cells)


def test_a_request_that_was_forgotten_cannot_count_again() -> None:
    """When a gateway's sequence is forgotten, its windows take no more requests."""
    partition = Partition(TOPIC)
    partition.arrives(served(1, 60_000), 0)  # as far ahead as can be
    for at_ms in range(5_000, 600_000, 5_000):
        partition.quiet(at_ms)
        partition.arrives(served(1, 60_000), at_ms)
    assert [p.requests for p in profiles(partition.outputs)] == [1]


def test_sources_are_told_apart() -> None:
    """Two gateways of one deployment are two sources, whose profiles add up."""
    partition = Partition(TOPIC)
    for gateway in ("gw-1", "gw-2"):
        partition.arrives(served(1, 0, gateway=gateway), 0)
    partition.quiet(70_000)
    assert sorted(p.source for p in profiles(partition.outputs)) == [
        f"{TOPIC}/3/gw-1",
        f"{TOPIC}/3/gw-2",
    ]


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=200))
def test_a_percentile_is_never_too_low_and_hardly_too_high(values: list[int]) -> None:
    """At least so many are at most the value, which is within 1/32 of one that was counted."""
    counts: dict[int, int] = {}
    for value in values:
        counts[bucket_of(value)] = counts.get(bucket_of(value), 0) + 1
    for percent in (50, 99):
        found = percentile(counts, percent)
        exact = sorted(values)[-(-len(values) * percent // 100) - 1]
        assert exact <= found <= exact + exact // 32
        assert sum(value <= found for value in values) * 100 >= percent * len(values)


def test_buckets_are_in_the_order_of_their_values() -> None:
    """Each value is in one bucket, and the ends of the buckets rise."""
    for value in (*range(5_000), 2**40 - 1, 2**40):
        bucket = bucket_of(value)
        assert value <= upper_end(bucket)
        assert value > (upper_end(bucket - 1) if bucket else -1)
    assert all(upper_end(low) < upper_end(high) for low, high in pairwise(range(1_000)))


def test_no_request_is_no_latency() -> None:
    """An empty count has a percentile of zero."""
    assert percentile({}, 99) == 0
    assert CELLS == 16
