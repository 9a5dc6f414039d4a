# SPDX-License-Identifier: Apache-2.0
"""The allocation problem and its answer, as values over arrays.

P pools (a SKU in a cluster), C classes of alike jobs, T teams, R reservations. All amounts are
integers; `docs/optimisation-model.md` has the model in mathematics.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from schemas.errors import InternalError

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

PRICE_SCALE = 1_000_000
"""Prices are integers in millionths of a value unit per device."""


class AllocationError(InternalError):
    """An allocation breaks its own problem; the message names the row and by how much."""


@dataclass(frozen=True, slots=True)
class AllocationProblem:
    """What is to be allocated. Arrays are read only.

    `class_value[c, p]` is the value of one gang of class c running in pool p, negative where it may
    not. `stay_gangs[c, p]` run there now, and `class_stay_bonus[c]` is added for each that is kept.
    At most `class_max_gangs[c, p]` fit by node shape. `class_reservation` is -1 for none,
    `team_limit_devices` -1 for none. A team earns `team_step_value[t, s]` per device inside its
    s-th step of `team_step_devices[t, s]`, non-increasing in s. Each device short of
    min(reservation, its demand) costs `reservation_penalty`.
    """

    pool_capacity_devices: IntArray  # [P]
    class_gang_devices: IntArray  # [C]
    class_gangs: IntArray  # [C]
    class_value: IntArray  # [C, P]
    stay_gangs: IntArray  # [C, P]
    class_stay_bonus: IntArray  # [C]
    class_max_gangs: IntArray  # [C, P]
    class_team: IntArray  # [C]
    team_limit_devices: IntArray  # [T]
    team_step_devices: IntArray  # [T, S]
    team_step_value: IntArray  # [T, S]
    class_reservation: IntArray  # [C]
    reservation_devices: IntArray  # [R]
    reservation_pools: BoolArray  # [R, P]
    reservation_penalty: IntArray  # [R]

    def reserved_demand(self) -> IntArray:
        """Return min(reservation, demand of its classes), int64[R]."""
        demand = np.zeros(len(self.reservation_devices), np.int64)
        has = self.class_reservation >= 0
        np.add.at(
            demand, self.class_reservation[has], (self.class_gangs * self.class_gang_devices)[has]
        )
        return np.minimum(demand, self.reservation_devices)

    def counts_for_reservation(self) -> BoolArray:
        """Return where a class's gangs count for its reservation, bool[C, P]."""
        has = self.class_reservation >= 0
        counts = np.zeros(self.class_value.shape, np.bool_)
        counts[has] = self.reservation_pools[self.class_reservation[has]]
        return counts

    def allowed(self) -> BoolArray:
        """Return where a class may run at all, bool[C, P]."""
        return (self.class_value >= 0) & (self.class_max_gangs > 0)


@dataclass(frozen=True, slots=True)
class AllocationLimits:
    """How hard to try. Limits are deterministic: never the clock.

    `deterministic_effort` is CP-SAT's deterministic time for the repair; `repair_cells` the most
    (class, pool) cells it may change; `dense_cells` the size up to which the linear program takes
    all cells at once. Beyond it, `columns_per_class` are added a round, for `rounds` at most (at
    least one).
    """

    seed: int = 0
    deterministic_effort: float = 0.05
    gap_target_ppm: int = 2_500
    repair_cells: int = 300
    dense_cells: int = 120_000
    columns_per_class: int = 6
    rounds: int = 12


class AllocationReason(StrEnum):
    """Why solving ended."""

    NOTHING_TO_PLACE = "nothing_to_place"
    WITHIN_TARGET = "within_target"
    LIMIT_REACHED = "limit_reached"


@dataclass(frozen=True, slots=True)
class Prices:
    """Dual prices in millionths of a value unit per device.

    Of pools [P], team limits [T], reservations [R], team steps [T].
    """

    pool: IntArray
    team: IntArray
    reservation: IntArray
    step: IntArray

    @staticmethod
    def zero(problem: AllocationProblem) -> "Prices":
        """Return the prices under which everything is free."""
        teams = len(problem.team_limit_devices)
        return Prices(
            np.zeros(len(problem.pool_capacity_devices), np.int64),
            np.zeros(teams, np.int64),
            np.zeros(len(problem.reservation_devices), np.int64),
            np.zeros(teams, np.int64),
        )


@dataclass(frozen=True, slots=True)
class Allocation:
    """Whole gangs per class and pool, int64[C, P], with the certificate.

    Objective <= any allocation's <= bound.
    """

    gangs: IntArray
    objective: int
    bound: int
    gap_ppm: int
    reason: AllocationReason
    prices: Prices
    columns: int
    rounds: int


def team_use(problem: AllocationProblem, gangs: IntArray) -> IntArray:
    """Return the devices each team uses, int64[T]."""
    use = np.zeros(len(problem.team_limit_devices), np.int64)
    np.add.at(use, problem.class_team, gangs.sum(axis=1) * problem.class_gang_devices)
    return use


def reserved_use(problem: AllocationProblem, gangs: IntArray) -> IntArray:
    """Return the devices that count for each reservation, int64[R]."""
    use = np.zeros(len(problem.reservation_devices), np.int64)
    has = np.flatnonzero(problem.class_reservation >= 0)
    index = problem.class_reservation[has]
    inside = (gangs[has] * problem.reservation_pools[index]).sum(axis=1)
    np.add.at(use, index, inside * problem.class_gang_devices[has])
    return use


def objective(problem: AllocationProblem, gangs: IntArray) -> int:
    """Return the exact integer value of an allocation.

    Raises `AllocationError` where it breaks a row.
    """
    _check(problem, gangs)
    value = (gangs * np.maximum(problem.class_value, 0)).sum(axis=1)
    kept = np.minimum(gangs, problem.stay_gangs).sum(axis=1) * problem.class_stay_bonus
    use = team_use(problem, gangs)
    before = np.cumsum(problem.team_step_devices, axis=1) - problem.team_step_devices
    inside = np.clip(use[:, None] - before, 0, problem.team_step_devices)
    steps = (inside * problem.team_step_value).sum(axis=1)
    short = np.maximum(problem.reserved_demand() - reserved_use(problem, gangs), 0)
    penalty = short * problem.reservation_penalty
    parts: list[int] = [*value.tolist(), *kept.tolist(), *steps.tolist()]
    costs: list[int] = penalty.tolist()
    return sum(parts) - sum(costs)  # Python integers: no sum can overflow


def _check(problem: AllocationProblem, gangs: IntArray) -> None:
    used = (gangs * problem.class_gang_devices[:, None]).sum(axis=0)
    limit = np.where(problem.team_limit_devices < 0, np.int64(2**62), problem.team_limit_devices)
    most = np.where(problem.class_value >= 0, problem.class_max_gangs, 0)
    for name, over in (
        ("pool capacity", used - problem.pool_capacity_devices),
        ("gangs of class", gangs.sum(axis=1) - problem.class_gangs),
        ("team limit", team_use(problem, gangs) - limit),
        ("class in pool", (gangs - most).max(axis=1, initial=0)),
        ("negative gangs of class", (-gangs).max(axis=1, initial=0)),
    ):
        worst = int(np.argmax(over)) if len(over) else -1
        if worst >= 0 and over[worst] > 0:
            msg = f"{name} {worst} is exceeded by {int(over[worst])}"
            raise AllocationError(msg)
