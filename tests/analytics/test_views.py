# SPDX-License-Identifier: Apache-2.0
"""The figures of the views, against what was worked out on paper from ledgers of a few records."""

from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection

from schemas import decisions, fleet, jobs, tenants
from schemas.ids import JobId, NodeName
from schemas.kinds import NodeHealth, Tier
from tests.analytics.ledgers import (
    MINUTE_MS,
    LedgerBuilder,
    commit,
    declare_fleet,
    declare_team,
    launch,
    node,
    piece,
    reservation,
    submit,
)

NONE = JobId("")


def rows(history: DuckDBPyConnection, sql: str, *parameters: object) -> list[tuple[object, ...]]:
    return history.execute(sql, parameters).fetchall()


@pytest.fixture
def world() -> LedgerBuilder:
    """Two nodes of eight devices, and two teams of which one owns eight."""
    ledger = LedgerBuilder()
    declare_fleet(ledger, ("a", "b"))
    declare_team(ledger, "vision", reserved=8)
    declare_team(ledger, "speech")
    return ledger


def displace(world: LedgerBuilder) -> tuple[JobId, JobId]:
    """A basic job is suspended at minute 10 for a premium one, and resumed at 30.

    Minute 0 submitted, 1 launched on a, 2 started; 10 suspend ordered, 13 released; the premium
    job, submitted at 10, waits for it, starts at 14 and finishes at 25; the basic one is launched
    again at 26, resumes at 30 and finishes at 40.
    """
    low = submit(world, "low", "speech")
    world.at(1).put(launch(low, 1, piece("a")))
    world.at(2).put(jobs.JobStarted(low, 1))
    world.at(10)
    high = submit(world, "high", "vision", Tier.PREMIUM)
    world.put(decisions.SuspendOrdered(low, 1, high))
    world.put(launch(high, 1, piece("a"), waits_for=[low]))
    world.at(13).put(jobs.JobSuspended(low, 1, 1))
    world.at(14).put(jobs.JobStarted(high, 1))
    world.at(25).put(jobs.JobFinished(high, 1))
    world.at(26).put(launch(low, 2, piece("a")))
    world.at(30).put(jobs.JobResumed(low, 2, 1))
    world.at(40).put(jobs.JobFinished(low, 2))
    return low, high


def test_devices_are_held_until_the_release_and_the_successor_holds_them_from_then(
    world: LedgerBuilder, tmp_path: Path
) -> None:
    """A displaced job holds until its report; who waits for it holds from that very report on."""
    low, high = displace(world)
    history = world.history(tmp_path)
    found = rows(
        history,
        "SELECT job, attempt, team, tier, node, devices, device_milli, from_ms // 60000, "
        "to_ms // 60000 FROM allocations ORDER BY from_ms",
    )
    assert found == [
        (low, 1, "acme/speech", "basic", "a", 8, 8_000, 1, 13),
        (high, 1, "acme/vision", "premium", "a", 8, 8_000, 13, 25),
        (low, 2, "acme/speech", "basic", "a", 8, 8_000, 26, 40),
    ]


def test_an_attempt_is_one_row_with_its_times(world: LedgerBuilder, tmp_path: Path) -> None:
    """Ordered, held, started, stopped and released are told apart for each attempt."""
    low, high = displace(world)
    found = rows(
        world.history(tmp_path),
        "SELECT job, attempt, ordered_ms // 60000, held_ms // 60000, started_ms // 60000, "
        "stopped_ms // 60000, released_ms // 60000, outcome, waits_for FROM attempts "
        "ORDER BY ordered_position",
    )
    assert found == [
        (low, 1, 1, 1, 2, 10, 13, "suspended", []),
        (high, 1, 10, 13, 14, 25, 25, "finished", [low]),
        (low, 2, 26, 26, 30, 40, 40, "finished", []),
    ]


def test_a_job_is_one_row_with_its_wait_its_pause_and_its_device_time(
    world: LedgerBuilder, tmp_path: Path
) -> None:
    """The first wait, the pause and the device fraction are as the glossary defines them."""
    low, _ = displace(world)
    found = rows(
        world.history(tmp_path),
        "SELECT wait_ms // 60000, completion_ms // 60000, suspended_ms // 60000, attempts, moves, "
        "outcome, phase, held_device_ms // 60000, useful_device_ms // 60000, "
        "due_device_ms // 60000, device_fraction, lost_device_ms "
        "FROM jobs WHERE job = ?",
        low,
    )
    # Held 1-13 and 26-40, progress 2-10 and 30-40, due 2-40, eight devices each.
    assert found == [(2, 40, 20, 2, 1, "finished", "finished", 26 * 8, 18 * 8, 38 * 8, 18 / 38, 0)]


def test_a_preemption_names_who_gained_and_what_it_cost(
    world: LedgerBuilder, tmp_path: Path
) -> None:
    """One row per move: who gave way to whom, how much, for how long."""
    low, high = displace(world)
    found = rows(
        world.history(tmp_path),
        "SELECT kind, job, team, tier, gains, gains_team, gains_tier, device_milli, "
        "release_ms // 60000, pause_ms // 60000 FROM preemptions",
    )
    assert found == [
        ("suspend", low, "acme/speech", "basic", high, "acme/vision", "premium", 8_000, 3, 20)
    ]


def test_phases_follow_the_state_model(world: LedgerBuilder, tmp_path: Path) -> None:
    """Every job walks through the phases that the contract draws, without a gap between them."""
    low, high = displace(world)
    history = world.history(tmp_path)
    walk = "SELECT phase, from_ms // 60000 FROM phases WHERE job = ? ORDER BY from_position"
    assert history.execute(walk, [low]).fetchall() == [
        ("queued", 0),
        ("starting", 1),
        ("running", 2),
        ("suspending", 10),
        ("suspended", 13),
        ("starting", 26),
        ("running", 30),
        ("finished", 40),
    ]
    assert history.execute(walk, [high]).fetchall() == [
        ("queued", 10),
        ("claimed", 10),
        ("starting", 13),
        ("running", 14),
        ("finished", 25),
    ]


def test_waits_keep_the_first_start_apart_from_pauses(world: LedgerBuilder, tmp_path: Path) -> None:
    """A job waits once for its first start and once more for each pause."""
    low, high = displace(world)
    world.put(decisions.VerdictReached(high, "placed", 0, 0))
    found = rows(
        world.history(tmp_path),
        "SELECT job, kind, attempt, from_ms // 60000, wait_ms // 60000, outcome FROM waits "
        "ORDER BY from_ms, job DESC",
    )
    assert found == [
        (low, "first_start", 1, 0, 2, "started"),
        (low, "pause", 2, 10, 20, "resumed"),
        (high, "first_start", 1, 10, 4, "started"),
    ]


def test_as_of_shows_each_moment_as_it_was(world: LedgerBuilder, tmp_path: Path) -> None:
    """`jobs_at` takes milliseconds, a timestamp or a position, and shows that very moment."""
    low, high = displace(world)
    history = world.history(tmp_path)
    at = "SELECT job, phase, held_milli, useful_milli FROM jobs_at({}) ORDER BY job DESC"
    during = [(low, "suspending", 8_000, 0), (high, "claimed", 0, 0)]
    assert rows(history, at.format(11 * MINUTE_MS)) == during
    assert rows(history, at.format("TIMESTAMP '1970-01-01 00:11:00'")) == during
    assert rows(history, at.format("'1970-01-01 00:11:00'")) == during
    (cut,) = rows(history, "SELECT released_position FROM attempts WHERE outcome = 'suspended'")[0]
    by_position = at.replace("jobs_at", "jobs_at_position")
    assert rows(history, by_position.format(cut)) == during
    assert rows(history, by_position.format(f"{cut} + 1")) == [
        (low, "suspended", 0, 0),
        (high, "starting", 8_000, 0),
    ]


def test_utilisation_is_the_exact_mean_over_each_bucket(
    world: LedgerBuilder, tmp_path: Path
) -> None:
    """Held and useful devices by tier are areas under steps, whatever the width of the buckets."""
    displace(world)
    history = world.history(tmp_path)
    found = rows(
        history,
        "SELECT bucket_ms // 60000, held_devices, useful_devices, capacity_devices, span_ms "
        "FROM utilisation_by(1200000) WHERE tier = 'basic' ORDER BY bucket_ms",
    )
    full = 20 * MINUTE_MS
    assert found == [
        (0, 8 * 12 / 20, 8 * 8 / 20, 16, full),
        (20, 8 * 14 / 20, 8 * 10 / 20, 16, full),
    ]
    assert rows(
        history,
        "SELECT sum(held_devices * span_ms), sum(useful_devices * span_ms) "
        "FROM utilisation_by(7000) WHERE tier = 'premium'",
    ) == [(pytest.approx(8 * 12 * MINUTE_MS), pytest.approx(8 * 11 * MINUTE_MS))]


def test_reserved_capacity_is_in_use_only_by_the_owners_premium_work(
    world: LedgerBuilder, tmp_path: Path
) -> None:
    """What a team owns is in use up to what its premium work holds, and idle for the rest."""
    displace(world)
    world.put(tenants.ReservationChanged(reservation("vision", 4, 2)))
    world.at(60).put(jobs.JobProgressed(JobId("acme/low@1"), 2, 1, 0))
    found = rows(
        world.history(tmp_path),
        "SELECT bucket_ms // 60000, team, reserved_devices, premium_devices, in_use_devices, "
        "idle_devices FROM reservation_use_by(1200000) ORDER BY bucket_ms",
    )
    assert found == [
        (0, "acme/vision", 8, 8 * 7 / 20, 8 * 7 / 20, pytest.approx(8 * 13 / 20)),
        (20, "acme/vision", 8, 8 * 5 / 20, 8 * 5 / 20, 8 * 15 / 20),
        (40, "acme/vision", 4, 0, 0, 4),
    ]


def test_a_migration_moves_a_job_in_two_attempts(world: LedgerBuilder, tmp_path: Path) -> None:
    """The next attempt holds its devices only once the old ones are released."""
    job = submit(world, "mover")
    world.put(launch(job, 1, piece("a")))
    world.at(1).put(jobs.JobStarted(job, 1))
    world.at(5).put(decisions.MigrateOrdered(job, 1, 1, (piece("b"),), (), NONE))
    world.at(7).put(jobs.JobSuspended(job, 1, 1))
    world.at(9).put(jobs.JobResumed(job, 2, 1))
    world.at(10).put(jobs.JobFinished(job, 2))
    history = world.history(tmp_path)
    assert rows(
        history,
        "SELECT attempt, node, from_ms // 60000, to_ms // 60000 FROM allocations ORDER BY attempt",
    ) == [(1, "a", 0, 7), (2, "b", 7, 10)]
    assert rows(
        history, "SELECT kind, gains, device_milli, pause_ms // 60000 FROM preemptions"
    ) == [("migrate", None, 8_000, 4)]
    assert rows(history, "SELECT phase, from_ms // 60000 FROM phases ORDER BY from_position") == [
        ("queued", 0),
        ("starting", 0),
        ("running", 1),
        ("suspending", 5),
        ("starting", 7),
        ("running", 9),
        ("finished", 10),
    ]


@pytest.mark.parametrize(("rules", "useful_minutes"), [(1, 4 + 2 * 8), (2, 2 * 8)])
def test_a_growing_gang_holds_from_the_order_and_counts_as_the_rules_say(
    world: LedgerBuilder, tmp_path: Path, rules: int, useful_minutes: int
) -> None:
    """New devices are held at once; under rules 2 the time until the report is no progress."""
    world.put(decisions.RulesActivated(rules))
    job = submit(world, "elastic", workers=(1, 2))
    world.put(launch(job, 1, piece("a")))
    world.put(jobs.JobStarted(job, 1))
    both = (piece("a"), piece("b"))
    world.put(decisions.ResizeOrdered(job, 1, 1, 2, both, NONE))
    world.at(4).put(jobs.JobResized(job, 1, 1, 2))
    world.at(12).put(jobs.JobFinished(job, 1))
    history = world.history(tmp_path)
    assert rows(
        history,
        "SELECT node, sum(to_ms - from_ms) // 60000 FROM allocations GROUP BY node ORDER BY node",
    ) == [("a", 12), ("b", 12)]
    assert rows(history, "SELECT useful_device_ms // 480000, moves FROM jobs") == [
        (useful_minutes, 0)
    ]


def test_a_shrinking_gang_gives_its_devices_up_with_the_report(
    world: LedgerBuilder, tmp_path: Path
) -> None:
    """Devices of a shrink are held until the report, then by whoever waited for them."""
    job = submit(world, "elastic", workers=(1, 2))
    world.put(launch(job, 1, piece("a"), piece("b")))
    world.put(jobs.JobStarted(job, 1))
    world.at(5)
    high = submit(world, "high", "vision", Tier.PREMIUM)
    world.put(decisions.ResizeOrdered(job, 1, 1, 1, (piece("a"),), high))
    world.put(launch(high, 1, piece("b"), waits_for=[job]))
    world.at(8).put(jobs.JobResized(job, 1, 1, 1))
    world.at(20).put(jobs.JobFinished(job, 1))
    history = world.history(tmp_path)
    assert rows(
        history,
        "SELECT job, node, from_ms // 60000, to_ms // 60000 FROM allocations "
        "ORDER BY from_ms, node",
    ) == [(job, "a", 0, 8), (job, "b", 0, 8), (job, "a", 8, 20), (high, "b", 8, None)]
    assert rows(
        history, "SELECT kind, gains, device_milli, release_ms // 60000 FROM preemptions"
    ) == [("shrink", high, 8_000, 3)]


def test_a_lost_node_ends_progress_and_throws_back_to_the_checkpoint(
    world: LedgerBuilder, tmp_path: Path
) -> None:
    """Work since the last checkpoint is lost; the devices are held until the report."""
    job = submit(world, "unlucky")
    world.put(launch(job, 1, piece("a")))
    world.put(jobs.JobStarted(job, 1))
    world.at(10).put(jobs.JobCheckpointed(job, 1, 1))
    world.at(16).put(fleet.NodeHealthReported(NodeName("a"), 1, NodeHealth.QUARANTINED))
    world.at(18).put(jobs.JobStopped(job, 1))
    world.at(20).put(launch(job, 2, piece("b")))
    world.at(21).put(jobs.JobResumed(job, 2, 1))
    world.at(30).put(jobs.JobFinished(job, 2))
    history = world.history(tmp_path)
    assert rows(history, "SELECT job, device_ms // 60000 FROM lost_work") == [(job, 6 * 8)]
    assert rows(
        history,
        "SELECT failures, moves, lost_device_ms // 60000, useful_device_ms // 60000, "
        "suspended_ms // 60000 FROM jobs",
    ) == [(1, 0, 48, (16 + 9) * 8, 5)]
    assert rows(history, "SELECT phase FROM phases ORDER BY from_position") == [
        (p,)
        for p in (
            "queued",
            "starting",
            "running",
            "stopping",
            "suspended",
            "starting",
            "running",
            "finished",
        )
    ]
    assert rows(history, "SELECT node, health, usable_devices FROM nodes ORDER BY node") == [
        ("a", "quarantined", 0),
        ("b", "healthy", 8),
    ]
    assert rows(
        history,
        "SELECT node, usable_devices, held_milli, jobs FROM fleet_at(1020000) ORDER BY node",
    ) == [("a", 0, 8_000, 1), ("b", 8, 0, 0)]


def test_a_claim_on_a_node_that_changed_is_never_held(world: LedgerBuilder, tmp_path: Path) -> None:
    """Devices taken back before they were held leave no allocation; the number is used again."""
    low = submit(world, "low")
    world.put(launch(low, 1, piece("a")))
    world.put(jobs.JobStarted(low, 1))
    high = submit(world, "high", tier=Tier.PREMIUM)
    world.put(decisions.SuspendOrdered(low, 1, high))
    world.put(launch(high, 1, piece("a"), waits_for=[low]))
    world.at(1).put(fleet.NodeChanged(node("a", generation=2)))
    world.at(2).put(jobs.JobSuspended(low, 1, 1))
    unclaimed = world.history(tmp_path / "before")
    assert rows(unclaimed, "SELECT outcome, held_at FROM attempts WHERE job = ?", high) == [
        ("unclaimed", None)
    ]
    world.at(3).put(launch(high, 1, piece("b")))
    history = world.history(tmp_path / "after")
    assert rows(history, "SELECT node, from_ms // 60000 FROM allocations WHERE job = ?", high) == [
        ("b", 3)
    ]


def test_a_tier_change_splits_what_a_job_holds(world: LedgerBuilder, tmp_path: Path) -> None:
    """Device time before the change counts for the old tier, after it for the new one."""
    job = submit(world, "riser")
    world.put(launch(job, 1, piece("a")))
    world.put(jobs.JobStarted(job, 1))
    world.at(6).put(jobs.JobTierChanged(job, 1, Tier.STANDARD))
    world.at(10).put(jobs.JobFinished(job, 1))
    history = world.history(tmp_path)
    split = [("basic", 0, 6), ("standard", 6, 10)]
    for view in ("allocations", "progress"):
        found = rows(
            history,
            f"SELECT tier, from_ms // 60000, to_ms // 60000 FROM {view} ORDER BY from_ms",  # noqa: S608
        )
        assert found == split
    assert rows(history, "SELECT tier, submitted_tier FROM jobs") == [("standard", "basic")]


def test_cancelled_jobs_end_at_once_or_with_their_release(
    world: LedgerBuilder, tmp_path: Path
) -> None:
    """A queued job is over when cancelled; a running one holds its devices until it reports."""
    queued, running = submit(world, "queued"), submit(world, "running")
    world.put(launch(running, 1, piece("a")))
    world.put(jobs.JobStarted(running, 1))
    world.at(4).put_all(jobs.JobCancelled(queued), jobs.JobCancelled(running))
    world.at(5).put(decisions.StopOrdered(running, 1))
    world.at(7).put(jobs.JobStopped(running, 1))
    found = rows(
        world.history(tmp_path),
        "SELECT job, outcome, wait_ms, ended_ms // 60000, useful_device_ms // 480000, "
        "held_device_ms // 480000 FROM jobs ORDER BY job",
    )
    assert found == [
        (queued, "cancelled", None, 4, 0, 0),
        (running, "cancelled", 0, 7, 5, 7),
    ]


def test_a_plan_is_one_row_with_what_its_batch_held(world: LedgerBuilder, tmp_path: Path) -> None:
    """Counts come from the records of the batch, the certificate from its commit."""
    job = submit(world, "first")
    world.put(decisions.CycleOpened(1, world.head()))
    world.put(launch(job, 1, piece("a")))
    world.put(decisions.VerdictReached(job, "placed", 0, 0))
    world.put(commit(1, applied=1, gap_ppm=2_500))
    world.at(3).put(decisions.CycleOpened(2, world.head() - 1))
    world.put(commit(2, applied=0))
    found = rows(
        world.history(tmp_path),
        "SELECT cycle, records, applied, launches, verdicts, behind, gap_percent, since_last_ms, "
        "policy FROM plans ORDER BY cycle",
    )
    assert found == [
        (1, 4, 1, 1, 1, 0, 0.25, None, "pool@1"),
        (2, 2, 0, 0, 0, 1, 0.0, 3 * MINUTE_MS, "pool@1"),
    ]


def test_verdicts_carry_their_meaning_and_how_long_they_held(
    world: LedgerBuilder, tmp_path: Path
) -> None:
    """A verdict holds until the next one; its meaning is the sentence of the contract."""
    job = submit(world, "picky")
    excluded = (decisions.Exclusion("sku", 2),)
    world.put(decisions.VerdictReached(job, "waiting_for_capacity", 8, 3))
    world.at(2).put(decisions.VerdictReached(job, "never_fits", 8, 0, excluded))
    found = rows(
        world.history(tmp_path),
        "SELECT reason, meaning, needed_devices, free_devices, exclusions, from_ms // 60000, "
        "to_ms // 60000 FROM verdicts ORDER BY position",
    )
    assert found == [
        (
            "waiting_for_capacity",
            "No eligible cluster has enough free devices.",
            8,
            3,
            [],
            0,
            2,
        ),
        (
            "never_fits",
            "No cluster could run it as asked, even when empty.",
            8,
            0,
            [{"rule": "sku", "nodes": 2}],
            2,
            None,
        ),
    ]


def test_devices_of_a_node_come_and_go(world: LedgerBuilder, tmp_path: Path) -> None:
    """Usable devices follow the reports on slots; a new declaration makes all usable."""
    broken = fleet.DeviceChanged(NodeName("a"), 3, 1, usable=False)
    world.at(1).put_all(broken, fleet.DeviceRemoved(NodeName("a"), 3, 2))
    world.at(2).put(fleet.DeviceChanged(NodeName("a"), 5, 3, usable=False))
    world.at(3).put(fleet.DeviceDeclared(NodeName("a"), 3, 4))
    world.at(4).put(fleet.NodeRemoved(NodeName("a"), 2))
    world.at(5).put(fleet.NodeDeclared(node("a", 4, 3)))
    history = world.history(tmp_path)
    found = rows(
        history,
        "SELECT from_ms // 60000, in_pool, devices, usable_devices FROM node_history "
        "WHERE node = 'a' ORDER BY from_position",
    )
    assert found == [
        (0, True, 8, 8),
        (1, True, 8, 7),
        (1, True, 8, 7),
        (2, True, 8, 6),
        (3, True, 8, 7),
        (4, False, 8, 0),
        (5, True, 4, 4),
    ]
    assert rows(history, "SELECT count(*) FROM fleet_at(240000)") == [(1,)]
    assert rows(history, "SELECT region, cluster, domain, sku FROM nodes WHERE node = 'a'") == [
        ("north", "north-1", "rack", "v100")
    ]
