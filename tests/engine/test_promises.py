# SPDX-License-Identifier: Apache-2.0
"""What tiers are promised, told as small stories."""

from hypothesis import given
from hypothesis import strategies as st

from engine.device_time import BUCKET_MS, BUCKETS, NEVER_MS, PPM, DeviceTime
from engine.phases import Phase
from schemas import jobs
from schemas.codec import decode_record
from schemas.decisions import LaunchOrdered, SuspendOrdered
from schemas.kinds import Tier
from schemas.reasons import Reason
from tests.engine.stage import Stage, genesis, job

HOUR_MS = 3_600_000


def full_stage() -> Stage:
    """All sixteen devices run basic work that is hours old."""
    stage = Stage()
    stage.tell(*genesis(reserved=4))
    stage.submit(*(job(f"old{i}", 4) for i in range(4)))
    stage.wait(3 * HOUR_MS)
    return stage


def test_premium_inside_its_reservation_claims_in_the_first_cycle_that_sees_it() -> None:
    """Its devices are put aside at once, though others still hold them."""
    stage = full_stage()
    mine = job("mine", 4, tier=Tier.PREMIUM, team="red")
    stage.tell(jobs.JobSubmitted(mine), after_ms=60_000)
    assert stage.state.jobs[mine.id].phase is Phase.CLAIMED
    assert stage.state.jobs[mine.id].reason == Reason.WAITING_FOR_RELEASE
    stage.settle()
    assert stage.state.jobs[mine.id].phase is Phase.RUNNING


def test_every_claim_is_met_at_once_however_soon_after_the_last() -> None:
    """A second owner comes while the global allocation may not be solved again: it claims, too.

    What stands in the way is standard work, which nobody but a reservation's owner displaces.
    """
    stage = Stage()
    stage.tell(*genesis(reserved=8))
    stage.submit(*(job(f"old{i}", 4, tier=Tier.STANDARD) for i in range(4)))
    stage.wait(3 * HOUR_MS)
    for name in ("first", "second"):
        mine = job(name, 4, tier=Tier.PREMIUM, team="red")
        stage.tell(jobs.JobSubmitted(mine), after_ms=60_000)
        assert stage.state.jobs[mine.id].phase is Phase.CLAIMED
        stage.settle()
    assert stage.host.claims_missed == 0


def test_a_report_of_an_attempt_that_is_over_changes_nothing() -> None:
    """Whatever an agent says again of the first attempt, the second goes on."""
    stage = Stage()
    stage.tell(*genesis())
    stage.submit(job("one", 2))
    name = job("one").id
    died = jobs.JobFailed(name, 1, retryable=True)
    stage.tell(died, after_ms=60_000)
    stage.wait()
    stage.settle()
    assert stage.state.jobs[name].attempt == 2
    before = stage.host.digest.update(stage.state)
    late = (
        died,
        jobs.JobStarted(name, 1),
        jobs.JobCheckpointed(name, 1, 9),
        jobs.JobSuspended(name, 1, 9),
        jobs.JobFinished(name, 1),
        jobs.JobStopped(name, 1),
    )
    batch = stage.hear(*late)
    assert (batch.records, batch.refused, batch.duplicates) == ([], [], len(late))
    assert stage.host.digest.update(stage.state) == before


def test_a_launch_waits_for_the_release_report() -> None:
    """No launch directive goes out before the displaced gang said that it has gone."""
    stage = full_stage()
    mine = job("mine", 4, tier=Tier.PREMIUM, team="red")
    stage.tell(jobs.JobSubmitted(mine), after_ms=60_000)
    assert mine.id not in stage.told
    (displaced,) = stage.told
    report = stage.answer(displaced)
    assert isinstance(report, jobs.JobSuspended)
    stage.tell(report, after_ms=1_000)
    assert mine.id in stage.told


def test_premium_inside_its_reservation_is_never_displaced() -> None:
    """Newcomers of every tier wait rather than take its devices."""
    stage = Stage()
    stage.tell(*genesis(reserved=16))
    stage.submit(*(job(f"p{i}", 4, tier=Tier.PREMIUM, team="red") for i in range(4)))
    stage.wait(3 * HOUR_MS)
    stage.submit(*(job(f"{tier.name.lower()}", 1, tier=tier) for tier in Tier))
    assert all(stage.state.jobs[job(f"p{i}", 4).id].phase is Phase.RUNNING for i in range(4))
    assert stage.state.jobs[job("basic", 1).id].phase is Phase.QUEUED


def test_basic_gives_way_before_standard() -> None:
    """With both at hand, only basic work is suspended for a reservation's owner."""
    stage = Stage()
    stage.tell(*genesis(reserved=4))
    tiers = (Tier.BASIC, Tier.STANDARD, Tier.BASIC, Tier.STANDARD)
    stage.submit(*(job(f"old{i}", 4, tier=tier) for i, tier in enumerate(tiers)))
    stage.wait(3 * HOUR_MS)
    stage.submit(job("mine", 4, tier=Tier.PREMIUM, team="red"))
    phases = {j.id: j.phase for j in stage.state.jobs.values()}
    assert [phases[job(f"old{i}").id] for i in (1, 3)] == [Phase.RUNNING] * 2
    assert sorted(phases[job(f"old{i}").id] for i in (0, 2)) == [Phase.RUNNING, Phase.SUSPENDED]


def test_a_promise_near_its_breach_is_kept_by_displacing_basic() -> None:
    """Standard work that was suspended comes back before its hour falls below what was promised."""
    stage = Stage()
    stage.tell(*genesis(reserved=16))
    stage.submit(*(job(f"s{i}", 4, tier=Tier.STANDARD) for i in range(4)))
    stage.wait(2 * HOUR_MS)
    stage.submit(job("mine", 4, tier=Tier.PREMIUM, team="red"))
    suspended = [j for j in stage.state.jobs.values() if j.phase is Phase.SUSPENDED]
    assert len(suspended) == 1
    stage.tell(jobs.JobFinished(job("mine", 4).id, 1), after_ms=5 * 60_000)
    stage.settle()
    for j in stage.state.jobs.values():
        if j.tier is Tier.STANDARD:
            assert j.phase is Phase.RUNNING
            assert j.time.slack(stage.now_ms, 700_000) >= 0


def test_a_gang_is_never_half_placed() -> None:
    """A gang of three in one cluster with two free devices waits, whole."""
    stage = Stage()
    stage.tell(*genesis(reserved=1))
    stage.submit(job("a", 6), job("b", 6))
    stage.submit(job("c", 3))
    state = stage.state.jobs[job("c", 3).id]
    assert (state.phase, state.slices) == (Phase.QUEUED, ())
    assert state.reason == Reason.WAITING_FOR_CONTIGUITY


def test_every_job_has_a_verdict_and_every_action_a_cause() -> None:
    """A job that can never run says so; each action names the submission that started it."""
    stage = full_stage()
    stage.submit(job("huge", 64), job("mine", 4, tier=Tier.PREMIUM, team="red"))
    assert stage.state.jobs[job("huge", 64).id].reason == Reason.NEVER_FITS
    records = [decode_record(data) for data in stage.ledger]
    actions = [r for r in records if r and isinstance(r.event, LaunchOrdered | SuspendOrdered)]
    for record in actions:
        assert record.cause is not None
        cause = records[record.cause]
        assert cause is not None
        assert isinstance(cause.event, jobs.JobSubmitted)


@given(st.lists(st.tuples(st.integers(1, 40 * 60_000), st.integers(0, 4)), min_size=1, max_size=30))
def test_the_rolling_hour_equals_a_count_by_hand(steps: list[tuple[int, int]]) -> None:
    """Buckets settled at changes hold what adding up every five minutes would."""
    time, start = DeviceTime(), 7 * BUCKET_MS + 123
    log: list[tuple[int, int, int]] = []
    time.since_ms = now = start
    for span_ms, rate in steps:
        time.set_rates(now, 4_000, rate * 1_000)
        log.append((now, now + span_ms, rate * 1_000))
        now += span_ms
    time.settle(now)
    first = (now // BUCKET_MS - BUCKETS + 1) * BUCKET_MS
    by_hand = sum(rate * max(0, end - max(begin, first)) for begin, end, rate in log)
    assert sum(time.received_ring) == by_hand
    assert time.received == sum(rate * (end - begin) for begin, end, rate in log)


@given(st.integers(0, 3 * HOUR_MS), st.integers(100_000, 950_000))
def test_a_promise_breaks_when_the_forecast_says(ran_ms: int, promise_ppm: int) -> None:
    """Just before the forecast breach the promise still holds, just after it does not."""
    time = DeviceTime()
    time.since_ms = start = 1_000 * BUCKET_MS
    time.set_rates(start, 2_000, 2_000)
    stopped = start + ran_ms
    time.set_rates(stopped, 2_000, 0)
    breach = time.breach_ms(stopped, promise_ppm)
    assert stopped <= breach < NEVER_MS
    if breach > stopped:
        assert time.slack(breach - 1, promise_ppm) > -2_000 * PPM
    assert time.slack(breach + 1, promise_ppm) < 0
