# SPDX-License-Identifier: Apache-2.0
"""Work leaves where it may not stay: draining nodes, and nodes whose attestation has ended."""

from msgspec import structs

from engine.phases import Phase
from engine.policies import FENCED, POOL
from engine.verify import Verifier
from engine.wakeup import next_wakeup, someone_must_leave
from schemas import fleet, jobs
from schemas.codec import decode_record
from schemas.decisions import MigrateOrdered, Policy, SuspendOrdered
from schemas.ids import NodeName
from schemas.kinds import NodeHealth, SkuKind, Tier
from tests.engine.stage import SKU, Stage, genesis, job, node

HOUR_MS = 3_600_000
SAFE = structs.replace(job("safe", 2), constraints=jobs.Constraints(confidential=True))


def health(name: str, sequence: int, is_now: NodeHealth) -> fleet.NodeHealthReported:
    """A monitor's word on a node."""
    return fleet.NodeHealthReported(NodeName(name), sequence, is_now)


def home(stage: Stage, name: str) -> set[str]:
    """The nodes on which a job stands."""
    return {piece.node for piece in stage.state.jobs[job(name).id].slices}


def on(policy: Policy, *wanted: jobs.Job) -> Stage:
    """A stage on which these jobs run, an hour old."""
    stage = Stage(policy)
    stage.tell(*genesis())
    stage.submit(*wanted)
    stage.wait(HOUR_MS)
    return stage


def moves(stage: Stage) -> list[type[object]]:
    """What was ordered to make work leave, in order."""
    events = [record.event for data in stage.ledger if (record := decode_record(data))]
    return [type(event) for event in events if isinstance(event, MigrateOrdered | SuspendOrdered)]


def test_work_on_a_draining_node_goes_where_there_is_room() -> None:
    """The gang is migrated with its work, and nothing of it is lost."""
    stage = on(POOL, job("one", 4))
    (old,) = home(stage, "one")
    stage.tell(health(old, 1, NodeHealth.DRAINING), after_ms=60_000)
    assert moves(stage) == [MigrateOrdered]
    stage.settle()
    one = stage.state.jobs[job("one").id]
    assert (one.phase, one.lost_work) == (Phase.RUNNING, 0)
    assert old not in home(stage, "one")


def test_a_gang_leaves_whole_for_one_of_its_nodes() -> None:
    """A gang over two nodes of which one is drained moves as one."""
    stage = on(POOL, job("wide", 8))
    nodes = sorted(home(stage, "wide"))
    assert len(nodes) == 2
    stage.tell(health(nodes[0], 1, NodeHealth.DRAINING), after_ms=60_000)
    stage.settle()
    assert stage.state.jobs[job("wide").id].phase is Phase.RUNNING
    assert home(stage, "wide").isdisjoint(nodes)


def test_without_room_it_is_suspended_and_comes_back_when_there_is() -> None:
    """A drain does not wait for room; the job does."""
    stage = on(POOL, *(job(f"j{i}", 4, tier=Tier.STANDARD) for i in range(4)))
    (drained,) = home(stage, "j0")
    stage.tell(health(drained, 1, NodeHealth.DRAINING), after_ms=60_000)
    assert moves(stage) == [SuspendOrdered]
    stage.settle()
    assert stage.state.nodes[NodeName(drained)].holders == {}
    stage.tell(health(drained, 2, NodeHealth.HEALTHY), after_ms=60_000)
    stage.settle()
    assert stage.state.jobs[job("j0").id].phase is Phase.RUNNING


def test_a_drain_is_obeyed_where_the_policy_moves_nothing() -> None:
    """Fenced work leaves a draining node, too."""
    stage = on(FENCED, job("one", 4))
    (old,) = home(stage, "one")
    stage.tell(health(old, 1, NodeHealth.DRAINING), after_ms=60_000)
    stage.settle()
    assert stage.state.jobs[job("one").id].phase is Phase.RUNNING
    assert old not in home(stage, "one")


def test_a_suspect_node_keeps_its_work() -> None:
    """Suspicion only keeps new work away."""
    stage = on(POOL, job("one", 4))
    (old,) = home(stage, "one")
    stage.tell(health(old, 1, NodeHealth.SUSPECT), after_ms=60_000)
    assert (moves(stage), home(stage, "one")) == ([], {old})


def attested_stage(until_ms: int) -> Stage:
    """Node a0 alone is attested, for a while; a job that asks for it runs there."""
    stage = Stage(POOL)
    sku = fleet.Sku(SKU, 2, SkuKind.GPU, "any", 16_384, confidential=True)
    a0 = structs.replace(node("a0", "a"), generation=2, attested_until_ms=stage.now_ms + until_ms)
    stage.tell(*genesis(), fleet.SkuChanged(sku), fleet.NodeChanged(a0))
    stage.submit(SAFE)
    assert home(stage, "safe") == {"a0"}
    return stage


def test_confidential_work_is_evicted_when_its_attestation_ends() -> None:
    """The engine wakes by itself at that moment, and nowhere else is trusted."""
    stage = attested_stage(HOUR_MS)
    end_ms = stage.state.nodes[NodeName("a0")].spec.attested_until_ms
    assert not someone_must_leave(stage.state, end_ms - 1)
    assert next_wakeup(stage.state, stage.now_ms) == end_ms
    stage.wait(end_ms - stage.now_ms)
    assert moves(stage) == [SuspendOrdered]
    stage.settle()
    assert stage.state.jobs[SAFE.id].phase is Phase.SUSPENDED
    assert not someone_must_leave(stage.state, stage.now_ms)


def test_confidential_work_moves_to_a_node_that_is_attested_still() -> None:
    """Where another trusted node has room, the gang goes there."""
    stage = attested_stage(HOUR_MS)
    b0 = structs.replace(
        node("b0", "b"), generation=2, attested_until_ms=stage.now_ms + 9 * HOUR_MS
    )
    stage.tell(fleet.NodeChanged(b0), after_ms=60_000)
    stage.wait(HOUR_MS)
    stage.settle()
    assert home(stage, "safe") == {"b0"}
    assert stage.state.jobs[SAFE.id].phase is Phase.RUNNING


def test_evictions_are_planned_again_alike() -> None:
    """Verification makes the same moves from the same cut."""
    stage = attested_stage(HOUR_MS)
    stage.wait(2 * HOUR_MS)
    stage.settle()
    records = [decode_record(data) for data in stage.ledger]
    assert Verifier("stage", lambda _: True).run(records).diverged == 0
