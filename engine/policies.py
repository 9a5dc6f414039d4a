# SPDX-License-Identifier: Apache-2.0
"""Policies that come with the project. A ledger says by a record which one holds."""

from schemas.decisions import Policy, TierPolicy
from schemas.kinds import Tier

_MINUTE_MS = 60_000
_HOUR_MS = 3_600_000

POOL = Policy(
    name="pool",
    version=1,
    period_ms=_MINUTE_MS,
    fresh_device_ms=_HOUR_MS,
    tiers=(
        TierPolicy(Tier.PREMIUM, weight=400, fresh_weight=4_000, promise_ppm=700_000),
        TierPolicy(Tier.STANDARD, weight=200, fresh_weight=2_000, promise_ppm=700_000),
        TierPolicy(Tier.BASIC, weight=100, fresh_weight=1_000, promise_ppm=0),
    ),
    lends=True,
    moves=True,
    reclaim_ms=2 * _MINUTE_MS,
    park_ms=24 * _HOUR_MS,
    failure_buffer_ppm=0,
    gap_target_ppm=20_000,
    solve_interval_ms=10 * _MINUTE_MS,
    min_run_ms=10 * _MINUTE_MS,
    move_penalty_ms=_MINUTE_MS,
    queue_limit=2_000,
)
"""One pool: idle reservations are lent, and taken back by moves when their owners return."""

FENCED = Policy(
    name="fenced",
    version=1,
    period_ms=_MINUTE_MS,
    fresh_device_ms=_HOUR_MS,
    tiers=(
        TierPolicy(Tier.PREMIUM, weight=1, fresh_weight=1, promise_ppm=0),
        TierPolicy(Tier.STANDARD, weight=1, fresh_weight=1, promise_ppm=0),
        TierPolicy(Tier.BASIC, weight=1, fresh_weight=1, promise_ppm=0),
    ),
    lends=True,
    moves=False,
    reclaim_ms=0,
    park_ms=24 * _HOUR_MS,
    failure_buffer_ppm=0,
    gap_target_ppm=20_000,
    solve_interval_ms=10 * _MINUTE_MS,
    min_run_ms=0,
    move_penalty_ms=0,
    queue_limit=2_000,
)
"""Fenced partitions as they are run today.

First come first served with backfill, and nothing is ever moved.
"""

BY_NAME = {policy.name: policy for policy in (POOL, FENCED)}
