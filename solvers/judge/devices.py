# SPDX-License-Identifier: Apache-2.0
"""Rules on devices and hosts: a slot has one holder and at most one successor, who waits.

A slot that can be shared has as many of each as fit into its thousandths.
"""

from collections.abc import Callable, Iterator
from operator import attrgetter

from msgspec import Struct

from schemas.decisions import ResizeOrdered
from schemas.ids import JobId
from schemas.jobs import WorkerShape
from solvers.judge.facts import Claim, JobFacts, NodeFacts, Phase
from solvers.judge.rooms import Room
from solvers.judge.touched import Contested, Part, Taking, Touched
from solvers.judge.violation import PlanRule, Violation

_RELEASING = (Phase.SUSPENDING, Phase.STOPPING)
_HOST = ("cpu_milli", "memory_mib", "storage_mbps", "network_mbps")
_host_amounts: Callable[[NodeFacts | WorkerShape], tuple[int, ...]] = attrgetter(*_HOST)


class Shortage(Struct, frozen=True):
    """A slot of which a taking lacks `missing` milli; `never`: even once all have released."""

    place: Contested
    taking: Taking
    slot: int
    missing: int
    never: bool

    @property
    def subject(self) -> str:
        """Node and slot."""
        return f"{self.place.node.name}/{self.slot}"


def unusable_slot(seen: Touched) -> Iterator[Violation]:
    """A slot that is taken is there, and usable."""
    for place in seen.contested:
        for taking in place.takings:
            for slot in taking.slots:
                if not _capacity(place, slot):
                    sentence = f"{taking.job} takes slot {slot} of {place.node.name}, not usable"
                    subject = f"{place.node.name}/{slot}"
                    yield Violation(PlanRule.UNUSABLE_SLOT, taking.index, subject, sentence)


def promised_twice(seen: Touched) -> Iterator[Violation]:
    """Once the plan is carried out, no slot is held or claimed beyond its thousandths."""
    for short in _shortages(seen):
        if short.never:
            taking = short.taking
            sentence = (
                f"{taking.job} takes {taking.milli} milli of {short.subject}, where "
                f"{short.missing} milli are held by who stays or promised to others"
            )
            yield Violation(PlanRule.PROMISED_TWICE, taking.index, short.subject, sentence)


def missing_wait(seen: Touched) -> Iterator[Violation]:
    """Who takes slots that others are to release waits for them: there is room at its start."""
    for short in _shortages(seen):
        if not short.never:
            taking = short.taking
            holders = [
                part.job
                for part in short.place.parts
                if part.leaves and short.slot in part.slots and part.job not in taking.waits_for
            ]
            sentence = (
                f"{taking.job} takes {taking.milli} milli of {short.subject}, of which "
                f"{short.missing} milli are held by {', '.join(holders)}, whom it does not wait for"
            )
            yield Violation(PlanRule.MISSING_WAIT, taking.index, short.subject, sentence)


def _shortages(seen: Touched) -> Iterator[Shortage]:
    for place in seen.contested:
        rooms = _rooms(place)
        for taking in place.takings if rooms else ():
            for slot in taking.slots:
                room = rooms.get(slot)
                if room is None:
                    continue
                missing = room.draw(taking.waits_for, taking.milli)
                if missing:
                    never = room.asked > room.supply
                    yield Shortage(place, taking, slot, missing, never)


def _rooms(place: Contested) -> dict[int, Room]:
    """Return the room in each crowded slot that the plan takes, less what was claimed before."""
    free = {slot: _capacity(place, slot) for slot in _crowded(place)}
    if not free:
        return {}
    releases: dict[int, dict[JobId, int]] = {slot: {} for slot in free}
    for part in place.parts:
        for slot in part.slots:
            if slot in free:
                free[slot] -= part.milli
                if part.leaves:
                    releases[slot][part.job] = releases[slot].get(part.job, 0) + part.milli
    rooms = {slot: Room(left, releases[slot]) for slot, left in free.items()}
    for claim in place.node.claims:
        for slot in claim.slots:
            if slot in rooms:
                rooms[slot].draw((*claim.waits_for, claim.job), claim.milli)
    return rooms


def _crowded(place: Contested) -> list[int]:
    """Return the usable slots too small for all who are there, are promised them, and come.

    Where all fit beside each other, it does not matter who releases when.
    """
    load: dict[int, int] = {}
    for use in _uses(place):
        milli = use.milli
        for slot in use.slots:
            load[slot] = load.get(slot, 0) + milli
    return [slot for slot, milli in load.items() if milli > _capacity(place, slot) > 0]


def _uses(place: Contested) -> tuple[Taking | Part | Claim, ...]:
    return (*place.takings, *place.parts, *place.node.claims)


def _capacity(place: Contested, slot: int) -> int:
    return place.node.slots[slot] if 0 <= slot < len(place.node.slots) else 0


def vain_wait(seen: Touched) -> Iterator[Violation]:
    """A wait is for a job that is releasing, or that an earlier action makes release."""
    for act, action in seen.placements:
        for holder in () if isinstance(action, ResizeOrdered) else action.waits_for:
            job = seen.snapshot.jobs.get(holder)
            if job is None or _releasing(job):
                continue
            if seen.leaves_at.get(holder, len(seen.proposal.actions)) > act.index:
                sentence = (
                    f"{action.job} waits for {holder}, which is {job.phase.name.lower()} and "
                    f"told by no earlier action to release"
                )
                yield Violation(PlanRule.VAIN_WAIT, act.index, holder, sentence)


def _releasing(job: JobFacts) -> bool:
    return job.phase in _RELEASING or job.resizing


def over_capacity(seen: Touched) -> Iterator[Violation]:
    """A node's cores, memory and bandwidths suffice for all on it, from the start of each on."""
    for place in seen.contested:
        for field in _scarce(place):
            amount, capacity = _HOST[field], _host_amounts(place.node)[field]
            room = _host_room(place, field, capacity)
            for taking in place.takings:
                wants = taking.workers * _host_amounts(taking.shape)[field]
                missing = room.draw(taking.waits_for, wants)
                if missing:
                    sentence = (
                        f"{taking.job} takes {wants} {amount} of {place.node.name}, which has "
                        f"{capacity}: {missing} too few when it starts"
                    )
                    yield Violation(PlanRule.OVER_CAPACITY, taking.index, place.node.name, sentence)


def _scarce(place: Contested) -> list[int]:
    """Return the host amounts too small for all who are there, are promised them, and come."""
    cpu_milli = memory_mib = storage_mbps = network_mbps = 0
    for use in _uses(place):
        workers, shape = use.workers, use.shape
        cpu_milli += workers * shape.cpu_milli
        memory_mib += workers * shape.memory_mib
        storage_mbps += workers * shape.storage_mbps
        network_mbps += workers * shape.network_mbps
    load = (cpu_milli, memory_mib, storage_mbps, network_mbps)
    capacity = _host_amounts(place.node)
    return [field for field in range(len(_HOST)) if load[field] > capacity[field]]


def _host_room(place: Contested, field: int, free: int) -> Room:
    releases: dict[JobId, int] = {}
    for part in place.parts:
        amount = part.workers * _host_amounts(part.shape)[field]
        free -= amount
        if part.leaves:
            releases[part.job] = releases.get(part.job, 0) + amount
    room = Room(free, releases)
    for claim in place.node.claims:
        wants = claim.workers * _host_amounts(claim.shape)[field]
        room.draw((*claim.waits_for, claim.job), wants)
    return room
