# SPDX-License-Identifier: Apache-2.0
"""Claimants who draw on one thing, held against every order in which releases can be reported."""

from itertools import chain, combinations

from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import JobId
from solvers.judge.rooms import Room

HOLDERS = ("a", "b", "c", "d")
AMOUNTS = st.integers(0, 6)
RELEASES = st.dictionaries(st.sampled_from(HOLDERS).map(JobId), AMOUNTS)
CLAIMS = st.lists(
    st.tuples(st.frozensets(st.sampled_from(HOLDERS).map(JobId)).map(sorted), AMOUNTS), max_size=5
)


def always_room(
    free: int, releases: dict[JobId, int], claims: list[tuple[list[JobId], int]]
) -> bool:
    """Return whether those who may have started fit, whoever has released: by trying all."""
    sets = chain.from_iterable(combinations(releases, n) for n in range(len(releases) + 1))
    for gone in sets:
        started = sum(amount for waits, amount in claims if set(waits) & set(releases) <= set(gone))
        if started > free + sum(releases[job] for job in gone):
            return False
    return True


@given(AMOUNTS, RELEASES, CLAIMS)
def test_all_are_served_exactly_when_no_order_of_releases_overfills(
    free: int, releases: dict[JobId, int], claims: list[tuple[list[JobId], int]]
) -> None:
    """Drawing serves all where every moment has room, and refuses one where some has not."""
    room = Room(free, releases)
    served = [room.draw(waits, amount) == 0 for waits, amount in claims]
    assert all(served) == always_room(free, releases, claims)


@given(AMOUNTS, RELEASES, CLAIMS)
def test_who_is_refused_leaves_the_room_to_the_others(
    free: int, releases: dict[JobId, int], claims: list[tuple[list[JobId], int]]
) -> None:
    """A claimant that cannot be served takes nothing from those that can."""
    room = Room(free, releases)
    served = [claim for claim in claims if room.draw(*claim) == 0]
    assert always_room(free, releases, served)


def test_an_earlier_claimant_is_served_from_elsewhere_where_that_helps() -> None:
    """Who drew on what another needs alone is given something else instead."""
    room = Room(0, {JobId("a"): 500, JobId("b"): 500})
    assert room.draw([JobId("a"), JobId("b")], 500) == 0
    assert room.draw([JobId("a")], 500) == 0
    assert room.draw([JobId("b")], 1) == 1


def test_a_node_that_became_smaller_owes_its_releases() -> None:
    """What is missing already is taken from what will be released before anyone may draw on it."""
    room = Room(-300, {JobId("a"): 500})
    assert room.draw([JobId("a")], 201) == 1
    assert room.draw([JobId("a")], 200) == 0
