# SPDX-License-Identifier: Apache-2.0
"""What the rest of a shared device is worth, from the sizes of shares that arrive.

Packing shares onto fewest devices is the cutting-stock problem. The duals of its linear program
(Gilmore and Gomory, Operations Research 1961) price each size in devices: what it takes once those
that fit together are put together. What is left of a device is worth the dearest set of shares that
fits into it, so a share should go where that worth falls by no more than the share's own price.
"""

from typing import Any

import numpy as np
from numba import njit
from ortools.linear_solver.python import model_builder_helper as mbh
from scipy import sparse

from schemas.errors import InternalError
from solvers.packing.nodes import DEVICE_MILLI, IntArray

_SCALE = 1_000_000_000
"""Prices are integers in billionths of a device while columns are generated."""
_TOLERANCE = 1_000
_MAX_COLUMNS = 500
"""So many patterns at most; real mixes need about three for each size."""

MICRO = 1_000_000


def worth_of_rest(sizes: IntArray, counts: IntArray) -> IntArray:
    """Return what so many thousandths left of a device are worth, int64[1001], in millionths.

    `sizes` int64[S] rise, below 1000; `counts` int64[S] say how often each arrives. An idle device
    is worth one; without any share nothing is worth anything but an idle device.
    """
    if not len(sizes):
        worth = np.zeros(DEVICE_MILLI + 1, np.int64)
    else:
        worth, _ = _best_fillings(sizes, _share_prices(sizes, counts))
    worth = np.minimum(worth * MICRO // _SCALE, MICRO)
    worth[DEVICE_MILLI] = MICRO
    return worth


def _share_prices(sizes: IntArray, counts: IntArray) -> IntArray:
    """Return the price of each size, generating the patterns that the linear program needs."""
    patterns = list(np.diag(DEVICE_MILLI // sizes))
    prices = np.zeros(len(sizes), np.int64)
    for _ in range(_MAX_COLUMNS):
        prices = _duals(np.stack(patterns, axis=1), counts)
        worth, last = _best_fillings(sizes, prices)
        if worth[DEVICE_MILLI] <= _SCALE + _TOLERANCE:
            break
        patterns.append(_pattern(sizes, last))
    return prices


def _duals(patterns: IntArray, counts: IntArray) -> IntArray:
    """Return the duals of packing `counts` by fewest patterns, int64[S, P] shares of each size."""
    model: Any = mbh.ModelBuilderHelper()  # its stubs misstate the arrays it takes
    columns = patterns.shape[1]
    model.fill_model_from_sparse_data(
        np.zeros(columns),
        np.full(columns, np.inf),
        np.ones(columns),
        counts.astype(np.float64),
        np.full(len(counts), np.inf),
        sparse.csr_matrix(patterns.astype(np.float64)),
    )
    solver = mbh.ModelSolverHelper("GLOP")
    solver.solve(model)
    if solver.status() != mbh.SolveStatus.OPTIMAL:
        msg = f"GLOP ended with {solver.status()} on {columns} patterns of shares"
        raise InternalError(msg)
    duals = np.asarray(solver.dual_values())
    prices: IntArray = np.maximum(np.rint(duals * _SCALE), 0).astype(np.int64)
    return prices


def _pattern(sizes: IntArray, last: IntArray) -> IntArray:
    """Return how many shares of each size fill a whole device best."""
    pattern = np.zeros(len(sizes), np.int64)
    left = DEVICE_MILLI
    while left > 0:
        at = int(last[left])
        if at < 0:
            left -= 1
            continue
        pattern[at] += 1
        left -= int(sizes[at])
    return pattern


@njit(cache=True)
def _best_fillings(sizes: IntArray, prices: IntArray) -> tuple[IntArray, IntArray]:
    """Return the dearest filling of each number of thousandths, and the size put in last or -1."""
    worth, last = np.zeros(1001, np.int64), np.full(1001, -1, np.int64)
    for milli in range(1, 1001):
        worth[milli] = worth[milli - 1]
        for at in range(len(sizes)):
            if sizes[at] > milli:
                break
            with_it = worth[milli - sizes[at]] + prices[at]
            if with_it > worth[milli]:
                worth[milli], last[milli] = with_it, at
    return worth, last
