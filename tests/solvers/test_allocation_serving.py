# SPDX-License-Identifier: Apache-2.0
"""Reservations that rounding left short get their gang by the cheapest exchange, or none."""

import numpy as np

from solvers.allocation import PRICE_SCALE, AllocationProblem, Prices
from solvers.allocation.serving import serve
from tests.solvers.allocation_problems import Gangs, Kind, Reserved, posed, worth

DEAR = 50


def served(problem: AllocationProblem, gangs: Gangs, pool_prices: list[int]) -> Gangs:
    """Serve an allocation at these prices of pools; all else has none."""
    prices = Prices.zero(problem)
    prices.pool[:] = np.array(pool_prices) * PRICE_SCALE
    after: Gangs = serve(problem, np.array(gangs), prices).tolist()
    assert worth(problem, after) is not None
    return after


def owner(size: int, gangs: int, *value: int) -> Kind:
    return Kind(size, gangs, value, reservation=0)


def test_the_gangs_that_lose_least_go() -> None:
    """Of two guests that fill the pool, the one worth less per device makes room."""
    problem = posed(
        [8], owner(4, 1, 4), Kind(4, 1, [20]), Kind(2, 2, [6]), reserved=[Reserved(4, [0], DEAR)]
    )
    assert served(problem, [[0], [1], [2]], [1]) == [[1], [1], [0]]


def test_no_more_goes_than_must() -> None:
    """One of three alike gangs is enough."""
    problem = posed([6], owner(2, 1, 2), Kind(2, 3, [2]), reserved=[Reserved(2, [0], DEAR)])
    assert served(problem, [[0], [3]], [1]) == [[1], [2]]


def test_a_gang_that_would_lose_its_bonus_goes_later() -> None:
    """Between alike guests, who just came makes room for the owner."""
    problem = posed(
        [4],
        owner(2, 1, 2),
        Kind(2, 1, [4], stay=[1], bonus=5),
        Kind(2, 1, [4]),
        reserved=[Reserved(2, [0], DEAR)],
    )
    assert served(problem, [[0], [1], [1]], [1]) == [[1], [1], [0]]


def test_the_pool_is_the_one_where_least_is_lost() -> None:
    """Room by itself comes first, then the cheaper guests."""
    guests = Kind(4, 1, [9, -1, -1]), Kind(4, 1, [-1, 6, -1])
    problem = posed([4, 4, 4], owner(4, 2, 4, 4, 4), *guests, reserved=[Reserved(8, [0, 1, 2], 50)])
    assert served(problem, [[0] * 3, [1, 0, 0], [0, 1, 0]], [1, 1, 1])[0] == [0, 1, 1]


def test_what_counts_for_a_reservation_never_goes() -> None:
    """Neither another owner's gangs nor one's own make room: then the reservation stays short."""
    other = Kind(4, 1, [4], reservation=1)
    reserved = [Reserved(4, [0], DEAR), Reserved(4, [0], DEAR)]
    problem = posed([4], owner(4, 1, 4), other, reserved=reserved)
    assert served(problem, [[0], [1]], [1]) == [[0], [1]]


def test_a_gang_comes_in_from_where_it_did_not_count() -> None:
    """An owner whose gangs all run outside its reservation moves one inside."""
    problem = posed(
        [4, 4], owner(4, 1, 4, 9), Kind(4, 1, [5, 5]), reserved=[Reserved(4, [0], DEAR)]
    )
    assert served(problem, [[0, 1], [1, 0]], [1, 1]) == [[1, 0], [0, 0]]


def test_a_team_at_its_limit_gives_up_its_own_work_first() -> None:
    """Its cheapest guest goes, in whatever pool, so that the limit holds."""
    problem = posed(
        [4, 4],
        owner(4, 1, 4, -1),
        Kind(2, 2, [-1, 3]),
        Kind(2, 1, [-1, 2]),
        limits=[6],
        reserved=[Reserved(4, [0], DEAR)],
    )
    assert served(problem, [[0, 0], [0, 1], [0, 1]], [0, 0]) == [[1, 0], [0, 1], [0, 0]]
    tight = posed([4], owner(4, 1, 4), limits=[3], reserved=[Reserved(4, [0], DEAR)])
    assert served(tight, [[0]], [0]) == [[0]]


def test_no_exchange_that_costs_more_than_the_shortage() -> None:
    """A penalty is a price: dearer guests stay."""
    guests = Kind(4, 1, [40])
    cheap = posed([4], owner(4, 1, 4), guests, reserved=[Reserved(4, [0], 8)])
    dear = posed([4], owner(4, 1, 4), guests, reserved=[Reserved(4, [0], 10)])
    assert served(cheap, [[0], [1]], [1]) == [[0], [1]]
    assert served(dear, [[0], [1]], [1]) == [[1], [0]]


def test_no_gang_comes_where_no_more_fit_by_shape() -> None:
    """Neither where the class may not run, nor beyond what the nodes take."""
    problem = posed(
        [8, 8],
        Kind(2, 4, [2, -1], reservation=0, most=[1, 9]),
        reserved=[Reserved(8, [0, 1], DEAR)],
    )
    assert served(problem, [[0, 0]], [0, 0]) == [[1, 0]]
