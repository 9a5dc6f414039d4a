# SPDX-License-Identifier: Apache-2.0
"""Random valid worlds with random valid plans for the judge to accept.

The placer is naive on purpose and shares nothing with the planner or the judge: it hands out what
is free or being released token by token, and remembers whose each token was.
"""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random

from hypothesis import strategies as st
from msgspec import structs

from schemas.decisions import (
    Action,
    LaunchOrdered,
    MigrateOrdered,
    ResizeOrdered,
    Slice,
    StopOrdered,
)
from schemas.fleet import Label
from schemas.ids import JobId, NodeName, RegionName, SkuName
from schemas.jobs import Constraints, Job, WorkerShape
from schemas.kinds import Span, Tier
from solvers.judge import JobFacts, NodeFacts, Phase, Proposal, Snapshot
from tests.solvers.judge_worlds import (
    NOW_MS,
    RELEASING,
    RESERVED,
    claim,
    launch,
    node,
    plan,
    reservation,
    suspend,
    waiting,
    world,
)

HOST = ("cpu_milli", "memory_mib")
SHAPES = (
    WorkerShape(devices=1, cpu_milli=4_000),
    WorkerShape(devices=2, cpu_milli=1_000, memory_mib=4_000),
    WorkerShape(devices=1, device_milli=300, cpu_milli=1_000),
    WorkerShape(devices=1, device_milli=500),
    WorkerShape(devices=0, cpu_milli=3_000, memory_mib=1_000),
)
ASKS = (
    Constraints(),
    Constraints(),
    Constraints(skus=(SkuName("gpu"), SkuName("mig"))),
    Constraints(regions=(RegionName("r1"),), span=Span.DOMAIN),
    Constraints(labels=(Label("disk", "fast"),), span=Span.NODE),
    Constraints(confidential=True),
)


@dataclass
class Pot:
    """Tokens of one slot or host amount: free ones, and those that a job is to release."""

    free: int
    given: dict[JobId, int] = field(default_factory=dict[JobId, int])

    def holds(self, amount: int, *, free_only: bool) -> bool:
        """Whether it has so many tokens, those to be released included unless `free_only`."""
        return self.free + (0 if free_only else sum(self.given.values())) >= amount

    def take(self, amount: int) -> set[JobId]:
        """Take tokens, free ones first, and return whose were taken beside."""
        self.free, short = max(self.free - amount, 0), max(amount - self.free, 0)
        waits: set[JobId] = set()
        for job in sorted(self.given):
            took = min(short, self.given[job])
            self.given[job] -= took
            short -= took
            if took:
                waits.add(job)
        return waits


@dataclass
class Layout:
    """Who could have what, token by token, while a world and then a plan are made."""

    nodes: dict[NodeName, NodeFacts]
    slots: dict[tuple[str, int], Pot]
    host: dict[tuple[str, str], Pot]

    @staticmethod
    def of(nodes: Iterable[NodeFacts]) -> "Layout":
        """Return the layout of empty nodes."""
        listed = list(nodes)
        return Layout(
            {n.name: n for n in listed},
            {(n.name, i): Pot(milli) for n in listed for i, milli in enumerate(n.slots)},
            {(n.name, f): Pot(getattr(n, f)) for n in listed for f in HOST},
        )

    def place(
        self,
        job: Job,
        workers: int,
        *,
        free_only: bool = False,
        inside: Iterable[NodeName] | None = None,
    ) -> tuple[tuple[Slice, ...], tuple[JobId, ...]] | None:
        """Take a whole gang's tokens and return its slices and waits, or take none."""
        for group in self._groups(job, inside):
            fits = {n: self._fit(n, job.worker, workers, free_only=free_only) for n in group}
            if sum(len(taken) for taken in fits.values()) >= workers:
                return self._commit(job.worker, workers, fits)
        return None

    def _groups(self, job: Job, inside: Iterable[NodeName] | None) -> list[list[NodeName]]:
        allowed = list(self.nodes) if inside is None else list(inside)
        groups: dict[str, list[NodeName]] = {}
        for name in allowed:
            host = self.nodes[name]
            if suits(host, job):
                key = {Span.CLUSTER: host.cluster, Span.DOMAIN: host.domain, Span.NODE: name}
                groups.setdefault(key[job.constraints.span], []).append(name)
        return list(groups.values())

    def _fit(
        self, name: NodeName, shape: WorkerShape, most: int, *, free_only: bool
    ) -> list[tuple[int, ...]]:
        """Return the slots of each worker that fits on a node."""
        fitting = [
            slot
            for (host, slot), pot in self.slots.items()
            if host == name and pot.holds(shape.device_milli, free_only=free_only)
        ]
        workers: list[tuple[int, ...]] = []
        for count in range(1, most + 1):
            room = all(
                self.host[name, f].holds(count * getattr(shape, f), free_only=free_only)
                for f in HOST
            )
            if not room or count * shape.devices > len(fitting):
                break
            workers.append(tuple(fitting[(count - 1) * shape.devices : count * shape.devices]))
        return workers

    def _commit(
        self, shape: WorkerShape, workers: int, fits: dict[NodeName, list[tuple[int, ...]]]
    ) -> tuple[tuple[Slice, ...], tuple[JobId, ...]]:
        slices: list[Slice] = []
        waits: set[JobId] = set()
        for name, taken in fits.items():
            here = taken[:workers]
            workers -= len(here)
            slots = tuple(slot for each in here for slot in each)
            for slot in slots:
                waits |= self.slots[name, slot].take(shape.device_milli)
            for f in HOST:
                waits |= self.host[name, f].take(len(here) * getattr(shape, f))
            if here:
                slices.append(Slice(name, slots, shape.device_milli, len(here)))
        return tuple(slices), tuple(sorted(waits))

    def give(self, job: JobFacts, slices: Iterable[Slice]) -> None:
        """Count what a job is to release as tokens of its own."""
        for s in slices:
            for slot in s.slots:
                given = self.slots[s.node, slot].given
                given[job.spec.id] = given.get(job.spec.id, 0) + s.milli
            for f in HOST:
                given = self.host[s.node, f].given
                amount = s.workers * getattr(job.spec.worker, f)
                given[job.spec.id] = given.get(job.spec.id, 0) + amount


def suits(host: NodeFacts, job: Job) -> bool:
    """Whether a node may take a job at all, said once more in the plainest way."""
    asks = job.constraints
    trusted = host.sku_confidential and host.attested_until_ms > NOW_MS
    return (
        host.healthy_for_new_work
        and (not asks.skus or host.sku in asks.skus)
        and (not asks.regions or host.region in asks.regions)
        and set(asks.labels) <= set(host.labels)
        and (trusted or not asks.confidential)
        and (host.sku_shareable or job.worker.device_milli == 1000)
    )


def random_node(name: str, rng: Random) -> NodeFacts:
    sku = rng.choice(["gpu", "mig", "tee"])
    return node(
        name,
        sku=SkuName(sku),
        slots=tuple(rng.choice([1000, 1000, 1000, 0]) for _ in range(rng.randint(1, 4))),
        cpu_milli=rng.choice([4_000, 64_000]),
        labels=rng.choice([(), (Label("disk", "fast"),)]),
        healthy_for_new_work=rng.random() < 0.9,
        sku_shareable=sku == "mig",
        sku_confidential=sku == "tee",
        attested_until_ms=NOW_MS + rng.randint(1, 9),
    )


def random_job(name: str, rng: Random) -> JobFacts:
    least = rng.randint(1, 2)
    premium = rng.random() < 0.2
    return waiting(
        name,
        tier=Tier.PREMIUM if premium else rng.choice([Tier.STANDARD, Tier.BASIC]),
        reservation=RESERVED if premium else None,
        workers_min=least,
        workers_max=least + rng.randint(0, 2),
        worker=rng.choice(SHAPES),
        constraints=rng.choice(ASKS),
    )


class Maker:
    """Makes one valid world and one valid plan for it. Mutable, lives for one example."""

    def __init__(self, rng: Random) -> None:
        """Start with empty nodes."""
        self.rng = rng
        nodes = [random_node(f"n{i}", rng) for i in range(1, rng.randint(2, 5) + 1)]
        self.layout = Layout.of(nodes)
        self.jobs: dict[JobId, JobFacts] = {}
        self.claims: list[tuple[JobFacts, Slice, tuple[JobId, ...]]] = []
        self.actions: list[Action] = []
        self.acted: set[JobId] = set()

    def make(self) -> tuple[Snapshot, Proposal]:
        """Return the world and the plan."""
        for i in range(self.rng.randint(1, 7)):
            self._settle(random_job(f"old{i}", self.rng))
        for i in range(self.rng.randint(0, 2)):
            self._promise(random_job(f"next{i}", self.rng))
        snapshot = self._snapshot()
        for job in list(self.jobs.values()):
            if job.cancelled:
                self._act(StopOrdered(job.spec.id, job.attempt))
                self.layout.give(job, job.slices)
        newcomers = [random_job(f"new{i}", self.rng) for i in range(self.rng.randint(1, 5))]
        for job in newcomers:
            self._launch(job)
        for job in list(self.jobs.values()):
            self._grow(job)
        jobs = {**snapshot.jobs, **{job.spec.id: job for job in newcomers}}
        due = [a.job for a in self.actions if isinstance(a, LaunchOrdered)]
        premium = [job for job in due if jobs[job].reservation is not None]
        return structs.replace(snapshot, jobs=jobs), plan(*self.actions, due=premium)

    def _snapshot(self) -> Snapshot:
        nodes = [
            structs.replace(
                host,
                claims=tuple(claim(j, s, *w) for j, s, w in self.claims if s.node == host.name),
            )
            for host in self.layout.nodes.values()
        ]
        reservations = {RESERVED: reservation(64)}
        return world(*self.jobs.values(), nodes=nodes, reservations=reservations)

    def _settle(self, job: JobFacts) -> None:
        workers = self.rng.randint(job.spec.workers_min, job.spec.workers_max)
        placed = self.layout.place(job.spec, workers, free_only=True)
        if placed is None:
            return
        phase = self.rng.choice([Phase.RUNNING, Phase.RUNNING, Phase.STARTING, *RELEASING])
        job = structs.replace(
            job,
            phase=phase,
            attempt=self.rng.randint(1, 3),
            workers=workers,
            slices=placed[0],
            cancelled=phase is Phase.RUNNING and self.rng.random() < 0.2,
        )
        self.jobs[job.spec.id] = job
        if phase in RELEASING:
            self.layout.give(job, job.slices)

    def _promise(self, job: JobFacts) -> None:
        placed = self.layout.place(job.spec, job.spec.workers_min)
        if placed is not None and placed[1]:
            job = structs.replace(job, phase=Phase.CLAIMED)
            self.jobs[job.spec.id] = job
            self.claims.extend((job, s, placed[1]) for s in placed[0])

    def _act(self, action: Action) -> None:
        self.actions.append(action)
        self.acted.add(action.job)

    def _launch(self, job: JobFacts) -> None:
        """Launch a job where it fits, making room by one move where a victim is drawn."""
        before = deepcopy(self.layout)
        move = self._move(job)
        workers = self.rng.randint(job.spec.workers_min, job.spec.workers_max)
        placed = self.layout.place(job.spec, workers)
        if placed is None:
            self.layout = before
            return
        if move is not None:
            self._act(move)
        self._act(launch(job, *placed[0], waits=placed[1]))

    def _move(self, gains: JobFacts) -> Action | None:
        victims = [
            job
            for job in self.jobs.values()
            if job.phase in {Phase.RUNNING, Phase.STARTING}
            and not job.cancelled
            and job.spec.id not in self.acted
            and (job.reservation is None or gains.reservation is not None)
        ]
        if not victims or self.rng.random() < 0.3:
            return None
        victim = self.rng.choice(victims)
        kept = victim.slices[:-1]
        fewer = sum(s.workers for s in kept)
        if victim.phase is Phase.RUNNING and fewer >= victim.spec.workers_min:
            self.layout.give(victim, victim.slices[-1:])
            number = victim.resize_number + 1
            return ResizeOrdered(victim.spec.id, victim.attempt, number, fewer, kept, gains.spec.id)
        self.layout.give(victim, victim.slices)
        moved = self.layout.place(victim.spec, victim.workers) if self.rng.random() < 0.5 else None
        if moved is None:
            return suspend(victim, gains)
        return MigrateOrdered(victim.spec.id, victim.attempt, victim.workers, *moved, gains.spec.id)

    def _grow(self, job: JobFacts) -> None:
        more = job.spec.workers_max - job.workers
        settled = job.phase is Phase.RUNNING and not job.cancelled
        if not settled or more <= 0 or job.spec.id in self.acted:
            return
        elsewhere = [n for n in self.layout.nodes if n not in {s.node for s in job.slices}]
        near = [n for n in elsewhere if self._near(job, n)]
        placed = self.layout.place(job.spec, more, free_only=True, inside=near)
        if placed is not None:
            slices = (*job.slices, *placed[0])
            me, workers = job.spec.id, job.spec.workers_max
            self._act(ResizeOrdered(me, job.attempt, job.resize_number + 1, workers, slices, me))

    def _near(self, job: JobFacts, name: NodeName) -> bool:
        there, here = self.layout.nodes[name], self.layout.nodes[job.slices[0].node]
        match job.spec.constraints.span:
            case Span.CLUSTER:
                return there.cluster == here.cluster
            case Span.DOMAIN:
                return there.domain == here.domain
            case Span.NODE:
                return False


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Snapshot, Proposal]:
    """Draw a valid world and a valid plan for it."""
    return Maker(draw(st.randoms(use_true_random=False))).make()
