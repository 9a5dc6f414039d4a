# SPDX-License-Identifier: Apache-2.0
"""The model of an allocation as a matrix, which the linear program and the repair both solve.

Rows come in blocks, one function per rule. Columns, in this order: gangs that come, per (class,
pool) cell taken up; gangs that stay, per such cell where some run; devices short per reservation;
devices inside each step per team.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from solvers.allocation.problem import (
    AllocationProblem,
    BoolArray,
    IntArray,
    reserved_use,
    team_use,
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Columns:
    """Class and pool of the columns of gangs, as parallel arrays; the last `stays` of them stay."""

    cls: IntArray
    pool: IntArray
    stays: int
    shorts: int
    steps: int

    @property
    def gangs(self) -> int:
        """How many columns are of gangs."""
        return len(self.cls)

    @property
    def come(self) -> int:
        """How many of them are of gangs that come: the first ones."""
        return self.gangs - self.stays

    @property
    def count(self) -> int:
        """How many columns there are."""
        return self.gangs + self.shorts + self.steps

    def gangs_in(self, values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        """Return the gangs per cell that column values say, float64[C, P]."""
        gangs = np.zeros(shape)
        np.add.at(gangs, (self.cls, self.pool), values[: self.gangs])
        return gangs


@dataclass(frozen=True, slots=True)
class Program:
    """Maximise worth.x over row_lower <= matrix.x <= row_upper and 0 <= x <= most.

    `parts` are where the rows of pools, classes, team limits, reservations and team steps end.
    """

    columns: Columns
    matrix: Any  # a scipy csr_matrix of float64; scipy has no types
    row_lower: FloatArray
    row_upper: FloatArray
    most: FloatArray
    worth: FloatArray
    parts: tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class _Block:
    """Rows of one rule: sparse entries and the bounds of each row."""

    rows: IntArray
    columns: IntArray
    values: FloatArray
    lower: FloatArray
    upper: FloatArray


def program(problem: AllocationProblem, cells: BoolArray) -> Program:
    """Return the model over the cells marked in bool[C, P]."""
    columns = _columns(problem, cells)
    blocks = (
        _capacity(problem, columns),
        _gang_count(problem, columns),
        _team_limit(problem, columns),
        _reservation(problem, columns),
        _team_steps(problem, columns),
    )
    starts = np.cumsum([0, *(len(b.lower) for b in blocks)]).tolist()
    rows = [b.rows + start for b, start in zip(blocks, starts[:-1], strict=True)]
    entries = np.concatenate(rows), np.concatenate([b.columns for b in blocks])
    return Program(
        columns,
        sparse.csr_matrix(
            (np.concatenate([b.values for b in blocks]), entries), (starts[-1], columns.count)
        ),
        np.concatenate([b.lower for b in blocks]),
        np.concatenate([b.upper for b in blocks]),
        _most(problem, columns),
        _worth(problem, columns),
        tuple(slice(start, end) for start, end in pairwise(starts)),
    )


def column_values(problem: AllocationProblem, columns: Columns, gangs: IntArray) -> IntArray:
    """Return what an allocation over these cells sets each column to, int64[columns.count]."""
    stay = np.minimum(gangs, problem.stay_gangs)
    values = (gangs - stay)[columns.cls, columns.pool]
    values[columns.come :] = stay[columns.cls[columns.come :], columns.pool[columns.come :]]
    short = np.maximum(problem.reserved_demand() - reserved_use(problem, gangs), 0)
    before = np.cumsum(problem.team_step_devices, axis=1) - problem.team_step_devices
    inside = np.clip(team_use(problem, gangs)[:, None] - before, 0, problem.team_step_devices)
    return np.concatenate([values, short, inside.ravel()])


def _columns(problem: AllocationProblem, cells: BoolArray) -> Columns:
    cls, pool = np.nonzero(cells)
    stays = np.flatnonzero(problem.stay_gangs[cls, pool])
    return Columns(
        np.concatenate([cls, cls[stays]]),
        np.concatenate([pool, pool[stays]]),
        len(stays),
        len(problem.reservation_devices),
        problem.team_step_devices.size,
    )


def _most(problem: AllocationProblem, columns: Columns) -> FloatArray:
    most = np.minimum(problem.class_max_gangs, problem.class_gangs[:, None])
    stay = np.minimum(problem.stay_gangs, most)
    come = columns.come
    upper = (most - stay)[columns.cls, columns.pool]
    upper[come:] = stay[columns.cls[come:], columns.pool[come:]]
    steps = problem.team_step_devices.ravel()
    return np.concatenate([upper, problem.reserved_demand(), steps]).astype(np.float64)


def _worth(problem: AllocationProblem, columns: Columns) -> FloatArray:
    value = problem.class_value[columns.cls, columns.pool]
    come = columns.come
    value[come:] += problem.class_stay_bonus[columns.cls[come:]]
    steps = problem.team_step_value.ravel()
    return np.concatenate([value, -problem.reservation_penalty, steps]).astype(np.float64)


def _capacity(problem: AllocationProblem, columns: Columns) -> _Block:
    """Devices used in a pool are at most those there."""
    return _Block(
        columns.pool,
        np.arange(columns.gangs),
        problem.class_gang_devices[columns.cls].astype(np.float64),
        np.full(len(problem.pool_capacity_devices), -np.inf),
        problem.pool_capacity_devices.astype(np.float64),
    )


def _gang_count(problem: AllocationProblem, columns: Columns) -> _Block:
    """A class runs at most as many gangs as want to run."""
    return _Block(
        columns.cls,
        np.arange(columns.gangs),
        np.ones(columns.gangs),
        np.full(len(problem.class_gangs), -np.inf),
        problem.class_gangs.astype(np.float64),
    )


def _team_limit(problem: AllocationProblem, columns: Columns) -> _Block:
    """A team uses at most its limit."""
    team = problem.class_team[columns.cls]
    picked = np.flatnonzero(problem.team_limit_devices[team] >= 0)
    limit = problem.team_limit_devices.astype(np.float64)
    return _Block(
        team[picked],
        picked,
        problem.class_gang_devices[columns.cls[picked]].astype(np.float64),
        np.full(len(limit), -np.inf),
        np.where(limit < 0, np.inf, limit),
    )


def _reservation(problem: AllocationProblem, columns: Columns) -> _Block:
    """What counts for a reservation, and what it is short of, is at least what it should have."""
    picked = np.flatnonzero(problem.counts_for_reservation()[columns.cls, columns.pool])
    short = np.arange(columns.shorts)
    gang = problem.class_gang_devices[columns.cls[picked]].astype(np.float64)
    return _Block(
        np.concatenate([problem.class_reservation[columns.cls[picked]], short]),
        np.concatenate([picked, columns.gangs + short]),
        np.concatenate([gang, np.ones(columns.shorts)]),
        problem.reserved_demand().astype(np.float64),
        np.full(columns.shorts, np.inf),
    )


def _team_steps(problem: AllocationProblem, columns: Columns) -> _Block:
    """Devices inside a team's steps are at most those it uses."""
    teams, steps = (int(n) for n in problem.team_step_devices.shape)
    if not steps:
        empty = np.zeros(0, np.int64)
        free = np.full(teams, np.inf)
        return _Block(empty, empty, np.zeros(0), -free, free)
    first = columns.gangs + columns.shorts
    owner: IntArray = np.repeat(np.arange(teams, dtype=np.int64), steps)
    step: IntArray = first + np.arange(teams * steps, dtype=np.int64)
    gang = problem.class_gang_devices[columns.cls].astype(np.float64)
    return _Block(
        np.concatenate([problem.class_team[columns.cls], owner]),
        np.concatenate([np.arange(columns.gangs), step]),
        np.concatenate([-gang, np.ones(teams * steps)]),
        np.full(teams, -np.inf),
        np.zeros(teams),
    )
