# SPDX-License-Identifier: Apache-2.0
"""How full a fleet gets, counted by hand: two GPUs, and four pods that ask for more than both."""

from pathlib import Path

import pytest
from msgspec import structs

from analytics.database import open_history
from compose.fill import Fill, Held, Placed, fill_of_history, fill_of_policy, published
from compose.places import RunFolder
from compose.run import through_the_loop
from engine.policies import POOL
from schemas.fleet import NodeDeclared
from solvers.packing import FillPolicy
from streams.traces.openb import Variant, openb
from streams.traces.workload import Workload


@pytest.fixture(scope="module")
def small() -> Workload:
    """Return openb's two nodes of one A10, and its first four pods.

    They ask for 460, 1000, 1000 and 810 thousandths. With the third, more than the two devices has
    been asked for, with the fourth more than 130 % of them.
    """
    whole = openb()
    genesis = tuple(
        e for e in whole.genesis if not isinstance(e, NodeDeclared) or e.node.sku == "A10"
    )
    return structs.replace(whole, genesis=genesis, arrivals=whole.arrivals[:4])


def by_hand(fill: Fill) -> None:
    """The first two pods fit, a device each; the third has no whole device, the fourth 540."""
    assert fill.unallocated_percent == {100: pytest.approx(27), 130: pytest.approx(27)}
    assert fill.by_type == {"share of a GPU": Placed(2, 1, 50), "1 GPU": Placed(2, 1, 50)}
    assert fill.by_model == {"A10": Held(2, 1.46, 73)}


@pytest.mark.parametrize("policy", FillPolicy)
def test_a_policy_fills_what_can_be_filled(small: Workload, policy: FillPolicy) -> None:
    """Whatever the policy, there is one way to go here, and the count is that by hand."""
    by_hand(fill_of_policy(small, 0, policy))


def test_the_whole_loop_is_counted_alike(small: Workload, tmp_path: Path) -> None:
    """The history of the same pods gives the same figures, and verifies."""
    folder = RunFolder(tmp_path)
    loop = through_the_loop(small, POOL, folder, verify_one_in=1)
    by_hand(fill_of_history(open_history(folder.archive), small, loop.seconds))
    assert loop.plans_verified > 0
    assert loop.plans_diverged == 0


def test_the_published_results_are_of_the_variant() -> None:
    """FGD on the default list left 4.61 % at 130 %, and another list gave another figure."""
    assert published(Variant.DEFAULT)["FGD"] == {100: 4.77, 130: 4.61}
    assert published(Variant.CPU100)["FGD"] != published(Variant.DEFAULT)["FGD"]
