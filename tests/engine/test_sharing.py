# SPDX-License-Identifier: Apache-2.0
"""Where devices are shared, a single worker goes where it spoils least for work to come."""

from msgspec import structs

from engine.phases import Phase
from engine.policies import POOL
from schemas import fleet, jobs
from schemas.kinds import SkuKind
from tests.engine.stage import SKU, Stage, genesis, job


def shared(name: str, milli: int) -> jobs.Job:
    """A job of one worker that takes a part of one device."""
    worker = jobs.WorkerShape(1, device_milli=milli, cpu_milli=1_000, memory_mib=1_024)
    return structs.replace(job(name), worker=worker)


def sharing_stage(*wanted: jobs.Job) -> Stage:
    """The stage's sixteen devices, which may now be shared, and jobs that come one by one."""
    stage = Stage(POOL)
    sku = fleet.Sku(SKU, 2, SkuKind.GPU, "any", 16_384, shareable=True)
    stage.tell(*genesis(reserved=0), fleet.SkuChanged(sku))
    for spec in wanted:
        stage.submit(spec)
    return stage


def device(stage: Stage, name: str) -> tuple[str, int]:
    """The one device on which a job stands."""
    (piece,) = stage.state.jobs[job(name).id].slices
    return piece.node, piece.slots[0]


def test_shares_fill_a_device_before_they_break_into_another() -> None:
    """Six tenths and four tenths share one device, and leave fifteen whole."""
    stage = sharing_stage(shared("six", 600), shared("four", 400))
    assert device(stage, "six") == device(stage, "four")
    assert all(stage.state.jobs[job(n).id].phase is Phase.RUNNING for n in ("six", "four"))


def test_a_share_leaves_a_rest_that_others_can_use() -> None:
    """Among two used devices, half of one goes where it leaves nothing over, not a tenth."""
    stage = sharing_stage(shared("half", 500), shared("much", 600), shared("next", 500))
    assert device(stage, "next") == device(stage, "half")


def test_shares_keep_nodes_whole_for_gangs_of_a_node() -> None:
    """Eight quarters take two devices of one node, and three nodes of four stay whole."""
    stage = sharing_stage(*(shared(f"q{i}", 250) for i in range(8)))
    used = {device(stage, f"q{i}") for i in range(8)}
    assert len(used) == 2
    assert len({node for node, _ in used}) == 1
    stage.submit(*(job(f"whole{i}", 4) for i in range(3)))
    assert all(stage.state.jobs[job(f"whole{i}").id].phase is Phase.RUNNING for i in range(3))
