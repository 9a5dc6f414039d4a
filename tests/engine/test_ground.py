# SPDX-License-Identifier: Apache-2.0
"""What fits is known from what changed, and is what counting everything again would give."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.planning.eligibility import eligible_rows
from engine.planning.ground import Ground
from engine.policies import POOL
from engine.snapshot import Snapshot, cut
from schemas import jobs
from schemas.kinds import Span
from solvers import packing
from tests.engine.stage import Stage, genesis, job

SPANS = tuple(Span)


def crowded() -> Snapshot:
    """Half a fleet in use, and kinds of work that differ in shape and span."""
    stage = Stage(POOL)
    stage.tell(*genesis(reserved=0))
    shapes = (jobs.WorkerShape(1, cpu_milli=1_000), jobs.WorkerShape(2, cpu_milli=5_000))
    for number, (shape, span) in enumerate((s, p) for s in shapes for p in SPANS):
        constraints = jobs.Constraints(span=span)
        spec = structs.replace(job(f"j{number}"), worker=shape, constraints=constraints)
        stage.submit(spec)
    return cut(stage.state, stage.now_ms)


CROWDED = crowded()


def counted(ground: Ground, kind: int) -> list[int]:
    """How many workers of a kind fit per group, by counting all nodes."""
    worker = CROWDED.kinds[kind].worker
    demand = packing.WorkerDemand(
        worker.devices, worker.device_milli, worker.cpu_milli, worker.memory_mib
    )
    rows, group = eligible_rows(CROWDED, kind), ground.group_of(kind)
    room = packing.workers_per_node(ground.nodes, rows, demand)
    found = np.bincount(group[rows], weights=room, minlength=int(group.max()) + 1)
    return [int(workers) for workers in found]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3), st.booleans()), max_size=12))
def test_what_fits_follows_every_change(steps: list[tuple[int, int, bool]]) -> None:
    """After any gangs were placed and any work was counted as leaving, in any order."""
    ground = Ground(CROWDED)
    left = list(zip(CROWDED.details, CROWDED.column("kind").tolist(), strict=True))
    for kind, workers, leaves in steps:
        if leaves and left:
            detail, own = left.pop()
            ground.give_back(own, detail.id, detail.slices)
        else:
            group = int(np.argmax(ground.fits(kind)))
            packed = ground.pack(kind, group, workers)
            if packed is not None:
                ground.take(kind, packed)
        for each in range(len(CROWDED.kinds)):
            assert ground.fits(each).tolist() == counted(ground, each)
            assert ground.most(each) == max(counted(ground, each))
