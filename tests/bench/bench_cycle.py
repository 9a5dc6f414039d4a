# SPDX-License-Identifier: Apache-2.0
"""What a large state costs: in memory, in a cycle with nothing to do, in its digest, in snapshots.

12,500 nodes of 8 devices in 48 clusters; 20,000 jobs, of which those that fit run.
"""

import gc
import json
import resource
import time
from collections.abc import Callable, Iterator

from engine.digest import Digest
from engine.evolve import evolve
from engine.policies import POOL
from engine.state import State
from engine.stored import restore, store
from engine.wakeup import next_wakeup
from schemas import fleet, jobs, tenants
from schemas.catalogue import Event
from schemas.codec import decode_record, encode_record, publish
from schemas.decisions import LaunchOrdered, PolicyActivated, Slice, VerdictReached
from schemas.ids import ClusterName, DomainName, NodeName, RegionName, SkuName, TenantName
from schemas.kinds import IoProfile, SkuKind, Tier
from schemas.reasons import Reason
from streams.host import Host
from tests.bench.line import line

CLUSTERS = 48
NODES = 12_500
DEVICES = 8
JOBS = 20_000
GANGS = (1, 1, 2, 2, 4, 8)
"""Devices of one job after another; 3 on average, so that all 20,000 run on 60,000 devices."""
WAITING_GANGS = (1, 2, 4, 8, 8, 16)
"""6.5 on average: 1.3 times what there is."""
TIMES = 200
START_MS = 1_600_000_000_000
_TENANT = TenantName("acme")
_WORKER = jobs.WorkerShape(1, cpu_milli=4_000, memory_mib=32_768)


def run() -> list[dict[str, object]]:
    """Measure; one result per name."""
    before_mib = _peak_mib()
    started = time.process_time()
    large = folded(NODES, JOBS)
    folding_s = time.process_time() - started
    size = f"{NODES} nodes of {DEVICES} devices, {JOBS} jobs"
    grown_mib = _peak_mib() - before_mib
    spent = f"{size}, all running; peak RSS over the fold, which took {folding_s:.1f} CPU s"
    records = sum(map(len, ledger(NODES, JOBS))) / 2**20
    memory = line(("state_99k_mb", grown_mib, "MiB"), ("its ledger's envelopes", records), spent)
    small = folded(100, 160)
    return [memory, *_idle(large, small, size), _updated(large, small, size), *_stored(large, size)]


# --- the state ------------------------------------------------------------------------------------


def folded(nodes: int, count: int, gangs: tuple[int, ...] = GANGS) -> State:
    """A state folded from its ledger's bytes, as a reader of it has it."""
    state = State()
    for data in ledger(nodes, count, gangs):
        record = decode_record(data)
        if record is not None:
            evolve(state, record)
    state.directives.clear()
    return state


def ledger(nodes: int, count: int, gangs: tuple[int, ...] = GANGS) -> Iterator[bytes]:
    """The envelopes of a fleet, and of jobs that fill it node by node while they fit."""
    for position, event in enumerate(_events(nodes, count, gangs)):
        yield encode_record(position, START_MS + position, publish(event))


def _events(nodes: int, count: int, gangs: tuple[int, ...]) -> Iterator[Event]:
    yield PolicyActivated(POOL)
    yield fleet.SkuDeclared(fleet.Sku(SkuName("gpu"), 1, SkuKind.GPU, "any", 81_920))
    yield fleet.RegionDeclared(fleet.Region(RegionName("r"), 1))
    yield tenants.TenantDeclared(tenants.Tenant(_TENANT, 1, 1))
    yield tenants.TeamDeclared(tenants.Team(_TENANT, "red", 1, 1))
    for cluster in range(CLUSTERS):
        name = ClusterName(f"c{cluster:02d}")
        yield fleet.ClusterDeclared(fleet.Cluster(name, 1, RegionName("r"), 1_000))
        yield fleet.DomainDeclared(fleet.Domain(DomainName(name), 1, name))
    yield from (fleet.NodeDeclared(_node(number)) for number in range(nodes))
    slots = [(node, slot) for node in range(nodes) for slot in range(DEVICES)]
    for number in range(count):
        workers = gangs[number % len(gangs)]
        spec = _job(number, workers)
        yield jobs.JobSubmitted(spec)
        if len(slots) < workers:
            yield VerdictReached(spec.id, Reason.WAITING_FOR_CAPACITY.value, workers, len(slots))
            continue
        taken, slots[-workers:] = slots[-workers:], []
        held: dict[int, list[int]] = {}
        for node, slot in taken:
            held.setdefault(node, []).append(slot)
        pieces = [Slice(_name(n), tuple(s), 1_000, len(s)) for n, s in sorted(held.items())]
        yield LaunchOrdered(spec.id, 1, workers, tuple(pieces))
        yield jobs.JobStarted(spec.id, 1)


def _name(node: int) -> NodeName:
    return NodeName(f"node-{node:05d}")


def _node(number: int) -> fleet.Node:
    domain = DomainName(f"c{number * CLUSTERS // NODES:02d}")
    return fleet.Node(
        _name(number),
        1,
        domain,
        SkuName("gpu"),
        DEVICES,
        cpu_milli=128_000,
        memory_mib=1_048_576,
        storage_mbps=10_000,
        network_mbps=100_000,
        io=IoProfile.OFFLOAD,
    )


def _job(number: int, workers: int) -> jobs.Job:
    return jobs.Job(
        _TENANT,
        f"job-{number:05d}",
        1,
        "red",
        Tier(1 + number % 3),
        0,
        workers,
        workers,
        _WORKER,
        jobs.Constraints(),
        "training",
        8_192,
    )


# --- what it costs --------------------------------------------------------------------------------


def _idle(large: State, small: State, size: str) -> list[dict[str, object]]:
    spent, less = _idle_ms(large), _idle_ms(small)
    waits = folded(NODES, JOBS, WAITING_GANGS)
    waiting = sum(1 for job in waits.live_jobs() if not job.slices)
    crowded = _idle_ms(waits)
    how = f"step and next wake-up with nothing due; {size}"
    small_size = "the same with 100 nodes, 160 jobs"
    return [
        line(("idle_cycle_ms", spent, "CPU ms"), (small_size, less), f"{how}, all running"),
        line(
            ("idle_cycle_crowded_ms", crowded, "CPU ms"),
            (small_size, less),
            f"{how}, {waiting} of them waiting; the look at them once a period is the next line",
        ),
        line(
            ("unchanged_plan_crowded_ms", _look_ms(waits), "CPU ms"),
            ("a beat with nothing due", crowded),
            f"a look at who waits that finds nothing to do; {size}, {waiting} of them waiting",
        ),
    ]


def _idle_ms(state: State) -> float:
    """Return the CPU milliseconds of a beat in which there is nothing to do."""
    host, now_ms = Host(state, "bench"), state.now_ms + 1
    state.memory.planned_ms = now_ms  # the last cycle was just now
    next_wakeup(state, now_ms)  # brings the job table up to date, once for all jobs

    def beat() -> None:
        assert not host.step([], now_ms).records
        next_wakeup(state, now_ms)

    return _ms(beat)


def _look_ms(state: State) -> float:
    """Return the CPU milliseconds of planning again though nothing changed but the time."""
    host = Host(state, "bench")
    now_ms = state.now_ms + POOL.period_ms
    host.step([], now_ms, retry=True)  # what is to be said of who waits is said once
    return _once_s(lambda: host.step([], now_ms + POOL.period_ms, retry=True)) * 1_000


def _updated(large: State, small: State, size: str) -> dict[str, object]:
    how = f"one job changed, then the digest; {size}"
    spent, less = _update_ms(large), _update_ms(small)
    return line(("digest_update_ms", spent, "CPU ms"), ("100 nodes, 160 jobs", less), how)


def _update_ms(state: State) -> float:
    digest = Digest()
    digest.update(state)
    (key, *_) = (job.key for job in state.live_jobs())

    def update() -> None:
        state.dirty[key] = None
        digest.update(state)

    return _ms(update)


def _stored(state: State, size: str) -> list[dict[str, object]]:
    data = store(state)
    stored_s, restored_s = _once_s(lambda: store(state)), _once_s(lambda: restore(data))
    digested_s = _once_s(lambda: Digest().update(restore(data))) - restored_s
    folded_s = _once_s(lambda: folded(NODES, JOBS))
    each = f"{size}; {len(data) / 2**20:.1f} MiB, {len(data) // len(state.jobs)} bytes a job"
    anchor = "encoding and folding the ledger instead"
    return [
        line(("snapshot_store_s", stored_s, "CPU s"), (anchor, folded_s), each),
        line(
            ("snapshot_restore_s", restored_s, "CPU s"),
            (anchor, folded_s),
            f"{each}; a new digest of all takes {digested_s:.2f} CPU s more",
        ),
    ]


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux


def _ms(work: Callable[[], object]) -> float:
    gc.collect()
    before = time.process_time()
    for _ in range(TIMES):
        work()
    return (time.process_time() - before) / TIMES * 1_000


def _once_s(work: Callable[[], object]) -> float:
    gc.collect()
    before = time.process_time()
    work()
    return time.process_time() - before


if __name__ == "__main__":
    for result in run():
        print(json.dumps(result))
