# SPDX-License-Identifier: Apache-2.0
"""The linear program behind an allocation, built from arrays and solved by GLOP.

Rows come in blocks, one function per rule. Columns: gangs that stay and gangs that come, per
(class, pool) cell taken up; devices short per reservation; devices inside each step per team.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ortools.linear_solver.python import model_builder_helper as mbh
from scipy import sparse

from schemas.errors import InternalError
from solvers.allocation.problem import PRICE_SCALE, AllocationProblem, IntArray, Prices

FloatArray = NDArray[np.float64]

_PARAMETERS = "use_dual_simplex: true use_preprocessing: false"


@dataclass(frozen=True, slots=True)
class Relaxed:
    """An optimum of the linear program over some columns.

    Fractional gangs per cell [C, P], and prices.
    """

    gangs: FloatArray
    prices: Prices
    objective: float


@dataclass(frozen=True, slots=True)
class _Columns:
    """Cells taken up, as parallel arrays.

    Columns are stays, arrivals, short, steps, in this order.
    """

    cls: IntArray
    pool: IntArray
    shorts: int
    steps: int

    @property
    def count(self) -> int:
        return 2 * len(self.cls) + self.shorts + self.steps


@dataclass(frozen=True, slots=True)
class _Block:
    """Rows of one rule: sparse entries and the bounds of each row."""

    rows: IntArray
    columns: IntArray
    values: FloatArray
    lower: FloatArray
    upper: FloatArray


def relax(problem: AllocationProblem, cells: NDArray[np.bool_]) -> Relaxed:
    """Solve the linear program over the cells marked in bool[C, P]."""
    cls, pool = np.nonzero(cells)
    columns = _Columns(cls, pool, len(problem.reservation_devices), problem.team_step_devices.size)
    blocks = (
        _capacity(problem, columns),
        _gang_count(problem, columns),
        _team_limit(problem, columns),
        _reservation(problem, columns),
        _team_steps(problem, columns),
    )
    starts = np.cumsum([0, *(len(b.lower) for b in blocks)])
    matrix = sparse.csr_matrix(
        (
            np.concatenate([b.values for b in blocks]),
            (
                np.concatenate([b.rows + s for b, s in zip(blocks, starts[:-1], strict=True)]),
                np.concatenate([b.columns for b in blocks]),
            ),
        ),
        shape=(int(starts[-1]), columns.count),
    )
    model: Any = mbh.ModelBuilderHelper()  # its stubs misstate the arrays it takes
    model.fill_model_from_sparse_data(
        np.zeros(columns.count),
        _upper(problem, columns),
        _worth(problem, columns),
        np.concatenate([b.lower for b in blocks]),
        np.concatenate([b.upper for b in blocks]),
        matrix,
    )
    model.set_maximize(True)
    solver = mbh.ModelSolverHelper("GLOP")
    solver.set_solver_specific_parameters(_PARAMETERS)
    solver.solve(model)
    if solver.status() != mbh.SolveStatus.OPTIMAL:
        msg = f"GLOP ended with {solver.status()} on {columns.count} columns"
        raise InternalError(msg)
    return _relaxed(problem, columns, solver, starts)


def _relaxed(
    problem: AllocationProblem,
    columns: _Columns,
    solver: mbh.ModelSolverHelper,
    starts: NDArray[np.intp],
) -> Relaxed:
    values = np.asarray(solver.variable_values())
    duals = np.asarray(solver.dual_values())
    cells = len(columns.cls)
    gangs = np.zeros(problem.class_value.shape)
    gangs[columns.cls, columns.pool] = values[:cells] + values[cells : 2 * cells]
    part = [duals[a:b] for a, b in pairwise(starts)]
    prices = Prices(_price(part[0]), _price(part[2]), _price(-part[3]), _price(part[4]))
    return Relaxed(np.maximum(gangs, 0), prices, float(solver.objective_value()))


def _price(duals: FloatArray) -> IntArray:
    return np.maximum(np.rint(duals * PRICE_SCALE), 0).astype(np.int64)


def _upper(problem: AllocationProblem, columns: _Columns) -> FloatArray:
    most = np.minimum(problem.class_max_gangs, problem.class_gangs[:, None])
    most = most[columns.cls, columns.pool]
    stay = np.minimum(problem.stay_gangs[columns.cls, columns.pool], most)
    short = np.full(columns.shorts, np.inf)
    steps = problem.team_step_devices.ravel()
    return np.concatenate([stay, most - stay, short, steps]).astype(np.float64)


def _worth(problem: AllocationProblem, columns: _Columns) -> FloatArray:
    value = problem.class_value[columns.cls, columns.pool]
    stay = value + problem.class_stay_bonus[columns.cls]
    short = -problem.reservation_penalty
    steps = problem.team_step_value.ravel()
    return np.concatenate([stay, value, short, steps]).astype(np.float64)


def _both(columns: _Columns, picked: IntArray | None = None) -> IntArray:
    """Return the column numbers of stays and arrivals of the picked cells."""
    cells = len(columns.cls)
    index = np.arange(cells) if picked is None else picked
    return np.concatenate([index, index + cells])


def _twice(values: IntArray) -> FloatArray:
    return np.concatenate([values, values]).astype(np.float64)


def _capacity(problem: AllocationProblem, columns: _Columns) -> _Block:
    """Devices used in a pool are at most those there."""
    pools = len(problem.pool_capacity_devices)
    gang = problem.class_gang_devices[columns.cls]
    return _Block(
        np.concatenate([columns.pool, columns.pool]),
        _both(columns),
        _twice(gang),
        np.full(pools, -np.inf),
        problem.pool_capacity_devices.astype(np.float64),
    )


def _gang_count(problem: AllocationProblem, columns: _Columns) -> _Block:
    """A class runs at most as many gangs as want to run."""
    return _Block(
        np.concatenate([columns.cls, columns.cls]),
        _both(columns),
        np.ones(2 * len(columns.cls)),
        np.full(len(problem.class_gangs), -np.inf),
        problem.class_gangs.astype(np.float64),
    )


def _team_limit(problem: AllocationProblem, columns: _Columns) -> _Block:
    """A team uses at most its limit."""
    team = problem.class_team[columns.cls]
    picked = np.flatnonzero(problem.team_limit_devices[team] >= 0)
    limit = problem.team_limit_devices.astype(np.float64)
    return _Block(
        np.concatenate([team[picked], team[picked]]),
        _both(columns, picked),
        _twice(problem.class_gang_devices[columns.cls][picked]),
        np.full(len(limit), -np.inf),
        np.where(limit < 0, np.inf, limit),
    )


def _reservation(problem: AllocationProblem, columns: _Columns) -> _Block:
    """What counts for a reservation, and what it is short of, is at least what it should have."""
    index = problem.class_reservation[columns.cls]
    inside = (
        (index >= 0) & problem.reservation_pools[np.maximum(index, 0), columns.pool]
        if (columns.shorts)
        else np.zeros(len(index), np.bool_)
    )
    picked = np.flatnonzero(inside)
    short = np.arange(columns.shorts)
    return _Block(
        np.concatenate([index[picked], index[picked], short]),
        np.concatenate([_both(columns, picked), 2 * len(columns.cls) + short]),
        np.concatenate(
            [_twice(problem.class_gang_devices[columns.cls][picked]), np.ones(columns.shorts)]
        ),
        problem.reserved_demand().astype(np.float64),
        np.full(columns.shorts, np.inf),
    )


def _team_steps(problem: AllocationProblem, columns: _Columns) -> _Block:
    """Devices inside a team's steps are at most those it uses."""
    teams, steps = (int(n) for n in problem.team_step_devices.shape)
    if not steps:
        empty = np.zeros(0, np.int64)
        free = np.full(teams, np.inf)
        return _Block(empty, empty, np.zeros(0), -free, free)
    team = problem.class_team[columns.cls]
    first = 2 * len(columns.cls) + columns.shorts
    owner: IntArray = np.repeat(np.arange(teams, dtype=np.int64), steps)
    step: IntArray = first + np.arange(teams * steps, dtype=np.int64)
    gang = problem.class_gang_devices[columns.cls]
    return _Block(
        np.concatenate([team, team, owner]),
        np.concatenate([_both(columns), step]),
        np.concatenate([-_twice(gang), np.ones(teams * steps)]),
        np.full(teams, -np.inf),
        np.zeros(teams),
    )
