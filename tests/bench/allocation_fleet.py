# SPDX-License-Identifier: Apache-2.0
"""A fleet and its demand as an allocation problem, drawn from one seed.

48 clusters in six regions, six SKUs, 99k accelerators of which three in four are busy, and 20k jobs
in 1,500 classes that want 1.3 times as many. All amounts are milli-devices, values are weight times
milli-devices at the SKU's speed, as in the engine.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.allocation import AllocationProblem
from solvers.allocation.problem import BoolArray, IntArray

FloatArray = NDArray[np.float64]

REGIONS, CLUSTERS, SKUS, KINDS = 6, 48, 6, 5
TEAMS, CLASSES, JOBS = 60, 1_500, 20_000
NODES = 12_375
DEVICES = 8 * NODES
DEMAND = 1.3
RESERVED_AT_MOST = 0.8
DEVICE_MILLI = 1_000

GANGS = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024])
GANG_ODDS = np.array([24, 10, 12, 24, 10, 8, 5, 3, 2, 1, 0.5])
"""How many classes have each size; jobs are ever fewer the larger their gangs."""

SPEED_MILLI = np.array(
    [
        [1_000, 1_000, 1_000, 1_000, 1_000],
        [1_600, 1_300, 1_900, 1_100, 1_400],
        [2_400, 1_500, 3_100, 1_200, 2_000],
        [800, 1_200, 700, 1_000, 600],
        [3_000, 1_700, 4_200, 1_300, 2_300],
        [1_100, 900, 1_500, 1_600, 800],
    ]
)
"""By SKU and kind of work."""

BASIC, STANDARD, PREMIUM = range(3)
TIER_WEIGHT = np.array([1, 2, 4])
PENALTY = 4 * int(TIER_WEIGHT.max() * SPEED_MILLI.max()) // 1_000
"""Four times as dear as the dearest work."""


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """Pools (a SKU in a cluster): region, SKU and nodes of eight devices, int64[P]."""

    region: IntArray
    sku: IntArray
    nodes: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """Classes of alike jobs, int64[C]; `allowed` is bool[C, P]."""

    team: IntArray
    tier: IntArray
    kind: IntArray
    gang: IntArray
    jobs: IntArray
    allowed: BoolArray


def allocation_fleet(seed: int) -> AllocationProblem:
    """Return the problem of one seed; equal for equal seeds under one numpy."""
    chance = np.random.default_rng(seed)
    fleet = _fleet(chance)
    demand = _demand(chance, fleet)
    owners, scopes, reserved = _reservations(chance, fleet, demand)
    gang = demand.gang * DEVICE_MILLI
    most = _most_gangs(fleet, demand)
    weight = TIER_WEIGHT[demand.tier]
    speed = _speed_milli(chance, demand)[:, fleet.sku]
    stay = _running(chance, fleet, demand, most)
    return AllocationProblem(
        pool_capacity_devices=fleet.nodes * 8 * DEVICE_MILLI,
        class_gang_devices=gang,
        class_gangs=demand.jobs,
        class_value=np.where(most > 0, (gang * weight)[:, None] * speed // 1_000, -1),
        stay_gangs=stay,
        class_stay_bonus=gang * weight // 10,
        class_max_gangs=most,
        class_team=demand.team,
        team_limit_devices=_team_limits(chance, demand),
        class_reservation=owners,
        reservation_devices=reserved,
        reservation_pools=scopes,
        reservation_penalty=np.full(
            len(reserved), 4 * int(TIER_WEIGHT.max() * SPEED_MILLI.max()) // 1_000
        ),
        **_team_steps(chance),
    )


def _shares(weights: FloatArray, total: int) -> IntArray:
    """Return whole shares of `total` by weight: largest remainder, ties to the first."""
    exact = weights / weights.sum() * total
    shares: IntArray = np.floor(exact).astype(np.int64)
    order = np.argsort(shares - exact, kind="stable")
    shares[order[: total - int(shares.sum())]] += 1
    return shares


def _fleet(chance: np.random.Generator) -> Fleet:
    """Every cluster has one SKU, every other one more; sizes differ by an order of magnitude."""
    cluster = np.concatenate([np.arange(CLUSTERS), np.arange(0, CLUSTERS, 2), [1]])
    sku = chance.integers(0, SKUS, CLUSTERS)[cluster]
    second = np.arange(len(cluster)) >= CLUSTERS
    sku[second] = (sku[second] + chance.integers(1, SKUS, int(second.sum()))) % SKUS
    size = np.exp(chance.normal(0, 0.7, len(cluster)))
    return Fleet(cluster % REGIONS, sku, 16 + _shares(size, NODES - 16 * len(cluster)))


def _demand(chance: np.random.Generator, fleet: Fleet) -> Demand:
    gang = chance.choice(GANGS, CLASSES, p=GANG_ODDS / GANG_ODDS.sum())
    popular = 1 / np.arange(2, TEAMS + 2)
    regions = chance.random((CLASSES, REGIONS)) < chance.choice([0.25, 0.5, 1.0], (CLASSES, 1))
    skus = chance.random((CLASSES, SKUS)) < chance.choice([0.4, 1.0], (CLASSES, 1))
    allowed = regions[:, fleet.region] & skus[:, fleet.sku]
    fits = fleet.nodes * 8 >= 2 * gang[:, None]
    allowed[~(allowed & fits).any(axis=1)] = True
    allowed &= fits
    return Demand(
        team=chance.choice(TEAMS, CLASSES, p=popular / popular.sum()),
        tier=chance.choice([BASIC, STANDARD, PREMIUM], CLASSES, p=[0.25, 0.35, 0.4]),
        kind=chance.integers(0, KINDS, CLASSES),
        gang=gang,
        jobs=_jobs(np.exp(chance.normal(0, 1, CLASSES)), gang),
        allowed=allowed,
    )


def _jobs(weight: FloatArray, gang: IntArray) -> IntArray:
    """Return how many jobs each class has: all of them together want `DEMAND` times the fleet.

    The more, the smaller its gangs are: by which power is found by halving.
    """
    low, high = -1.0, 3.0
    for _ in range(40):
        power = (low + high) / 2
        wanted = int(_with_power(weight, gang, power) @ gang)
        low, high = (power, high) if wanted > DEMAND * DEVICES else (low, power)
    return _with_power(weight, gang, high)


def _with_power(weight: FloatArray, gang: IntArray, power: float) -> IntArray:
    return 1 + _shares(weight / gang**power, JOBS - CLASSES)


def _speed_milli(chance: np.random.Generator, demand: Demand) -> IntArray:
    """Return the speed of each class on each SKU, int64[C, SKUS], within a sixth of its kind's."""
    measured = chance.uniform(5 / 6, 7 / 6, (CLASSES, SKUS))
    return (SPEED_MILLI[:, demand.kind].T * measured).astype(np.int64)


def _most_gangs(fleet: Fleet, demand: Demand) -> IntArray:
    """Return how many gangs the nodes of each pool take by shape: small ones are never split."""
    small = fleet.nodes * (8 // np.minimum(demand.gang, 8))[:, None]
    large = fleet.nodes // np.maximum(demand.gang // 8, 1)[:, None]
    return np.where(demand.allowed, np.where(demand.gang[:, None] <= 8, small, large), 0)


def _reservations(
    chance: np.random.Generator, fleet: Fleet, demand: Demand
) -> tuple[IntArray, BoolArray, IntArray]:
    """Return each class's reservation, their scopes, and what each is due.

    One per team, or two for either half of the regions. What is due is what premium work asks for,
    but no more than `RESERVED_AT_MOST` of any pool when it spreads by size over where it may run.
    """
    premium = np.flatnonzero(demand.tier == PREMIUM)
    wide = chance.integers(0, 2, TEAMS)  # teams that reserve in half of the regions each time
    half = chance.integers(0, 2, len(premium)) * wide[demand.team[premium]]
    keys, index = np.unique(demand.team[premium] * 2 + half, return_inverse=True)
    owners = np.full(CLASSES, -1, np.int64)
    owners[premium] = index
    everywhere = wide[keys // 2] == 0
    scopes = everywhere[:, None] | (fleet.region % 2 == (keys % 2)[:, None])
    inside = demand.allowed[premium] & scopes[index]
    asked = (demand.jobs * demand.gang)[premium]
    spread = inside * fleet.nodes / np.maximum((inside * fleet.nodes).sum(axis=1), 1)[:, None]
    load = asked @ spread / (fleet.nodes * 8)
    tight = np.maximum(np.where(inside, load / RESERVED_AT_MOST, 0).max(axis=1), 1)
    due = np.bincount(index, asked / tight * inside.any(axis=1))
    return owners, scopes, due.astype(np.int64) * DEVICE_MILLI


def _team_limits(chance: np.random.Generator, demand: Demand) -> IntArray:
    """A third of the teams may use only part of what they ask for, but all that is premium."""
    asked = np.zeros((TEAMS, 2))
    np.add.at(asked, (demand.team, (demand.tier == PREMIUM).astype(int)), demand.jobs * demand.gang)
    limit = asked[:, 1] + asked[:, 0] * chance.uniform(0.2, 0.8, TEAMS)
    limited = chance.random(TEAMS) < 1 / 3
    return np.where(limited, limit.astype(np.int64) * DEVICE_MILLI, -1)


def _team_steps(chance: np.random.Generator) -> dict[str, IntArray]:
    """A team's first devices are worth most: half its share, its share, twice its share."""
    share = _shares(chance.choice([1, 2, 4], TEAMS).astype(float), DEVICES) * DEVICE_MILLI
    width = np.stack([share // 2, share - share // 2, share], axis=1)
    return {"team_step_devices": width, "team_step_value": np.tile([3, 2, 1], (TEAMS, 1))}


def _running(chance: np.random.Generator, fleet: Fleet, demand: Demand, most: IntArray) -> IntArray:
    """Return what runs now: up to three in four jobs, where there was room, in random order."""
    stay = np.zeros_like(most)
    free = fleet.nodes * 6
    for cls in chance.permutation(CLASSES).tolist():
        left = int(demand.jobs[cls]) * 3 // 4
        for pool in chance.permutation(np.flatnonzero(demand.allowed[cls]))[:4].tolist():
            gangs = min(left, int(free[pool] // demand.gang[cls]), int(most[cls, pool]))
            stay[cls, pool] += gangs
            free[pool] -= gangs * demand.gang[cls]
            left -= gangs
    return stay
