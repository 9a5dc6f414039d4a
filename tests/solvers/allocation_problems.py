# SPDX-License-Identifier: Apache-2.0
"""Allocation problems for the tests, built by hand or drawn, and what they are worth at best.

Worth and limits are written here from the mathematics in `docs/optimisation-model.md`, in plain
Python, so that they share nothing with the solver.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from solvers.allocation import AllocationProblem, Prices
from solvers.allocation.problem import IntArray

Table = Sequence[Sequence[int]]
Gangs = list[list[int]]
PLENTY = 1_000


class Kind(NamedTuple):
    """A class of alike jobs: so many gangs of one size, and what one is worth in each pool."""

    size: int
    gangs: int
    value: Sequence[int]
    team: int = 0
    reservation: int = -1
    bonus: int = 0
    stay: Sequence[int] | None = None
    most: Sequence[int] | None = None


class Reserved(NamedTuple):
    """A reservation: its devices, the pools they are in, and what each one short costs."""

    devices: int
    pools: Sequence[int]
    penalty: int


def posed(
    capacity: Sequence[int],
    *kinds: Kind,
    limits: Sequence[int] = (-1,),
    steps: Sequence[Sequence[tuple[int, int]]] | None = None,
    reserved: Sequence[Reserved] = (),
) -> AllocationProblem:
    """Build a problem; teams are as many as `limits`, each step is a width and a value."""
    pools = len(capacity)
    flat: list[list[tuple[int, int]]] = [[]] * len(limits)
    curves = flat if steps is None else steps
    count = len(curves[0]) if curves else 0
    scopes = [[pool in r.pools for pool in range(pools)] for r in reserved]
    return AllocationProblem(
        pool_capacity_devices=np.array(capacity, np.int64),
        class_gang_devices=np.array([k.size for k in kinds], np.int64),
        class_gangs=np.array([k.gangs for k in kinds], np.int64),
        class_value=_rows([k.value for k in kinds], pools),
        stay_gangs=_rows([k.stay or [0] * pools for k in kinds], pools),
        class_stay_bonus=np.array([k.bonus for k in kinds], np.int64),
        class_max_gangs=_rows([k.most or [PLENTY] * pools for k in kinds], pools),
        class_team=np.array([k.team for k in kinds], np.int64),
        team_limit_devices=np.array(limits, np.int64),
        team_step_devices=_rows([[width for width, _ in curve] for curve in curves], count),
        team_step_value=_rows([[value for _, value in curve] for curve in curves], count),
        class_reservation=np.array([k.reservation for k in kinds], np.int64),
        reservation_devices=np.array([r.devices for r in reserved], np.int64),
        reservation_pools=np.array(scopes, np.bool_).reshape(len(reserved), pools),
        reservation_penalty=np.array([r.penalty for r in reserved], np.int64),
    )


def _rows(rows: Sequence[Sequence[int]], width: int) -> IntArray:
    return np.array(rows, np.int64).reshape(len(rows), width)


def worth(problem: AllocationProblem, gangs: Gangs) -> int | None:
    """Return what an allocation is worth, or None where it breaks a limit."""
    if not _keeps_limits(problem, gangs):
        return None
    total = 0
    for cls, row in enumerate(gangs):
        for pool, count in enumerate(row):
            stay = min(count, int(problem.stay_gangs[cls, pool]))
            total += count * int(problem.class_value[cls, pool])
            total += stay * int(problem.class_stay_bonus[cls])
    for team, devices in enumerate(_of_teams(problem, gangs)):
        widths, values = problem.team_step_devices[team], problem.team_step_value[team]
        left = devices
        for width, value in zip(widths.tolist(), values.tolist(), strict=True):
            total += min(left, width) * value
            left -= min(left, width)
    return total - sum(
        lack * int(problem.reservation_penalty[index])
        for index, lack in enumerate(shortages(problem, gangs))
    )


def shortages(problem: AllocationProblem, gangs: Gangs) -> list[int]:
    """Return by how many devices each reservation is short of what it is due."""
    lacks: list[int] = []
    for index, devices in enumerate(problem.reservation_devices.tolist()):
        wanted, has = 0, 0
        for cls, row in enumerate(gangs):
            if problem.class_reservation[cls] != index:
                continue
            size = int(problem.class_gang_devices[cls])
            wanted += size * int(problem.class_gangs[cls])
            inside = problem.reservation_pools[index].tolist()
            has += size * sum(n for n, counts in zip(row, inside, strict=True) if counts)
        lacks.append(max(0, min(devices, wanted) - has))
    return lacks


def _of_teams(problem: AllocationProblem, gangs: Gangs) -> list[int]:
    used = [0] * len(problem.team_limit_devices)
    for cls, row in enumerate(gangs):
        used[int(problem.class_team[cls])] += sum(row) * int(problem.class_gang_devices[cls])
    return used


def _keeps_limits(problem: AllocationProblem, gangs: Gangs) -> bool:
    sizes = problem.class_gang_devices.tolist()
    for pool, capacity in enumerate(problem.pool_capacity_devices.tolist()):
        if sum(row[pool] * size for row, size in zip(gangs, sizes, strict=True)) > capacity:
            return False
    for cls, row in enumerate(gangs):
        if sum(row) > problem.class_gangs[cls] or min(row) < 0:
            return False
        for pool, count in enumerate(row):
            may = problem.class_value[cls, pool] >= 0
            if count > (problem.class_max_gangs[cls, pool] if may else 0):
                return False
    used = _of_teams(problem, gangs)
    limits = problem.team_limit_devices.tolist()
    return all(limit < 0 or n <= limit for n, limit in zip(used, limits, strict=True))


def best_worth(problem: AllocationProblem) -> int:
    """Return what the best allocation is worth, by trying all."""
    tried = (worth(problem, gangs) for gangs in _every(problem))
    return max(value for value in tried if value is not None)


def _every(problem: AllocationProblem) -> Iterator[Gangs]:
    pools = len(problem.pool_capacity_devices)
    rows = [
        [list(row) for row in product(range(gangs + 1), repeat=pools) if sum(row) <= gangs]
        for gangs in problem.class_gangs.tolist()
    ]
    for chosen in product(*rows):
        yield list(chosen)


few = st.integers(0, 3)


@st.composite
def small_problems(draw: st.DrawFn) -> AllocationProblem:
    """One to three classes, one or two pools, two teams, up to two reservations: all can be tried.

    What runs now fits, as it does in an engine.
    """
    pools = draw(st.integers(1, 2))

    def each(strategy: st.SearchStrategy[int]) -> st.SearchStrategy[list[int]]:
        return st.lists(strategy, min_size=pools, max_size=pools)

    reserved = draw(
        st.lists(
            st.builds(
                Reserved,
                st.integers(0, 12),
                st.lists(st.integers(0, pools - 1), max_size=pools),
                st.integers(0, 60),
            ),
            max_size=2,
        )
    )
    kinds = draw(
        st.lists(
            st.builds(
                Kind,
                size=st.integers(1, 5),
                gangs=few,
                value=each(st.integers(-1, 30)),
                team=st.integers(0, 1),
                reservation=st.integers(-1, len(reserved) - 1),
                bonus=st.integers(0, 9),
                stay=each(st.integers(0, 2)),
                most=each(few),
            ),
            min_size=1,
            max_size=3,
        )
    )
    steps = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=2, max_size=2)
    return posed(
        draw(each(st.integers(0, 12))),
        *kinds,
        limits=draw(st.lists(st.integers(-1, 12), min_size=2, max_size=2)),
        steps=[sorted(draw(steps), key=_value, reverse=True) for _ in range(2)],
        reserved=reserved,
    )


def _value(step: tuple[int, int]) -> int:
    return step[1]


@st.composite
def any_prices(draw: st.DrawFn, problem: AllocationProblem) -> Prices:
    """Prices that a solver might have been told: even negative ones, or above every penalty."""

    def some(count: int) -> IntArray:
        price = st.integers(-5_000_000, 80_000_000)
        return np.array(draw(st.lists(price, min_size=count, max_size=count)), np.int64)

    teams = len(problem.team_limit_devices)
    pools, reservations = len(problem.pool_capacity_devices), len(problem.reservation_devices)
    return Prices(some(pools), some(teams), some(reservations), some(teams))


def drawn(seed: int, classes: int = 120, pools: int = 9, teams: int = 6) -> AllocationProblem:
    """Return a problem of middle size: demand half above capacity, every rule binding somewhere."""
    chance = np.random.default_rng(seed)
    kinds: list[Kind] = []
    capacity = chance.integers(40, 120, pools)
    free = capacity.copy()
    for _ in range(classes):
        size, gangs = int(chance.choice([1, 2, 4, 8, 16, 32])), int(chance.integers(1, 6))
        value = size * chance.integers(1, 40, pools) * chance.choice([-1, 1, 1], pools)
        pool = int(chance.integers(0, pools))
        stays = min(gangs, int(free[pool]) // size) if value[pool] > 0 else 0
        free[pool] -= stays * size
        kinds.append(
            Kind(
                size,
                gangs,
                np.maximum(value, -1).tolist(),
                team=int(chance.integers(0, teams)),
                reservation=int(chance.integers(-1, 2)),
                bonus=size * int(chance.integers(0, 5)),
                stay=[stays if p == pool else 0 for p in range(pools)],
                most=chance.integers(0, 5, pools).tolist(),
            )
        )
    return posed(
        capacity.tolist(),
        *kinds,
        limits=[int(n) for n in chance.choice([-1, 80, 150], teams)],
        steps=[[(20, 9), (40, 3)]] * teams,
        reserved=[Reserved(150, range(pools), 160), Reserved(90, range(pools // 2), 160)],
    )
