# SPDX-License-Identifier: Apache-2.0
"""Repair by CP-SAT.

The cells where rounding hurt most are decided again, exactly, with all else fixed.

One worker, a fixed seed and a limit in deterministic time, so equal problems give equal repairs.
"""

from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from solvers.allocation.bound import reduced_values
from solvers.allocation.linear import FloatArray
from solvers.allocation.problem import (
    AllocationLimits,
    AllocationProblem,
    IntArray,
    Prices,
    objective,
)
from solvers.allocation.rounding import remaining

_MOVED = 1e-6
"""Below it, a difference from the linear program is its arithmetic."""


def repair(
    problem: AllocationProblem,
    gangs: IntArray,
    fractional: FloatArray,
    prices: Prices,
    limits: AllocationLimits,
) -> IntArray:
    """Return an allocation at least as good as `gangs`."""
    cls, pool = _loose_cells(problem, gangs, fractional, prices, limits.repair_cells)
    if not len(cls):
        return gangs
    fixed = gangs.copy()
    fixed[cls, pool] = 0
    model = cp_model.CpModel()
    pool_left, team_left, class_left = remaining(problem, fixed)
    most = np.minimum(problem.class_max_gangs[cls, pool], class_left[cls])
    gang = problem.class_gang_devices[cls]
    most = np.minimum(most, pool_left[pool] // gang)
    variables = [model.new_int_var(0, int(top), "") for top in most.tolist()]
    _rows(model, variables, pool, gang, pool_left)
    _rows(model, variables, cls, np.ones_like(gang), class_left)
    _rows(model, variables, problem.class_team[cls], gang, team_left)
    terms = problem.class_value[cls, pool] + _reserved_worth(problem, cls, pool)
    model.maximize(_weighted(variables, terms))
    for variable, hint in zip(variables, gangs[cls, pool].tolist(), strict=True):
        model.add_hint(variable, hint)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = limits.seed
    solver.parameters.max_deterministic_time = limits.deterministic_effort
    if solver.solve(model) not in {cp_model.OPTIMAL, cp_model.FEASIBLE}:
        return gangs
    fixed[cls, pool] = [solver.value(variable) for variable in variables]
    return fixed if objective(problem, fixed) > objective(problem, gangs) else gangs


def _weighted(variables: list[cp_model.IntVar], weight: IntArray) -> cp_model.LinearExpr:
    expression: Any = cp_model.LinearExpr  # its stubs leave the weights' type open
    total: cp_model.LinearExpr = expression.weighted_sum(variables, weight.tolist())
    return total


def _rows(
    model: cp_model.CpModel,
    variables: list[cp_model.IntVar],
    row: IntArray,
    weight: IntArray,
    capacity: IntArray,
) -> None:
    for index in np.unique(row).tolist():
        picked = np.flatnonzero(row == index)
        terms = _weighted([variables[i] for i in picked.tolist()], weight[picked])
        model.add(terms <= int(capacity[index]))


def _loose_cells(
    problem: AllocationProblem,
    gangs: IntArray,
    fractional: FloatArray,
    prices: Prices,
    most: int,
) -> tuple[IntArray, IntArray]:
    """Return the cells to decide again.

    Where rounding moved away from the linear program, best reduced value first.
    """
    moved = np.abs(gangs - fractional) > _MOVED
    short = (gangs.sum(axis=1) < problem.class_gangs)[:, None]
    reduced = reduced_values(problem, prices)
    open_cells = problem.allowed() & (moved | (short & (reduced >= 0)))
    cls, pool = np.nonzero(open_cells)
    order = np.lexsort((pool, cls, -np.abs(gangs - fractional)[cls, pool]))[:most]
    return cls[order], pool[order]


def _reserved_worth(problem: AllocationProblem, cls: IntArray, pool: IntArray) -> IntArray:
    """Return what a gang adds by filling a reservation that is short; 0 where none is."""
    index = problem.class_reservation[cls]
    if not len(problem.reservation_devices):
        return np.zeros(len(cls), np.int64)
    inside = (index >= 0) & problem.reservation_pools[np.maximum(index, 0), pool]
    worth = problem.reservation_penalty[np.maximum(index, 0)] * problem.class_gang_devices[cls]
    return np.where(inside, worth, 0)
