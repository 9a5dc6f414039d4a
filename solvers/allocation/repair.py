# SPDX-License-Identifier: Apache-2.0
"""Repair by CP-SAT: cells that rounding hurt are decided again, exactly, with all else fixed.

The same model as the linear program's, over whole numbers. One worker, a fixed seed and a limit in
deterministic time, so equal problems give equal repairs.
"""

from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from schemas.errors import InternalError
from solvers.allocation.bound import reduced_values
from solvers.allocation.problem import (
    AllocationLimits,
    AllocationProblem,
    BoolArray,
    IntArray,
    Prices,
    objective,
    reserved_use,
)
from solvers.allocation.program import FloatArray, Program, column_values, program

_UNBOUNDED = 2**50
"""Beyond any amount of a row, and far enough from where CP-SAT's integers end."""


def repair(
    problem: AllocationProblem,
    gangs: IntArray,
    fractional: FloatArray,
    prices: Prices,
    limits: AllocationLimits,
) -> IntArray:
    """Return an allocation at least as good as `gangs`."""
    loose = _loose_cells(problem, gangs, fractional, prices, limits.repair_cells)
    model = program(problem, loose | (gangs > 0))
    start = column_values(problem, model.columns, gangs)
    free = np.ones(model.columns.count, np.bool_)
    free[: model.columns.gangs] = loose[model.columns.cls, model.columns.pool]
    values = _improved(model, start, free, limits)
    better = model.columns.gangs_in(values.astype(np.float64), gangs.shape).astype(np.int64)
    return better if objective(problem, better) > objective(problem, gangs) else gangs


def _improved(
    model: Program, start: IntArray, free: BoolArray, limits: AllocationLimits
) -> IntArray:
    """Return column values at least as good as `start`, changed only where `free`."""
    cp = cp_model.CpModel()
    picked = np.flatnonzero(free)
    most = model.most[picked].astype(np.int64).tolist()
    variables = [cp.new_int_var(0, top, "") for top in most]
    matrix: Any = model.matrix[:, picked]  # scipy has no types
    fixed = model.matrix @ np.where(free, 0, start)
    lower = np.maximum(model.row_lower - fixed, -_UNBOUNDED).astype(np.int64).tolist()
    upper = np.minimum(model.row_upper - fixed, _UNBOUNDED).astype(np.int64).tolist()
    for row in np.flatnonzero(np.diff(matrix.indptr)).tolist():
        entries = slice(matrix.indptr[row], matrix.indptr[row + 1])
        columns: list[int] = matrix.indices[entries].tolist()
        total = _weighted([variables[at] for at in columns], matrix.data[entries])
        cp.add_linear_constraint(total, lower[row], upper[row])
    cp.maximize(_weighted(variables, model.worth[picked]))
    for variable, value in zip(variables, start[picked].tolist(), strict=True):
        cp.add_hint(variable, value)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = limits.seed
    solver.parameters.max_deterministic_time = limits.deterministic_effort
    status = solver.solve(cp)
    if status == cp_model.MODEL_INVALID:
        msg = f"the repair is no model: {cp.validate()[:200]}"
        raise InternalError(msg)
    if status not in {cp_model.OPTIMAL, cp_model.FEASIBLE}:
        return start
    values = start.copy()
    values[picked] = [solver.value(variable) for variable in variables]
    return values


def _weighted(variables: list[cp_model.IntVar], weight: FloatArray) -> cp_model.LinearExpr:
    expression: Any = cp_model.LinearExpr  # its stubs leave the weights' type open
    total: cp_model.LinearExpr = expression.weighted_sum(
        variables, weight.astype(np.int64).tolist()
    )
    return total


def _loose_cells(
    problem: AllocationProblem,
    gangs: IntArray,
    fractional: FloatArray,
    prices: Prices,
    most: int,
) -> BoolArray:
    """Return the cells to decide again, bool[C, P].

    First those that could serve a reservation that is short, best reduced value first; then what
    runs at least reduced value and could make room; then where rounding moved most.
    """
    short = problem.reserved_demand() > reserved_use(problem, gangs)
    serving = problem.counts_for_reservation() & problem.allowed()
    serving &= np.append(short, False)[problem.class_reservation][:, None]
    reduced = reduced_values(problem, prices)
    density = reduced / problem.class_gang_devices[:, None]
    room = (gangs > 0) & ~problem.counts_for_reservation() & serving.any(axis=0)
    rank = np.where(serving, 0, np.where(room, 1, 2))
    key = np.where(serving, -density, np.where(room, density, -np.abs(gangs - fractional)))
    order = np.lexsort((key.ravel(), rank.ravel(), ~problem.allowed().ravel()))[:most]
    loose = np.zeros(gangs.size, np.bool_)
    loose[order] = True
    return loose.reshape(gangs.shape) & problem.allowed()
