# SPDX-License-Identifier: Apache-2.0
"""Global allocation: how many gangs of each class run in each pool, with a certificate."""

from solvers.allocation.bound import upper_bound
from solvers.allocation.problem import (
    PRICE_SCALE,
    Allocation,
    AllocationError,
    AllocationLimits,
    AllocationProblem,
    AllocationReason,
    Prices,
    objective,
)
from solvers.allocation.solve import allocate, gap_ppm

__all__ = [
    "PRICE_SCALE",
    "Allocation",
    "AllocationError",
    "AllocationLimits",
    "AllocationProblem",
    "AllocationReason",
    "Prices",
    "allocate",
    "gap_ppm",
    "objective",
    "upper_bound",
]
