# SPDX-License-Identifier: Apache-2.0
"""The solver-free judge: whether a plan may be recorded, whoever made it."""

from solvers.judge.facts import (
    Claim,
    Holding,
    JobFacts,
    NodeFacts,
    Phase,
    PoolFacts,
    Proposal,
    ReservationFacts,
    Snapshot,
    TeamFacts,
)
from solvers.judge.ruling import RULES, judge
from solvers.judge.standing import check_state
from solvers.judge.violation import WHOLE_PLAN, PlanRule, Violation

__all__ = [
    "RULES",
    "WHOLE_PLAN",
    "Claim",
    "Holding",
    "JobFacts",
    "NodeFacts",
    "Phase",
    "PlanRule",
    "PoolFacts",
    "Proposal",
    "ReservationFacts",
    "Snapshot",
    "TeamFacts",
    "Violation",
    "check_state",
    "judge",
]
