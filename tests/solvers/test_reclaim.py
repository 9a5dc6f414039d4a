# SPDX-License-Identifier: Apache-2.0
"""The cheapest set of moves that frees enough: exact, one option a victim, ties to the earlier."""

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.reclaim import Cover, cheapest_cover

Option = tuple[int, int]
"""Devices freed and cost."""


def cover(victims: list[list[Option]], need: int) -> Cover | None:
    rows = [(at, *option) for at, options in enumerate(victims) for option in options]
    victim, freed, cost = np.array(rows, np.int64).reshape(len(rows), 3).T.copy()
    return cheapest_cover(victim, freed, cost, need)


def cheapest(victims: list[list[Option]], need: int) -> int | None:
    """Return the least cost by trying every choice, None where no choice frees enough."""
    choices = product(*([(0, 0), *options] for options in victims))
    sums = ((sum(f for f, _ in chosen), sum(c for _, c in chosen)) for chosen in choices)
    return min((cost for freed, cost in sums if freed >= need), default=None)


def test_two_small_moves_beat_one_dear_one() -> None:
    """Four and four for two each, rather than eight for five."""
    assert cover([[(8, 5)], [(4, 2)], [(4, 2)]], 8) == Cover((1, 2), 4, 8)


def test_one_move_that_frees_more_than_needed_may_be_cheapest() -> None:
    """What is freed beyond the need costs nothing by itself."""
    assert cover([[(3, 2)], [(3, 2)], [(16, 3)]], 5) == Cover((2,), 3, 16)


def test_a_victim_shrinks_or_leaves_but_not_both() -> None:
    """Its two options together would free five; leaving alone frees four."""
    assert cover([[(1, 1), (4, 6)], [(2, 9)]], 5) == Cover((1, 2), 15, 6)
    assert cover([[(1, 1), (4, 6)]], 5) is None


def test_all_together_too_little_is_impossible() -> None:
    """One device short is short; with it, everything goes."""
    assert cover([[(2, 1)], [(3, 1)]], 6) is None
    assert cover([[(2, 1)], [(3, 1)]], 5) == Cover((0, 1), 2, 5)


def test_no_victims_free_nothing() -> None:
    """Impossible, unless nothing is needed."""
    assert cover([], 1) is None
    assert cover([], 0) == Cover((), 0, 0)


def test_no_need_moves_nobody() -> None:
    """Not even for nothing."""
    assert cover([[(4, 0)]], 0) == Cover((), 0, 0)
    assert cover([[(4, 0)]], -3) == Cover((), 0, 0)


def test_moves_that_cost_nothing_are_moves_all_the_same() -> None:
    """A cover of cost 0 is not mistaken for none."""
    assert cover([[(4, 0)]], 4) == Cover((0,), 0, 4)


def test_ties_go_to_the_earlier_victim() -> None:
    """Whatever the order of sizes: of equal costs the first that does."""
    assert cover([[(4, 3)], [(4, 3)], [(4, 3)]], 4) == Cover((0,), 3, 4)
    assert cover([[(4, 3)], [(8, 3)]], 4) == Cover((0,), 3, 4)
    assert cover([[(4, 3), (9, 3)]], 4) == Cover((0,), 3, 4)


options = st.tuples(st.integers(1, 9), st.integers(0, 20))
victims_drawn = st.lists(st.lists(options, min_size=1, max_size=3), max_size=5)


@settings(max_examples=200)
@given(victims_drawn, st.integers(-1, 30))
def test_no_choice_is_cheaper(victims: list[list[Option]], need: int) -> None:
    """Compared with trying all; cost and amount are those of the options named, one a victim."""
    found = cover(victims, need)
    least = cheapest(victims, max(need, 0))
    if found is None:
        assert least is None
        return
    flat = [(at, *option) for at, options in enumerate(victims) for option in options]
    chosen = [flat[index] for index in found.options]
    assert found.cost == least == sum(cost for _, _, cost in chosen)
    assert found.freed == sum(freed for _, freed, _ in chosen) >= max(need, 0)
    assert len({at for at, _, _ in chosen}) == len(chosen)
    assert list(found.options) == sorted(found.options)
