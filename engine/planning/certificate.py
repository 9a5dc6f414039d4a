# SPDX-License-Identifier: Apache-2.0
"""The plan's certificate.

The cut as an allocation problem, the plan's value in it, and a bound by dual prices.

Jobs that are alike form classes, nodes of one SKU in one cluster a pool. Amounts are in
milli-devices, values in weight times milli-devices. The bound holds for any prices (weak duality),
so the prices remembered from the last global solve certify every plan made since in one pass over
the classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from engine.phases import Phase
from engine.planning.aftermath import Aftermath
from engine.planning.costs import START_MS
from engine.planning.eligibility import eligible_rows
from engine.planning.view import View, scope_of
from engine.snapshot import DEVICE_MILLI, Snapshot
from engine.tables import IntArray
from solvers import allocation

_UNBOUNDED = 2**40
_RESERVED_FACTOR = 4
"""How many times dearer a device short of a reservation is than the dearest device of work."""
_SPEED_BASE_MILLI = 1_000


@dataclass(frozen=True, slots=True)
class Posed:
    """A cut as an allocation problem.

    `members` are the jobs in it; `class_of` is theirs, int64[len(members)].
    """

    problem: allocation.AllocationProblem
    members: IntArray
    class_of: IntArray

    def value(self, view: View, after: Aftermath) -> int:
        """Return what a plan is worth."""
        running, pools = after.running, after.pool[self.members]
        rate = self.problem.class_value[self.class_of, np.maximum(pools, 0)]
        best = self.problem.class_value.max(axis=1)[self.class_of]
        value = np.where((pools >= 0) & (rate >= 0), rate, best)
        share = running[self.members] * value // np.maximum(view.need_max[self.members], 1)
        stay = self.problem.class_stay_bonus[self.class_of] * after.kept[self.members]
        return int(share.sum() + stay.sum()) - self._short(after)

    def _short(self, after: Aftermath) -> int:
        """Return the penalty for what reservations with demand for them do not get."""
        problem = self.problem
        reserved, pool = problem.class_reservation[self.class_of], after.pool[self.members]
        counts = (reserved >= 0) & (pool >= 0)
        inside = np.flatnonzero(counts)
        inside = inside[problem.reservation_pools[reserved[inside], pool[inside]]]
        served = np.zeros(len(problem.reservation_devices), np.int64)
        np.add.at(served, reserved[inside], after.running[self.members[inside]])
        short = np.maximum(problem.reserved_demand() - served, 0)
        return int((short * problem.reservation_penalty).sum())


def pose(snapshot: Snapshot, view: View) -> Posed:
    """Return the cut as an allocation problem over what runs, is about to run, or waits."""
    column = snapshot.column
    phase = column("phase")
    leaving = (phase == Phase.STOPPING) | ((phase == Phase.SUSPENDING) & (column("pool") < 0))
    members = np.flatnonzero((column("cancelled") == 0) & ~leaving & (view.need_max > 0))
    keys = np.stack(
        [
            column("kind")[members],
            column("team")[members],
            view.reservation[members],
            view.need_max[members],
            view.weight[members],
        ],
        axis=1,
    )
    classes, class_of = np.unique(keys, axis=0, return_inverse=True)
    class_of = class_of.reshape(-1)
    pools, count = len(snapshot.fleet.pools), len(classes)
    placed = column("pool")[members]
    stays = placed >= 0
    stay = np.zeros((count, pools), np.int64)
    np.add.at(stay, (class_of[stays], placed[stays]), 1)
    value, most = _values(snapshot, classes)
    horizon_ms = snapshot.policy.fresh_device_ms
    return Posed(
        allocation.AllocationProblem(
            pool_capacity_devices=_capacity(snapshot),
            class_gang_devices=classes[:, 3].copy(),
            class_gangs=np.bincount(class_of, minlength=count).astype(np.int64),
            class_value=value,
            stay_gangs=stay,
            class_stay_bonus=classes[:, 3] * classes[:, 4] * START_MS // horizon_ms,
            class_max_gangs=most,
            class_team=classes[:, 1].copy(),
            team_limit_devices=_team_limits(snapshot),
            team_step_devices=np.zeros((len(snapshot.teams), 0), np.int64),
            team_step_value=np.zeros((len(snapshot.teams), 0), np.int64),
            class_reservation=classes[:, 2].copy(),
            reservation_devices=np.array(
                [r.devices * DEVICE_MILLI for r in snapshot.reservations], np.int64
            ),
            reservation_pools=np.array(
                [scope_of(snapshot, r) for r in snapshot.reservations], np.bool_
            ).reshape(len(snapshot.reservations), pools),
            reservation_penalty=np.full(
                len(snapshot.reservations), _RESERVED_FACTOR * _dearest(snapshot), np.int64
            ),
        ),
        members,
        class_of,
    )


def _dearest(snapshot: Snapshot) -> int:
    return max(max(t.weight, t.fresh_weight) for t in snapshot.policy.tiers)


def _capacity(snapshot: Snapshot) -> IntArray:
    fleet = snapshot.fleet
    usable = fleet.slots * fleet.usable * DEVICE_MILLI
    return np.bincount(fleet.pool, weights=usable, minlength=len(fleet.pools)).astype(np.int64)


def _team_limits(snapshot: Snapshot) -> IntArray:
    limits = [
        snapshot.team_specs[team].limit_devices if team in snapshot.team_specs else 0
        for team in snapshot.teams
    ]
    return np.array([limit * DEVICE_MILLI if limit else -1 for limit in limits], np.int64)


def _values(snapshot: Snapshot, classes: IntArray) -> tuple[IntArray, IntArray]:
    """Return value per gang and most gangs, int64[C, P]; a value of -1 says not allowed there."""
    fleet = snapshot.fleet
    kinds = classes[:, 0]
    speed = np.full((len(classes), len(fleet.pools)), -1, np.int64)
    for kind in np.unique(kinds).tolist():
        reached = np.unique(fleet.pool[eligible_rows(snapshot, kind)])
        row = np.full(len(fleet.pools), -1, np.int64)
        for pool in reached.tolist():
            row[pool] = snapshot.speed_milli(kind, pool)
        speed[kinds == kind] = row
    gang = (classes[:, 3] * classes[:, 4])[:, None]
    value = np.where(speed >= 0, gang * speed // _SPEED_BASE_MILLI, -1)
    most = np.where(speed >= 0, _UNBOUNDED, 0)
    return value, most


def fingerprint(problem: allocation.AllocationProblem) -> bytes:
    """Return the SHA-256 of a problem: equal for equal problems on every machine."""
    hashed = sha256()
    for name in problem.__dataclass_fields__:
        array: IntArray = getattr(problem, name)
        hashed.update(f"{name}{array.shape}".encode())
        hashed.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
    return hashed.digest()


def price_keys(snapshot: Snapshot) -> tuple[str, ...]:
    """Return what each remembered price is of."""
    pools = [f"pool:{cluster}/{sku}" for cluster, sku in snapshot.fleet.pools]
    teams = [f"team:{team}" for team in snapshot.teams]
    reservations = [f"reservation:{r.id}" for r in snapshot.reservations]
    steps = [f"step:{team}" for team in snapshot.teams]
    return (*pools, *teams, *reservations, *steps)


def remembered(snapshot: Snapshot) -> allocation.Prices:
    """Return the last global solve's prices for today's pools and teams; 0 for new ones."""
    keys = price_keys(snapshot)
    if keys == snapshot.price_keys:
        flat = np.array(snapshot.prices, np.int64)
    else:
        known = dict(zip(snapshot.price_keys, snapshot.prices, strict=True))
        flat = np.array([known.get(key, 0) for key in keys], np.int64)
    return unflattened(snapshot, flat)


def unflattened(snapshot: Snapshot, flat: Sequence[int] | IntArray) -> allocation.Prices:
    """Return prices in the order of `price_keys` as the allocation takes them."""
    pools, teams = len(snapshot.fleet.pools), len(snapshot.teams)
    pool, team, reservation, step = np.split(
        np.asarray(flat, np.int64), np.cumsum([pools, teams, len(snapshot.reservations)])
    )
    return allocation.Prices(pool, team, reservation, step)


def flattened(prices: allocation.Prices) -> tuple[int, ...]:
    """Return prices as the ledger keeps them, in the order of `price_keys`."""
    flat = np.concatenate((prices.pool, prices.team, prices.reservation, prices.step))
    return tuple(int(price) for price in flat)
