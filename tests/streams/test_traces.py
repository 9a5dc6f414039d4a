# SPDX-License-Identifier: Apache-2.0
"""Traces become events by stated rules: the counts are the trace's, the rest is derived."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import Event
from schemas.fleet import NodeDeclared
from schemas.ids import JobId
from schemas.jobs import JobSubmitted
from schemas.kinds import Tier
from schemas.tenants import ReservationGranted, TeamDeclared
from schemas.validation import validate
from streams.traces import openb as openb_trace
from streams.traces.derived import CHECKPOINT_MIB_PER_GPU, Derived, derive
from streams.traces.openb import Variant, openb
from streams.traces.partitions import lay_out, sizes
from streams.traces.philly import (
    DAYS,
    EPOCH_MS,
    SIX_WEEKS,
    Mode,
    philly,
    philly_fences,
    reservations,
)
from streams.traces.workload import Arrival, Workload, largest_remainder


@pytest.fixture(scope="module")
def pool() -> Workload:
    return philly(SIX_WEEKS, Mode.POOL)


@pytest.fixture(scope="module")
def fenced() -> Workload:
    return philly(SIX_WEEKS, Mode.FENCED)


def nodes(events: Iterable[Event]) -> list[NodeDeclared]:
    return [event for event in events if isinstance(event, NodeDeclared)]


# --- Philly ---------------------------------------------------------------------------------------


def test_the_windows_hold_the_jobs_that_the_trace_holds(pool: Workload) -> None:
    """16,295 jobs in the default two weeks, 54,784 in all six, sorted by (time, id)."""
    assert len(philly(DAYS, Mode.POOL).arrivals) == 16_295
    assert len(pool.arrivals) == 54_784
    keys = [(a.submit_ms, a.job.id) for a in pool.arrivals]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    assert pool.start_ms == EPOCH_MS + 21 * 86_400_000 <= keys[0][0]
    assert keys[-1][0] < pool.end_ms == EPOCH_MS + 63 * 86_400_000


def test_the_demand_is_the_traces(pool: Workload) -> None:
    """575 GPUs of mean demand over the six weeks, 588 over the default two."""
    two_weeks = philly(DAYS, Mode.POOL)
    for workload, devices in ((pool, 575), (two_weeks, 588)):
        work = sum(arrival.work_device_ms for arrival in workload.arrivals)
        assert round(work / (workload.end_ms - workload.start_ms)) == devices


def test_both_runs_play_the_same_jobs_on_the_same_fleet(pool: Workload, fenced: Workload) -> None:
    """They differ in labels, label constraints and reservations alone."""
    for one, other in zip(pool.arrivals, fenced.arrivals, strict=True):
        assert (one.submit_ms, one.work_device_ms) == (other.submit_ms, other.work_device_ms)
        assert one.job.id == other.job.id
        assert one.job.tier == other.job.tier
        assert one.job.workers_min == other.job.workers_min
        assert one.job.checkpoint_mib == other.job.checkpoint_mib
    places = [[(n.node.name, n.node.domain) for n in nodes(w.genesis)] for w in (pool, fenced)]
    assert places[0] == places[1]
    assert len(places[0]) == 80
    assert sum(n.node.devices for n in nodes(pool.genesis)) == 640
    assert not [e for e in fenced.genesis if isinstance(e, ReservationGranted)]


def test_every_event_of_a_trace_is_valid(pool: Workload, fenced: Workload) -> None:
    """Nothing that a trace publishes breaks a rule of the contract."""
    for workload in (pool, fenced):
        for event in workload.genesis:
            assert validate(event) is None
        for arrival in workload.arrivals:
            assert validate(JobSubmitted(arrival.job)) is None


def test_partitions_are_whole_nodes_that_hold_every_gang(fenced: Workload) -> None:
    """By largest remainder over 80 nodes; no gang is larger than a part in one cluster."""
    fences = philly_fences()
    assert fences.nodes == {
        "6214e9": 15,
        "b436b2": 14,
        "ee9e8c": 14,
        "7f04ca": 7,
        "6c71a0": 7,
        "0e4a51": 7,
        "11cb48": 4,
        "e13805": 4,
        "2869ce": 4,
        "ed69ec": 2,
        "103959": 2,
    }
    labelled = Counter(n.node.labels[0].value for n in nodes(fenced.genesis))
    assert labelled == fences.nodes
    inside: dict[tuple[str, str], int] = defaultdict(int)
    for declared in nodes(fenced.genesis):
        cluster = declared.node.domain.rpartition("-")[0]
        inside[declared.node.labels[0].value, cluster] += declared.node.devices
    for arrival in fenced.arrivals:
        (label,) = arrival.job.constraints.labels
        most = max(n for (team, _), n in inside.items() if team == label.value)
        assert arrival.job.workers_max <= most
    assert fenced.never_runnable == ()


def test_a_team_without_a_partition_joins_the_largest_one(fenced: Workload) -> None:
    """Two teams are guests; every other job keeps to its own fence."""
    homes = {(a.job.team, a.job.constraints.labels[0].value) for a in fenced.arrivals}
    assert {(team, home) for team, home in homes if team != home} == {
        ("23dbec", "6214e9"),
        ("795a4c", "6214e9"),
    }


def test_reservations_are_four_fifths_of_the_partitions(pool: Workload) -> None:
    """512 of 640 devices, each within one of its exact share, each for a declared team."""
    fences = philly_fences()
    reserved = reservations(fences)
    assert sum(reserved.values()) == 512
    for team, devices in reserved.items():
        assert abs(devices - fences.nodes[team] * 8 * 4 / 5) < 1
    granted = [e.reservation for e in pool.genesis if isinstance(e, ReservationGranted)]
    assert {r.team: r.devices for r in granted} == reserved
    assert {e.team.name for e in pool.genesis if isinstance(e, TeamDeclared)} >= {
        a.job.team for a in pool.arrivals
    }


def test_nobody_gets_more_devices_than_the_trace_asked(pool: Workload) -> None:
    """An elastic gang shrinks to half, never grows beyond the trace, and is never premium."""
    for arrival in pool.arrivals:
        job = arrival.job
        assert job.workers_min in {job.workers_max, job.workers_max // 2}
        if job.workers_min < job.workers_max:
            assert job.workers_max >= 4
            assert job.tier is not Tier.PREMIUM
        assert job.checkpoint_mib // job.workers_max in CHECKPOINT_MIB_PER_GPU


def test_tiers_come_in_the_stated_shares(pool: Workload) -> None:
    """30, 30 and 40 % of jobs, within half a percent."""
    tiers = Counter(arrival.job.tier for arrival in pool.arrivals)
    shares = {tier: 100 * count / len(pool.arrivals) for tier, count in tiers.items()}
    assert shares[Tier.PREMIUM] == pytest.approx(30, abs=0.5)
    assert shares[Tier.STANDARD] == pytest.approx(30, abs=0.5)
    assert shares[Tier.BASIC] == pytest.approx(40, abs=0.5)


def test_the_derivation_is_what_it_was() -> None:
    """The rule is part of every recorded figure: the same id gives the same job for ever."""
    assert derive(JobId("philly/job-01019@1"), 1) == Derived(Tier.PREMIUM, 1, 16_384)
    assert derive(JobId("philly/job-01021@1"), 4) == Derived(Tier.STANDARD, 2, 65_536)


def test_days_that_are_not_shipped_are_refused() -> None:
    """The message says which days there are."""
    with pytest.raises(ValueError, match="21, 63"):
        philly(range(20, 35), Mode.POOL)


# --- rules ----------------------------------------------------------------------------------------

weights = st.dictionaries(st.text("abcdef", min_size=1), st.integers(1, 99), min_size=1)


@given(weights=weights, total=st.integers(0, 500))
def test_largest_remainder_gives_all_and_stays_within_one(
    weights: dict[str, int], total: int
) -> None:
    """Every share is its quota rounded down or up, and the shares are the total."""
    shares = largest_remainder(weights, total)
    mass = sum(weights.values())
    assert sum(shares.values()) == total
    for name, share in shares.items():
        assert 0 <= share - weights[name] * total // mass <= 1


def test_a_partition_grows_to_its_largest_gang_at_the_cost_of_the_roomiest() -> None:
    """One node of ten would not hold a gang of three; what cannot be met is left unmet."""
    assert sizes({"a": 1, "b": 9}, {"a": 3, "b": 2}, 10) == {"a": 3, "b": 7}
    assert sizes({"a": 1, "b": 3, "c": 6}, {"a": 3}, 10) == {"a": 3, "b": 3, "c": 4}
    assert sizes({"a": 1, "b": 1}, {"a": 9, "b": 5}, 10) == {"a": 5, "b": 5}


@given(weights=weights)
def test_a_layout_gives_every_node_to_one_partition(weights: dict[str, int]) -> None:
    """Parts do not overlap and together they are the partitions."""
    total = sum(weights.values())
    clusters = (("x", total // 2), ("y", total - total // 2))
    parts = lay_out(weights, {}, clusters)
    taken = [
        (part.cluster, part.first + i)
        for team in parts
        for part in parts[team]
        for i in range(part.nodes)
    ]
    assert len(taken) == len(set(taken)) == total
    assert {team: sum(p.nodes for p in parts[team]) for team in parts} == weights
    assert all(number < dict(clusters)[cluster] for cluster, number in taken)


# --- openb ----------------------------------------------------------------------------------------

FLEET_ROWS = [("cpu-only", 96_000, 1_000, 0, None)] + [
    (f"n{i}", 96_000, 393_216, 8, "G2" if i % 2 else "T4") for i in range(4)
]
POD_ROWS = [
    ("share", 4_000, 8_192, 1, 250, None),
    ("whole", 8_000, 16_384, 2, 1_000, "G2|T4|T4"),
    ("cpu", 1_000, 1_024, 0, 0, ""),
]


@pytest.fixture
def small_openb(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(name: str, _: object) -> list[tuple[object, ...]]:
        return list(FLEET_ROWS if "nodes" in name else POD_ROWS)

    monkeypatch.setattr(openb_trace, "parquet_rows", rows)


@pytest.mark.usefixtures("small_openb")
def test_pods_arrive_until_demand_is_130_percent() -> None:
    """All pods once, then clones; the last arrival is the one that reaches 130 % of the GPUs."""
    arrivals = openb(Variant.DEFAULT, seed=3).arrivals
    demand = [a.job.worker.devices * a.job.worker.device_milli for a in arrivals]
    assert sum(demand[:-1]) < 32_000 * 1.3 <= sum(demand)
    assert sorted(_pod(a) for a in arrivals[:3]) == ["cpu", "share", "whole"]
    times = [a.submit_ms for a in arrivals]
    assert times == list(range(times[0], times[0] + 1_000 * len(times), 1_000))
    assert [a.job.id for a in arrivals] == sorted(a.job.id for a in arrivals)
    assert {a.work_device_ms for a in arrivals} == {0}


@pytest.mark.usefixtures("small_openb")
def test_a_pod_becomes_one_worker_with_its_share_and_models() -> None:
    """Shares only for one GPU, models split, and nodes without GPUs left out."""
    source = openb(Variant.DEFAULT, seed=3)
    by_pod = {_pod(a): a.job for a in source.arrivals}
    assert (by_pod["share"].worker.devices, by_pod["share"].worker.device_milli) == (1, 250)
    assert (by_pod["whole"].worker.devices, by_pod["whole"].worker.device_milli) == (2, 1_000)
    assert by_pod["whole"].constraints.skus == ("G2", "T4")
    assert by_pod["cpu"].worker.devices == 0
    assert [n.node.name for n in nodes(source.genesis)] == ["n0", "n1", "n2", "n3"]
    for event in (*source.genesis, *(JobSubmitted(a.job) for a in source.arrivals)):
        assert validate(event) is None


@pytest.mark.usefixtures("small_openb")
def test_a_seed_is_an_order() -> None:
    """The same seed gives the same sequence, another seed another."""
    assert openb(Variant.DEFAULT, 1) == openb(Variant.DEFAULT, 1)
    assert openb(Variant.DEFAULT, 1).arrivals != openb(Variant.DEFAULT, 2).arrivals


@pytest.mark.parametrize("variant", Variant)
def test_every_published_variant_is_played_on_the_1213_gpu_nodes(variant: Variant) -> None:
    """6,212 GPUs, all events valid, 130 % of demand to within one pod."""
    source = openb(variant)
    machines = nodes(source.genesis)
    assert (len(machines), sum(n.node.devices for n in machines)) == (1_213, 6_212)
    demand = sum(a.job.worker.devices * a.job.worker.device_milli for a in source.arrivals)
    assert 0 <= demand - 6_212_000 * 13 // 10 < 8_000
    for event in (*source.genesis, *(JobSubmitted(a.job) for a in source.arrivals)):
        assert validate(event) is None


def _pod(arrival: Arrival) -> str:
    return arrival.job.name.partition("-")[2]
