# SPDX-License-Identifier: Apache-2.0
"""A cut seen through the policy.

What each job needs, what it is worth now, and in which order jobs are looked at.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from engine.device_time import NEVER_MS
from engine.phases import Phase
from engine.snapshot import DEVICE_MILLI, Snapshot
from engine.tables import IntArray
from schemas.ids import team_id
from schemas.kinds import Tier
from schemas.tenants import Reservation

BoolArray = NDArray[np.bool_]


class Rank(IntEnum):
    """In which order waiting jobs are looked at."""

    RESERVED = 0  # premium inside its reservation
    PROMISED = 1  # its promise would break before the next cycle could help it
    FRESH = 2  # has had little device time yet
    AGED = 3


@dataclass(frozen=True, slots=True)
class View:
    """Per job of the cut, in its order, int64[J] unless said.

    Amounts in milli-devices; `weight` is the value per device of letting the job run now;
    `reservation` is the index of the reservation that a premium job counts against, or -1; `rank`
    is a `Rank`; `waiting`, `movable` and
    `starting` (bool) say which jobs want a place, run and may be moved, or are about to run.
    """

    need_min: IntArray
    need_max: IntArray
    held: IntArray
    work: IntArray
    weight: IntArray
    rank: IntArray
    reservation: IntArray
    waiting: BoolArray
    movable: BoolArray
    starting: BoolArray
    slack_ms: IntArray


def view(snapshot: Snapshot) -> View:
    """Return the cut seen through its policy."""
    column, policy, now_ms = snapshot.column, snapshot.policy, snapshot.now_ms
    phase, tier, worker_milli = column("phase"), column("tier"), column("worker_milli")
    need_min = column("workers_min") * worker_milli
    held = column("workers") * worker_milli
    work = column("work") + column("progress_milli") * (now_ms - column("work_since_ms"))
    waiting = ((phase == Phase.QUEUED) | (phase == Phase.SUSPENDED)) & (column("cancelled") == 0)
    reservation = _reservation(snapshot, need_min, held, waiting)
    inside = reservation >= 0
    fresh = work < policy.fresh_device_ms * DEVICE_MILLI
    weight, fresh_weight, promise_ppm = _tier_tables(snapshot)
    promised = waiting & (column("breach_ms") <= now_ms + policy.period_ms + policy.reclaim_ms)
    rank = np.full(len(phase), int(Rank.AGED), np.int64)
    rank[fresh] = Rank.FRESH
    rank[promised] = Rank.PROMISED
    rank[inside] = Rank.RESERVED
    return View(
        need_min=need_min,
        need_max=column("workers_max") * worker_milli,
        held=held,
        work=work,
        weight=np.where(fresh | promised | inside, fresh_weight[tier], weight[tier]),
        rank=rank,
        reservation=reservation,
        waiting=waiting,
        movable=(phase == Phase.RUNNING) & (column("resizing") == 0) & (column("cancelled") == 0),
        starting=(phase == Phase.STARTING) & (column("cancelled") == 0),
        slack_ms=_slack_ms(snapshot, promise_ppm[tier]),
    )


def _tier_tables(snapshot: Snapshot) -> tuple[IntArray, IntArray, IntArray]:
    size = max(Tier) + 1
    weight, fresh, promise = (np.zeros(size, np.int64) for _ in range(3))
    for tier in snapshot.policy.tiers:
        weight[tier.tier] = tier.weight
        fresh[tier.tier] = tier.fresh_weight
        promise[tier.tier] = tier.promise_ppm
    return weight, fresh, promise


_HOUR_MS = 3_600_000
_PPM = 1_000_000


def _slack_ms(snapshot: Snapshot, promise_ppm: IntArray) -> IntArray:
    """Return for how long each running job could be stopped without breaking its promise, at least.

    A lower bound from how long it has run without a break and how old it is: over the hour that
    ends when it is stopped, it received at least its run, and was due at most its age. Exact once
    it ran for an hour.
    """
    now_ms, hour = snapshot.now_ms, np.int64(_HOUR_MS)
    run = np.minimum(now_ms - snapshot.column("phase_since_ms"), hour)
    age = np.minimum(now_ms - snapshot.column("first_started_ms"), hour)
    promise = np.maximum(promise_ppm, 1)
    spare = run * _PPM // promise - age
    most = hour * (_PPM - promise_ppm) // _PPM
    return np.where(promise_ppm == 0, NEVER_MS, np.clip(spare, 0, most))


def _reservation(
    snapshot: Snapshot, need_min: IntArray, held: IntArray, waiting: BoolArray
) -> IntArray:
    """Return the reservation that each premium job counts against, by index, or -1.

    Jobs that hold or claim devices come first, then those that wait, each in the order of
    submission; a job that does not fit what is left of the reservation is passed over.
    """
    counted = np.full(len(held), -1, np.int64)
    if not snapshot.reservations:
        return counted
    premium = (snapshot.column("tier") == Tier.PREMIUM) & (snapshot.column("cancelled") == 0)
    teams = {team: index for index, team in enumerate(snapshot.teams)}
    pool, team_column = snapshot.column("pool"), snapshot.column("team")
    amount = np.where(waiting, need_min, held)
    for index, reservation in enumerate(snapshot.reservations):
        team = teams.get(team_id(reservation.tenant, reservation.team), -1)
        mine = premium & (team_column == team) & (counted < 0)
        if not mine.any():
            continue
        mine &= waiting | np.append(scope_of(snapshot, reservation), True)[pool]
        left = reservation.devices * DEVICE_MILLI
        for row in (*np.flatnonzero(mine & ~waiting), *np.flatnonzero(mine & waiting)):
            if amount[row] <= left:
                counted[row] = index
                left -= int(amount[row])
    return counted


def scope_of(snapshot: Snapshot, reservation: Reservation) -> BoolArray:
    """Return which pools a reservation covers, as booleans per pool index."""
    fleet = snapshot.fleet
    known = fleet.scopes.get(reservation.id)
    if known is None:
        known = fleet.scopes[reservation.id] = np.array(
            [
                (not reservation.regions or region in reservation.regions)
                and (not reservation.skus or sku in reservation.skus)
                for (_, sku), region in zip(fleet.pools, fleet.pool_region, strict=True)
            ],
            np.bool_,
        )
    return known
