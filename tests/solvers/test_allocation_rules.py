# SPDX-License-Identifier: Apache-2.0
"""Each rule of the allocation by itself, on instances solved by hand.

Their linear programs end at whole numbers, so the bound equals the value: a rule that is missing
from the model shows as a gap, whatever rounding does about it.
"""

import pytest

from solvers.allocation import AllocationLimits, AllocationProblem, allocate
from solvers.allocation.linear import relax
from tests.solvers.allocation_problems import Gangs, Kind, Reserved, posed, worth

LIMITS = AllocationLimits()


def proven(problem: AllocationProblem) -> Gangs:
    """Solve, see that the bound proves it the best, and return the gangs."""
    solved = allocate(problem, LIMITS)
    gangs: Gangs = solved.gangs.tolist()
    assert solved.objective == worth(problem, gangs)
    assert solved.bound == solved.objective
    return gangs


def test_a_pool_holds_what_it_has() -> None:
    """Eight devices take two gangs of four, though three want to run."""
    assert proven(posed([8], Kind(4, 3, [10]))) == [[2]]


def test_of_two_classes_the_one_worth_more_per_device_gets_the_pool() -> None:
    """Four devices at 3 each beat one gang of four at 10."""
    assert proven(posed([4], Kind(4, 1, [10]), Kind(1, 4, [3]))) == [[0], [4]]


def test_a_class_runs_no_more_gangs_than_want_to() -> None:
    """Three jobs take three devices of a hundred, in both pools together."""
    assert proven(posed([50, 50], Kind(1, 3, [2, 1]))) == [[3, 0]]


def test_a_team_stays_inside_its_limit() -> None:
    """Its best eight devices run, over all its classes and pools; another team has the rest."""
    problem = posed(
        [10, 10],
        Kind(2, 3, [10, 10]),
        Kind(2, 9, [8, 6]),
        Kind(2, 9, [2, 2], team=1),
        limits=[8, -1],
    )
    gangs = proven(problem)
    assert [sum(row) for row in gangs] == [3, 1, 6]
    assert gangs[1] == [1, 0]


def test_a_reservation_comes_before_dearer_work() -> None:
    """What it is short of costs more than what others would bring."""
    dear, owner = Kind(8, 1, [80]), Kind(8, 1, [8], reservation=0)
    assert proven(posed([8], dear, owner, reserved=[Reserved(8, [0], 20)])) == [[0], [1]]
    assert proven(posed([8], dear, owner, reserved=[Reserved(8, [0], 5)])) == [[1], [0]]


def test_a_reservation_is_served_in_its_own_pools() -> None:
    """A pool that is worth more to the owner, but outside, does not count."""
    owner = Kind(2, 2, [3, 9], reservation=0)
    assert proven(posed([4, 4], owner, reserved=[Reserved(2, [0], 20)])) == [[1, 1]]


def test_a_reservation_is_due_no_more_than_its_owner_asks_for() -> None:
    """An idle reservation costs nothing: its devices are lent."""
    owner, guest = Kind(1, 2, [5], reservation=0), Kind(1, 9, [1])
    problem = posed([8], owner, guest, reserved=[Reserved(6, [0], 20)])
    assert proven(problem) == [[2], [6]]
    assert allocate(problem, LIMITS).objective == 16


def test_a_team_earns_its_steps_before_another_earns_more() -> None:
    """Two teams of like claims share, though the work of one is worth a little more."""
    first, second = Kind(1, 8, [2], team=0), Kind(1, 8, [1], team=1)
    steps = [[(4, 5), (4, 1)]] * 2
    assert proven(posed([8], first, second, limits=[-1, -1], steps=steps)) == [[4], [4]]
    assert proven(posed([8], first, second, limits=[-1, -1])) == [[8], [0]]


def test_a_step_is_earned_by_the_devices_in_it_and_no_more() -> None:
    """Three devices in a step of two earn it twice, and then what they are worth."""
    problem = posed([3], Kind(1, 9, [2]), steps=[[(2, 10)]])
    proven(problem)
    assert allocate(problem, LIMITS).objective == 3 * 2 + 2 * 10


def test_a_gang_that_runs_stays_where_it_is_when_all_else_is_equal() -> None:
    """The bonus decides between alike pools."""
    problem = posed([4, 4], Kind(4, 1, [10, 10], stay=[0, 1], bonus=1))
    assert proven(problem) == [[0, 1]]
    assert allocate(problem, LIMITS).objective == 11


def test_a_gang_moves_where_it_gains_more_than_its_bonus() -> None:
    """Staying is worth its bonus, not everything."""
    here, there = Kind(4, 1, [10, 15], stay=[1, 0], bonus=4), Kind(4, 1, [10, 15])
    assert proven(posed([4, 4], here)) == [[0, 1]]
    assert proven(posed([4, 4], here._replace(bonus=6))) == [[1, 0]]
    assert proven(posed([4, 4], here, there)) == [[1, 0], [0, 1]]


def test_only_gangs_that_run_there_earn_the_bonus() -> None:
    """Of three jobs one stays; the other two are newcomers like any."""
    problem = posed([3], Kind(1, 3, [2], stay=[1], bonus=5))
    assert proven(problem) == [[3]]
    assert allocate(problem, LIMITS).objective == 11


def test_a_job_goes_where_it_gains_most_on_balance() -> None:
    """The fast pool goes to who is slowed most elsewhere, not to who would be fastest on it."""
    problem = posed([4, 4], Kind(4, 1, [10, 30]), Kind(4, 1, [25, 32]))
    assert proven(problem) == [[0, 1], [1, 0]]


@pytest.mark.parametrize("shut", [Kind(1, 9, [1, -1]), Kind(1, 9, [1, 5], most=[9, 0])])
def test_nothing_runs_where_it_may_not(shut: Kind) -> None:
    """A pool that is excluded, or that no gang fits on, is worth nothing to the class."""
    assert proven(posed([4, 4], shut)) == [[4, 0]]


def test_no_more_gangs_run_in_a_pool_than_its_nodes_take() -> None:
    """Room in sum is no room for a shape: the rest goes to the second best pool."""
    problem = posed([8, 8], Kind(2, 4, [10, 1], most=[3, 3]))
    assert allocate(problem, LIMITS).gangs.tolist() == [[3, 1]]
    assert relax(problem, problem.allowed()).objective == pytest.approx(31)
