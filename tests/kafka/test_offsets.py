# SPDX-License-Identifier: Apache-2.0
"""The search for a position in a partition, against partitions with holes of every kind."""

from bisect import bisect_left
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.offsets import NEAR, Landmark, Landmarks, locate

gaps = st.lists(st.integers(1, 4 * NEAR), min_size=1, max_size=60)


class Lying:
    """Records at some offsets, and how often it was looked."""

    def __init__(self, steps: list[int]) -> None:
        """Each record lies so many offsets behind the one before."""
        self.offsets = list(accumulate(steps))
        self.end = Landmark(len(steps), self.offsets[-1] + 5)
        self.looks = 0

    def first_at(self, offset: int) -> Landmark:
        """What the broker would say."""
        self.looks += 1
        at = bisect_left(self.offsets, offset)
        return self.end if at == len(self.offsets) else Landmark(at, self.offsets[at])


@given(gaps, st.data())
def test_reading_from_there_comes_to_the_position_soon(
    steps: list[int], data: st.DataObject
) -> None:
    """Never from behind it, and from as near as was promised, whatever the index learnt before."""
    lying, index = Lying(steps), Landmarks()
    wanted = st.integers(0, len(steps) - 1)
    for position in data.draw(st.lists(wanted, min_size=1, max_size=9)):
        found = locate(position, Landmark(0, 0), lying.end, index, lying.first_at)
        assert found <= lying.offsets[position]
        before = lying.offsets[position - 1] if position else 0
        assert found >= min(before, lying.offsets[position] - NEAR)


def test_a_long_partition_is_searched_in_a_few_looks() -> None:
    """Where note and marker follow each batch, two guesses by the pace are enough."""
    lying = Lying([1, 1, 1, 1, 3] * 20_000)
    for position in (0, 12_345, 50_000, 99_999):
        lying.looks = 0
        locate(position, Landmark(0, 0), lying.end, Landmarks(), lying.first_at)
        assert lying.looks <= 2


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(0, 50))
def test_an_index_knows_its_neighbours(positions: list[int], asked: int) -> None:
    """The last landmark that is not behind a position, and the first that is."""
    index = Landmarks()
    for position in positions:
        index.add(Landmark(position, position * 10))
    begin, end = Landmark(0, 0), Landmark(99, 990)
    before, after = index.before(asked, begin), index.after(asked, end)
    assert before.position == max((p for p in positions if p <= asked), default=0)
    assert after.position == min((p for p in positions if p > asked), default=99)
