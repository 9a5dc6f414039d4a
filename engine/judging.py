# SPDX-License-Identifier: Apache-2.0
"""The part of the state that a plan touches, as the judge wants it."""

from engine.planning import Plan
from engine.rebase import Rebased
from engine.state import State


def judge_plan(state: State, plan: Plan, rebased: Rebased) -> tuple[str, ...]:
    """Return what the judge objects to in a plan about to be recorded; empty when it accepts."""
    _ = state, plan, rebased
    return ()
