# SPDX-License-Identifier: Apache-2.0
"""Why an allocation ends, and that it ends the same every time, in every process."""

import dataclasses
import os
import subprocess
import sys
from hashlib import sha256

import pytest

from solvers.allocation import (
    Allocation,
    AllocationLimits,
    AllocationProblem,
    AllocationReason,
    allocate,
)
from tests.solvers.allocation_problems import Kind, Reserved, drawn, posed, worth

LIMITS = AllocationLimits()
HARD = AllocationLimits(gap_target_ppm=0)
SIFTING = AllocationLimits(dense_cells=0)
KNAPSACK = Kind(7, 1, [70]), Kind(6, 1, [58]), Kind(4, 1, [38])
NARROW = AllocationLimits(dense_cells=0, columns_per_class=1)


def written(solved: Allocation) -> str:
    """Return the digest of everything that an allocation says."""
    hashed = sha256(repr((solved.objective, solved.bound, solved.reason, solved.rounds)).encode())
    prices = solved.prices
    for array in (solved.gangs, prices.pool, prices.team, prices.reservation, prices.step):
        hashed.update(array.tobytes())
    return hashed.hexdigest()


def knapsack() -> AllocationProblem:
    """Return one whose linear program ends between whole numbers: ten devices, odd gangs."""
    return posed([10], *KNAPSACK)


def test_nothing_to_place_is_said_so() -> None:
    """No class, no pool, or no place where one may run: worth nothing, and proven."""
    for problem in (posed([]), posed([8]), posed([8], Kind(1, 3, [-1]))):
        solved = allocate(problem, LIMITS)
        assert solved.reason is AllocationReason.NOTHING_TO_PLACE
        assert solved.objective == solved.bound == 0


def test_within_the_target_it_stops() -> None:
    """The gap is what the certificate says, in parts of a million of the bound."""
    solved = allocate(posed([8], Kind(4, 3, [10])), LIMITS)
    assert (solved.reason, solved.gap_ppm) == (AllocationReason.WITHIN_TARGET, 0)
    loose = allocate(knapsack(), AllocationLimits(gap_target_ppm=1_000_000))
    assert loose.reason is AllocationReason.WITHIN_TARGET
    assert loose.gap_ppm == (loose.bound - loose.objective) * 1_000_000 // loose.bound > 0


@pytest.mark.parametrize(
    "limits",
    [
        HARD,
        dataclasses.replace(HARD, repair_cells=0),
        dataclasses.replace(HARD, deterministic_effort=0.0),
        dataclasses.replace(HARD, dense_cells=0, columns_per_class=1, rounds=1),
    ],
)
def test_a_limit_that_was_reached_is_said_so_and_the_answer_stands(
    limits: AllocationLimits,
) -> None:
    """Whatever is cut short shows in the gap; value and bound stay true."""
    solved = allocate(knapsack(), limits)
    assert solved.reason is AllocationReason.LIMIT_REACHED
    assert worth(knapsack(), solved.gangs.tolist()) == solved.objective
    assert solved.objective <= 96 <= solved.bound
    assert solved.gap_ppm > 0


def test_the_repair_finds_what_rounding_misses() -> None:
    """Six and four fill ten better than the seven that the linear program prefers."""
    without = allocate(knapsack(), dataclasses.replace(HARD, repair_cells=0))
    assert (without.objective, allocate(knapsack(), HARD).objective) == (70, 96)


def test_the_repair_changes_no_more_cells_than_it_may() -> None:
    """With one cell loose it cannot exchange two gangs for one."""
    assert allocate(knapsack(), dataclasses.replace(HARD, repair_cells=1)).objective == 70


def test_the_repair_puts_nothing_where_it_may_not_run() -> None:
    """Not even for a reservation that nothing else could serve."""
    owner = Kind(4, 1, [-1], reservation=0)
    problem = posed([10], *KNAPSACK, owner, reserved=[Reserved(4, [0], 50)])
    solved = allocate(problem, HARD)
    assert (solved.objective, solved.gangs.tolist()) == (96 - 4 * 50, [[0], [1], [1], [0]])


def test_sifting_takes_up_few_columns_and_proves_as_much() -> None:
    """Priced round by round, the bound comes within its tolerance of that over all cells."""
    problem = drawn(3)
    dense = allocate(problem, LIMITS)
    sifted = allocate(problem, NARROW)
    assert sifted.columns < dense.columns == int(problem.allowed().sum())
    assert dense.bound <= sifted.bound <= dense.bound * 1.0003
    assert sifted.rounds > dense.rounds == 1


def test_sifting_ends_with_its_rounds() -> None:
    """Fewer rounds prove less, and still prove."""
    problem = drawn(3)
    once = allocate(problem, dataclasses.replace(NARROW, rounds=1))
    often = allocate(problem, NARROW)
    assert (once.rounds, once.bound > often.bound) == (1, True)
    assert once.objective <= often.bound


def test_prices_from_before_are_where_sifting_starts() -> None:
    """From its own prices a problem is proven in one round as well as it was in all of them."""
    problem, once = drawn(3), dataclasses.replace(NARROW, rounds=1)
    cold = allocate(problem, NARROW)
    assert allocate(problem, once, cold.prices).bound <= cold.bound
    assert allocate(problem, once).bound > cold.bound


def both() -> str:
    """Solve at once and by sifting, and return the digests."""
    return " ".join(written(allocate(drawn(5), limits)) for limits in (LIMITS, SIFTING))


def test_another_process_gives_the_same_answer() -> None:
    """Gangs, bound and prices, bit by bit; the hash seed of the process does not matter."""
    said = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import both; print(both())"],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert said.stdout.split() == both().split()
