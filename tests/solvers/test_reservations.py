# SPDX-License-Identifier: Apache-2.0
"""Reservations fit together exactly when every group of them fits the pools that it can reach."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from solvers.reservations import most_reserved

POOLS, RESERVATIONS = 4, 4


def test_overlapping_scopes_share_what_both_reach() -> None:
    """Two of three pools each, the middle one shared: thirty devices carry thirty, never more."""
    capacity = np.array([10, 10, 10])
    scopes = np.array([[True, True, False], [False, True, True]])
    assert most_reserved(capacity, np.array([20, 10]), scopes) == 30
    assert most_reserved(capacity, np.array([20, 15]), scopes) == 30


def test_a_scope_without_pools_holds_nothing() -> None:
    """What nobody has cannot be reserved."""
    nothing = np.zeros((1, 2), np.bool_)
    assert most_reserved(np.array([5, 5]), np.array([3]), nothing) == 0
    assert most_reserved(np.zeros(0, np.int64), np.array([3]), np.zeros((1, 0), np.bool_)) == 0


@given(
    capacity=arrays.arrays(np.int64, POOLS, elements=st.integers(0, 9)),
    wanted=arrays.arrays(np.int64, RESERVATIONS, elements=st.integers(0, 9)),
    scopes=arrays.arrays(np.bool_, (RESERVATIONS, POOLS)),
)
def test_all_fit_exactly_when_no_group_wants_more_than_it_reaches(
    capacity: np.ndarray, wanted: np.ndarray, scopes: np.ndarray
) -> None:
    """Hall's condition, group by group, counted by hand."""
    groups = [
        list(group)
        for size in range(1, RESERVATIONS + 1)
        for group in combinations(range(RESERVATIONS), size)
    ]
    hall = all(wanted[group].sum() <= capacity[scopes[group].any(axis=0)].sum() for group in groups)
    assert (most_reserved(capacity, wanted, scopes) == wanted.sum()) == hall
