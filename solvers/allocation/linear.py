# SPDX-License-Identifier: Apache-2.0
"""The linear program behind an allocation, built from arrays and solved by GLOP."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ortools.linear_solver.python import model_builder_helper as mbh

from schemas.errors import InternalError
from solvers.allocation.problem import PRICE_SCALE, AllocationProblem, BoolArray, IntArray, Prices
from solvers.allocation.program import FloatArray, Program, program

_PARAMETERS: tuple[str, ...] = (
    "use_dual_simplex: true use_preprocessing: false perturb_costs_in_dual_simplex: true",
    "use_dual_simplex: false",
)
"""Tried in turn: the second where the first ends without an optimum.

Perturbed costs are three times faster than plain ones.
"""


@dataclass(frozen=True, slots=True)
class Relaxed:
    """An optimum of the linear program over some columns.

    Fractional gangs per cell [C, P], and prices.
    """

    gangs: FloatArray
    prices: Prices
    objective: float


def relax(problem: AllocationProblem, cells: BoolArray) -> Relaxed:
    """Solve the linear program over the cells marked in bool[C, P]."""
    model = program(problem, cells)
    solver = _solved(model)
    values = np.asarray(solver.variable_values())
    duals = np.asarray(solver.dual_values())
    pools, _, limits, reservations, steps = (duals[part] for part in model.parts)
    return Relaxed(
        np.maximum(model.columns.gangs_in(values, problem.class_value.shape), 0),
        Prices(_price(pools), _price(limits), _price(-reservations), _price(steps)),
        float(solver.objective_value()),
    )


def _solved(model: Program) -> mbh.ModelSolverHelper:
    helper: Any = mbh.ModelBuilderHelper()  # its stubs misstate the arrays it takes
    helper.fill_model_from_sparse_data(
        np.zeros(model.columns.count),
        model.most,
        model.worth,
        model.row_lower,
        model.row_upper,
        model.matrix,
    )
    helper.set_maximize(True)
    solver = mbh.ModelSolverHelper("GLOP")
    for parameters in _PARAMETERS:
        solver.set_solver_specific_parameters(parameters)
        solver.solve(helper)
        if solver.status() == mbh.SolveStatus.OPTIMAL:
            return solver
    msg = f"GLOP ended with {solver.status()} on {model.columns.count} columns"
    raise InternalError(msg)


def _price(duals: FloatArray) -> IntArray:
    return np.maximum(np.rint(duals * PRICE_SCALE), 0).astype(np.int64)
