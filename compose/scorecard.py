# SPDX-License-Identifier: Apache-2.0
"""The figures of one run: asked of its history, and of its fold where only the fold knows."""

from collections.abc import Mapping

from msgspec import Struct

from analytics.database import History

_HOUR_MS = 3_600_000


class Window(Struct, frozen=True):
    """The span of recorded time in which use is counted."""

    start_ms: int
    end_ms: int


class RunFigures(Struct, frozen=True):
    """What the demo says of one run.

    Percentages are of the device time of the whole fleet in the window; hours are means or
    quantiles over all jobs; `device_fraction` is received over due per tier.
    """

    used_percent: float
    useful_percent: float
    wait_mean_h: float
    wait_p50_h: float
    wait_p99_h: float
    completion_mean_h: float
    completion_p50_h: float
    completion_p99_h: float
    suspended_mean_h: float
    device_fraction: Mapping[str, float]
    promise_kept_percent: Mapping[str, float]
    moves: int
    lost_work_percent: float
    never_runnable: int
    gap_percent: float
    gap_max_percent: float
    events: int
    cycles: int


def figures(history: History, window: Window, promises: Mapping[str, float]) -> RunFigures:
    """Return the figures of a run.

    `promises` is the device fraction promised to each tier, 0 for none.
    """
    capacity = _one(history, _CAPACITY)[0] * (window.end_ms - window.start_ms)
    span = {"start": window.start_ms, "end": window.end_ms}
    used, useful = _one(history, _USE, span)
    jobs = _one(history, _JOBS)
    plans = _one(history, _PLANS)
    tiers = history.execute(_TIERS).fetchall()
    return RunFigures(
        used_percent=_percent(used, capacity),
        useful_percent=_percent(useful, capacity),
        wait_mean_h=jobs[0] / _HOUR_MS,
        wait_p50_h=jobs[1] / _HOUR_MS,
        wait_p99_h=jobs[2] / _HOUR_MS,
        completion_mean_h=jobs[3] / _HOUR_MS,
        completion_p50_h=jobs[4] / _HOUR_MS,
        completion_p99_h=jobs[5] / _HOUR_MS,
        suspended_mean_h=jobs[6] / _HOUR_MS,
        device_fraction={tier: round(fraction, 6) for tier, fraction, _ in tiers},
        promise_kept_percent={
            tier: _kept(history, tier, promise) for tier, promise in promises.items() if promise
        },
        moves=int(jobs[7]),
        lost_work_percent=_percent(jobs[8], used or 1),
        never_runnable=int(jobs[9]),
        gap_percent=plans[0],
        gap_max_percent=plans[1],
        events=int(_one(history, "SELECT records FROM history")[0]),
        cycles=int(plans[2]),
    )


_CAPACITY = "SELECT max(capacity_devices)::DOUBLE FROM utilisation"
_USE = """
SELECT
    (SELECT coalesce(sum(device_milli / 1000.0 * greatest(least(coalesce(to_ms, $end), $end)
        - greatest(from_ms, $start), 0)), 0) FROM allocations),
    (SELECT coalesce(sum(device_milli / 1000.0 * greatest(least(coalesce(to_ms, $end), $end)
        - greatest(from_ms, $start), 0)), 0) FROM progress)
"""
_JOBS = """
SELECT
    coalesce(avg(wait_ms), 0),
    coalesce(quantile_cont(wait_ms, 0.5), 0),
    coalesce(quantile_cont(wait_ms, 0.99), 0),
    coalesce(avg(completion_ms), 0),
    coalesce(quantile_cont(completion_ms, 0.5), 0),
    coalesce(quantile_cont(completion_ms, 0.99), 0),
    coalesce(avg(suspended_ms), 0),
    coalesce(sum(moves), 0),
    coalesce(sum(lost_device_ms), 0),
    count(*) FILTER (reason = 'never_fits')
FROM jobs
"""
_PLANS = """
SELECT coalesce(avg(gap_percent), 0), coalesce(max(gap_percent), 0), count(*) FROM plans
"""
_TIERS = """
SELECT tier, sum(received_device_ms)::DOUBLE / nullif(sum(due_device_ms), 0), count(*)
FROM jobs WHERE due_device_ms > 0 GROUP BY tier ORDER BY tier
"""
_KEPT = """
SELECT 100.0 * count(*) FILTER (device_fraction >= $promise) / count(*)
FROM jobs WHERE tier = $tier AND due_device_ms > 0
"""


def _kept(history: History, tier: str, promise: float) -> float:
    kept = _one(history, _KEPT, {"promise": promise, "tier": tier})[0]
    return float(kept or 0)


def _one(
    history: History, sql: str, values: Mapping[str, object] | None = None
) -> tuple[float, ...]:
    row = history.execute(sql, dict(values or {})).fetchone()
    return tuple(row or ())


def _percent(part: float, whole: float) -> float:
    return 100.0 * float(part) / float(whole) if whole else 0.0
