# SPDX-License-Identifier: Apache-2.0
"""What must hold of a state by itself, each promise broken alone."""

from msgspec import structs

from schemas.jobs import Constraints, WorkerShape
from solvers.judge import JobFacts, NodeFacts, Phase, PlanRule, Snapshot, check_state
from tests.solvers.judge_worlds import (
    NOW_MS,
    claim,
    jid,
    node,
    piece,
    running,
    waiting,
    world,
)

OLD = running("old", piece("n1", 0, 1))
LEAVING = structs.replace(OLD, phase=Phase.SUSPENDING)
NEXT = waiting("next", phase=Phase.CLAIMED)
CLAIMED = node("n1", claims=(claim(NEXT, piece("n1", 0, 1), jid("old")),))


def wrong(snapshot: Snapshot) -> set[PlanRule]:
    return {violation.rule for violation in check_state(snapshot)}


def on(host: NodeFacts, *jobs: JobFacts) -> Snapshot:
    return world(*jobs, nodes=[host])


def test_a_state_that_keeps_every_promise_is_sound() -> None:
    """A gang that runs, one that leaves and its successor stand side by side."""
    assert wrong(on(CLAIMED, LEAVING, NEXT, running("side", piece("n1", 2, 3)))) == set()


def test_a_slot_is_not_held_twice() -> None:
    """Two holders of one device are seen, also while one of them leaves."""
    assert wrong(on(node("n1"), LEAVING, running("x", piece("n1", 1, 2)))) == {
        PlanRule.PROMISED_TWICE
    }


def test_a_claim_is_on_what_is_released_to_it() -> None:
    """A claim on a device whose holder stays is a promise that cannot be kept."""
    assert wrong(on(CLAIMED, OLD, NEXT)) == {PlanRule.PROMISED_TWICE, PlanRule.VAIN_WAIT}


def test_a_claim_waits_for_the_holder() -> None:
    """A claim that waits for nobody would start beside the holder."""
    hasty = node("n1", claims=(claim(NEXT, piece("n1", 0, 1)),))
    assert wrong(on(hasty, LEAVING, NEXT)) == {PlanRule.MISSING_WAIT}


def test_a_claim_is_on_a_usable_slot() -> None:
    """A slot that failed cannot be claimed."""
    failed = structs.replace(node("n1", slots=(1000, 0, 1000, 1000)), claims=CLAIMED.claims)
    assert wrong(on(failed, LEAVING, NEXT)) == {PlanRule.UNUSABLE_SLOT}


def test_a_claim_leaves_the_host_its_room() -> None:
    """Claims count against cores and memory like holders."""
    hungry = waiting("next", phase=Phase.CLAIMED, worker=WorkerShape(devices=2, memory_mib=64_001))
    host = node("n1", claims=(claim(hungry, piece("n1", 2, 3)),))
    assert wrong(on(host, hungry)) == {PlanRule.OVER_CAPACITY}


def test_a_gang_is_held_whole() -> None:
    """A gang with a worker less than it says, or devices in a phase that has none, is seen."""
    assert wrong(on(node("n1"), structs.replace(OLD, workers=2))) == {PlanRule.GANG_PARTS}
    assert wrong(on(node("n1"), structs.replace(OLD, phase=Phase.SUSPENDED))) == {
        PlanRule.GANG_PARTS
    }


def test_a_gang_has_the_size_that_was_asked() -> None:
    """A gang below its fewest workers is seen."""
    assert wrong(on(node("n1"), running("x", piece("n1", 0, 1), workers_min=2))) == {
        PlanRule.GANG_SIZE
    }


def test_jobs_and_nodes_agree_on_who_holds_what() -> None:
    """What a job says that it holds, its node knows, and the other way round."""
    snapshot = on(node("n1"), OLD)
    forgotten = {name: structs.replace(n, holders=()) for name, n in snapshot.nodes.items()}
    assert wrong(structs.replace(snapshot, nodes=forgotten)) == {PlanRule.GANG_PARTS}
    idle = {
        name: structs.replace(j, phase=Phase.QUEUED, workers=0, slices=())
        for name, j in snapshot.jobs.items()
    }
    assert wrong(structs.replace(snapshot, jobs=idle)) == {PlanRule.GANG_PARTS}
    assert wrong(structs.replace(snapshot, jobs={})) == {PlanRule.UNKNOWN_JOB}


def test_confidential_work_stands_on_trusted_nodes() -> None:
    """An attestation that ran out is seen, until the work is told to leave."""
    secret = running("x", piece("n1", 0, 1), constraints=Constraints(confidential=True))
    expired = node("n1", sku_confidential=True, attested_until_ms=NOW_MS)
    assert wrong(on(expired, secret)) == {PlanRule.NOT_ATTESTED}
    assert wrong(on(expired, structs.replace(secret, phase=Phase.SUSPENDING))) == set()
    plain = node("n1", attested_until_ms=NOW_MS + 1)
    assert wrong(on(plain, secret)) == {PlanRule.NOT_CONFIDENTIAL}
