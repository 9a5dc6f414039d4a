# SPDX-License-Identifier: Apache-2.0
"""What an allocation claims: its value is its value, its bound bounds, no limit is broken."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.allocation import (
    PRICE_SCALE,
    AllocationError,
    AllocationLimits,
    AllocationProblem,
    Prices,
    allocate,
    objective,
    upper_bound,
)
from tests.solvers.allocation_problems import (
    Kind,
    Reserved,
    any_prices,
    best_worth,
    drawn,
    posed,
    shortages,
    small_problems,
    worth,
)

LIMITS = AllocationLimits()
EXACT = dataclasses.replace(LIMITS, gap_target_ppm=0)
SIFTING = dataclasses.replace(LIMITS, dense_cells=0, columns_per_class=1)


@given(small_problems(), st.sampled_from([LIMITS, SIFTING]))
def test_value_best_and_bound_come_in_this_order(
    problem: AllocationProblem, limits: AllocationLimits
) -> None:
    """Compared with trying every allocation; the value is what the rules say it is worth."""
    solved = allocate(problem, limits)
    assert solved.objective == worth(problem, solved.gangs.tolist())
    assert solved.objective <= best_worth(problem) <= solved.bound


@given(small_problems())
def test_asked_for_no_gap_a_small_problem_is_solved_to_the_best(problem: AllocationProblem) -> None:
    """The repair decides all cells of a small problem again, exactly."""
    assert allocate(problem, EXACT).objective == best_worth(problem)


@given(st.data())
def test_any_prices_bound_the_best(data: st.DataObject) -> None:
    """Weak duality holds for whatever prices were remembered, even those no solver would name."""
    problem = data.draw(small_problems())
    assert best_worth(problem) <= upper_bound(problem, data.draw(any_prices(problem)))


@pytest.mark.parametrize(
    ("pool", "team", "reservation", "expected"),
    [(-3, 0, 0, 5), (0, 9, 0, 5), (0, 0, 9, 5 - 8), (1, 0, 1, 4 + 10 - 4)],
)
def test_prices_that_no_dual_allows_are_taken_as_the_nearest_it_does(
    pool: int, team: int, reservation: int, expected: int
) -> None:
    """No pool below nothing, no charge without a limit, no reservation above its penalty.

    One gang worth 5 runs; the reservation is of pools that nobody has, and 4 devices short.
    """
    kinds = Kind(1, 1, [5]), Kind(4, 1, [-1], reservation=0)
    problem = posed([10], *kinds, reserved=[Reserved(4, [], 2)])
    given = Prices(*(np.array([n * PRICE_SCALE]) for n in (pool, team, reservation, 0)))
    assert upper_bound(problem, given) == expected
    assert best_worth(problem) == 5 - 4 * 2 <= expected


def test_the_bound_is_the_dual_worked_out_by_hand() -> None:
    """Each term once: pool, limit, step above its price, gangs at reduced value, bonus, due."""
    problem = posed(
        [10],
        Kind(2, 3, [20], bonus=7, stay=[1], reservation=0),
        limits=[5],
        steps=[[(4, 3)]],
        reserved=[Reserved(2, [0], 6)],
    )
    pool, team, reservation, step = 4, 2, 1, 1
    charge = pool + team - step - reservation
    gangs = 3 * (20 - 2 * charge) + 7
    expected = pool * 10 + team * 5 + (3 - step) * 4 - reservation * 2 + gangs
    prices = Prices(*(np.array([n * PRICE_SCALE]) for n in (pool, team, reservation, step)))
    assert upper_bound(problem, prices) == expected


def test_the_bound_knows_how_many_gangs_a_pool_takes_by_shape() -> None:
    """Three in the best pool, of which one stays; the fourth and fifth in the next; none beyond."""
    pools = [20, 12, 0]
    problem = posed([9] * 3, Kind(1, 9, pools, bonus=7, stay=[1, 1, 0], most=[3, 2, 9]))
    expected = 3 * 20 + 7 + 2 * 12 + 7
    assert upper_bound(problem, Prices.zero(problem)) == expected
    fewer = dataclasses.replace(problem, class_gangs=np.array([4]))
    assert upper_bound(fewer, Prices.zero(fewer)) == 3 * 20 + 7 + 12 + 7


@settings(max_examples=8)
@given(st.integers(0, 1_000), st.sampled_from([LIMITS, SIFTING]))
def test_gangs_are_whole_and_no_limit_is_broken(seed: int, limits: AllocationLimits) -> None:
    """On problems of middle size where every rule binds; the value is within the bound."""
    problem = drawn(seed)
    solved = allocate(problem, limits)
    assert solved.gangs.dtype == np.int64
    assert worth(problem, solved.gangs.tolist()) == solved.objective <= solved.bound


@pytest.mark.parametrize("seed", range(5))
def test_the_gap_is_small_and_reservations_are_served(seed: int) -> None:
    """Where all can be had, rounding loses neither: 120 classes, nine pools of 80 devices or so."""
    problem = drawn(seed)
    solved = allocate(problem, LIMITS)
    assert solved.gap_ppm < 15_000
    assert shortages(problem, solved.gangs.tolist()) == [0, 0]


@pytest.mark.parametrize(
    ("gangs", "named"),
    [
        ([[3, 0], [2, 0]], "pool capacity 0 is exceeded by 1"),
        ([[0, 0], [0, 4]], "gangs of class 1 is exceeded by 1"),
        ([[2, 2], [0, 0]], "team limit 0 is exceeded by 1"),
        ([[0, 0], [0, 3]], "class in pool 1 is exceeded by 1"),
        ([[0, -1], [0, 0]], "negative gangs of class 0 is exceeded by 1"),
        ([[0, 0], [1, 0]], None),
    ],
)
def test_the_value_of_what_breaks_a_limit_is_an_error(
    gangs: list[list[int]], named: str | None
) -> None:
    """It names the row and by how much; nothing is valued that could not run."""
    problem = posed(
        [4, 9],
        Kind(1, 4, [5, 5], team=0),
        Kind(1, 3, [7, 7], team=1, most=[9, 2]),
        limits=[3, -1],
    )
    if named is None:
        assert objective(problem, np.array(gangs)) == 7
        return
    with pytest.raises(AllocationError, match=named):
        objective(problem, np.array(gangs))
