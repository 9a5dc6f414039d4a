# SPDX-License-Identifier: Apache-2.0
"""Plans that were made while events went on are checked on the cut that they saw."""

from msgspec import structs

from engine.phases import Phase
from engine.verify import Verification, Verifier
from schemas import jobs, tenants
from schemas.codec import decode_record
from schemas.decisions import ActionDropped, CycleOpened, LaunchOrdered, PlanCommitted
from schemas.kinds import Tier
from schemas.reasons import Drop
from schemas.records import Record
from tests.engine.stage import TENANT, Stage, genesis, job

HOUR_MS = 3_600_000


def slow_stage() -> Stage:
    """A stage on which a plan landed three records after its cut, with half of it still true."""
    stage = Stage()
    stage.tell(*genesis())
    stage.submit(*(job(f"old{i}", 4) for i in range(3)))
    stage.wait(2 * HOUR_MS)
    later = [jobs.JobSubmitted(job(f"new{i}", 2)) for i in range(2)]
    stage.hear(*later, after_ms=60_000)
    assert stage.plan_aside()
    stage.tell(jobs.JobCancelled(later[0].job.id), jobs.JobSubmitted(job("late", 1)))
    stage.land(5_000)
    stage.settle()
    return stage


def records_of(stage: Stage) -> list[Record]:
    """The stage's ledger, decoded."""
    return [record for data in stage.ledger if (record := decode_record(data)) is not None]


def checked(records: list[Record], build: str = "stage") -> Verification:
    """All plans made again."""
    return Verifier(build, lambda _: True).run(records)


def changed(records: list[Record], event: PlanCommitted | CycleOpened) -> list[Record]:
    """The records with one cycle's opening or commit forged."""
    return [
        structs.replace(record, event=event)
        if isinstance(record.event, type(event)) and record.event.cycle == event.cycle
        else record
        for record in records
    ]


def test_a_plan_that_landed_late_is_made_again_on_its_cut() -> None:
    """Facts between cut and batch change neither what was planned nor that it verifies."""
    records = records_of(slow_stage())
    opened = [r for r in records if isinstance(r.event, CycleOpened)]
    late = [r for r in opened if isinstance(r.event, CycleOpened) and r.event.cut < r.position]
    assert late
    result = checked(records)
    assert (result.diverged, result.same_build) == (0, len(opened))


def test_what_no_longer_held_was_dropped_and_the_rest_applied() -> None:
    """The cancelled newcomer's launch fell, the other's did not."""
    stage = slow_stage()
    dropped = [r.event for r in records_of(stage) if isinstance(r.event, ActionDropped)]
    assert [(d.job, d.reason) for d in dropped] == [(job("new0").id, Drop.SUBJECT_CHANGED)]
    assert stage.state.jobs[job("new1").id].phase is Phase.RUNNING


def test_a_limit_that_came_meanwhile_bars_what_it_forbids() -> None:
    """A team limit recorded between cut and head: the judge bars the launch, nothing crashes."""
    stage = Stage()
    stage.tell(*genesis())
    stage.hear(jobs.JobSubmitted(job("one", 4)), after_ms=60_000)
    assert stage.plan_aside()
    stage.tell(tenants.TeamChanged(tenants.Team(TENANT, "blue", 2, 1, limit_devices=2)))
    stage.land()
    records = records_of(stage)
    assert not any(isinstance(r.event, LaunchOrdered) for r in records)
    assert [r.event.reason for r in records if isinstance(r.event, ActionDropped)] == [
        Drop.NOT_ALLOWED
    ]
    assert checked(records).diverged == 0


def test_another_builds_plan_is_proved_by_its_record() -> None:
    """Problem, bound, value and the judge's word follow from the record, whoever planned."""
    records = records_of(slow_stage())
    result = checked(records, "another")
    assert (result.diverged, result.other_build) == (0, result.cycles)


def test_another_builds_false_certificate_is_found() -> None:
    """A bound, a value or a problem that does not follow from the record is a divergence."""
    records = records_of(slow_stage())
    commit = next(r.event for r in records if isinstance(r.event, PlanCommitted))
    for false in (
        structs.replace(commit, bound=commit.bound - 1),
        structs.replace(commit, objective=commit.objective + 1),
        structs.replace(commit, problem_digest=bytes(32)),
    ):
        result = checked(changed(records, false), "another")
        assert result.diverged == 1
        assert result.first is not None
        assert result.first.cycle == commit.cycle


def test_a_false_cut_is_found() -> None:
    """A plan said to be made on an earlier state than it was does not come out again."""
    stage = slow_stage()
    records = records_of(stage)
    opened = [r.event for r in records if isinstance(r.event, CycleOpened)][-1]
    assert checked(changed(records, structs.replace(opened, cut=opened.cut - 1))).diverged == 1


def test_premium_inside_its_reservation_claims_in_the_first_cycle_that_sees_it() -> None:
    """A claim that came after the cut is not due in that cycle, and is in the next."""
    stage = Stage()
    stage.tell(*genesis(reserved=4))
    stage.submit(*(job(f"old{i}", 4) for i in range(4)))
    stage.wait(3 * HOUR_MS)
    mine = job("mine", 4, tier=Tier.PREMIUM, team="red")
    stage.hear(jobs.JobSubmitted(job("more", 4)), after_ms=60_000)
    assert stage.plan_aside()
    stage.hear(jobs.JobSubmitted(mine))
    stage.land()
    assert stage.state.jobs[mine.id].phase is Phase.QUEUED
    stage.wait()
    assert stage.state.jobs[mine.id].phase is Phase.CLAIMED
    assert stage.host.claims_missed == 0
