# SPDX-License-Identifier: Apache-2.0
"""Served requests to windowed profiles, per deployment, origin region and gateway.

A request counts in the window that its gateway's clock says, once: a gateway's (boot, sequence)
rises, so a lower or equal one is a duplicate. A profile always holds its whole window so far. One
with more requests replaces it; publishing one again changes nothing.

Latencies are counted in buckets of at most 1/32 of their value; a percentile is the upper end of
its bucket, so it is never too low, and at most 3.2 % too high.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from schemas.ids import DeploymentId, RegionName
from schemas.serving import RequestProfile, RequestServed
from streams.intake.cells import Cell, Gateway, Window, WindowKey
from streams.intake.fold_rules import FoldRules

_MANTISSA_BITS = 5
_EXACT = 1 << (_MANTISSA_BITS + 1)
_MEDIAN, _TAIL, _WHOLE = 50, 99, 100


class Untimely(Struct, frozen=True):
    """A request whose window is closed for good, or lies ahead: the rule that its time breaks."""

    rule: str


def fold_request(
    cell: Cell, served: RequestServed, clock_ms: int, rules: FoldRules
) -> Untimely | None:
    """Take in a request as of `clock_ms`, or return why it is not counted."""
    gateway = cell.gateways.get(served.gateway) or Gateway()
    if (served.boot, served.sequence) <= (gateway.boot, gateway.sequence):
        return None
    start_ms = served.served_ms - served.served_ms % rules.window_ms
    if served.served_ms > clock_ms + rules.ahead_ms:
        return Untimely(f"must be at most {rules.ahead_ms} ms after it arrived, at {clock_ms}")
    if start_ms + rules.window_ms + rules.retain_ms <= clock_ms:
        return Untimely(
            f"its window of {rules.window_ms} ms must not have closed more than "
            f"{rules.retain_ms} ms before it arrived, at {clock_ms}"
        )
    cell.gateways[served.gateway] = gateway
    gateway.boot, gateway.sequence, gateway.noted_ms = served.boot, served.sequence, clock_ms
    key = (served.deployment, served.origin_region, served.gateway, start_ms)
    window = cell.windows.get(key)
    if window is None:
        window = cell.windows[key] = Window()
    _count(window, served)
    return None


def _count(window: Window, served: RequestServed) -> None:
    window.requests += 1
    window.prompt_tokens += served.prompt_tokens
    window.output_tokens += served.output_tokens
    window.reused_prefix_tokens += served.reused_prefix_tokens
    bucket = bucket_of(served.latency_ms)
    window.latencies[bucket] = window.latencies.get(bucket, 0) + 1


def closed(cell: Cell, clock_ms: int, counter: str, rules: FoldRules) -> Iterator[RequestProfile]:
    """Yield the profile of each window that is closed as of `clock_ms` and has more to tell.

    `counter` names who counts: with the gateway it is the profile's source.
    """
    for key, window in cell.windows.items():
        if window.told < window.requests and key[3] + rules.window_ms + rules.grace_ms <= clock_ms:
            window.told = window.requests
            yield _profile(key, window, counter, rules)


def forget_old_windows(cell: Cell, clock_ms: int, rules: FoldRules) -> bool:
    """Drop windows that take no more requests, and gateways whose requests no window would take.

    Return whether there were any. To be called after `closed`, so that all they hold is told.
    """
    kept_ms = rules.window_ms + rules.retain_ms
    windows = [key for key in cell.windows if key[3] + kept_ms <= clock_ms]
    quiet_ms = kept_ms + rules.ahead_ms
    gateways = [name for name, g in cell.gateways.items() if g.noted_ms + quiet_ms <= clock_ms]
    for key in windows:
        del cell.windows[key]
    for name in gateways:
        del cell.gateways[name]
    return bool(windows or gateways)


def _profile(key: WindowKey, window: Window, counter: str, rules: FoldRules) -> RequestProfile:
    deployment, region, gateway, start_ms = key
    return RequestProfile(
        deployment=DeploymentId(deployment),
        origin_region=RegionName(region),
        window_start_ms=start_ms,
        window_ms=rules.window_ms,
        requests=window.requests,
        prompt_tokens=window.prompt_tokens,
        output_tokens=window.output_tokens,
        reused_prefix_tokens=window.reused_prefix_tokens,
        latency_p50_ms=percentile(window.latencies, _MEDIAN),
        latency_p99_ms=percentile(window.latencies, _TAIL),
        source=f"{counter}/{gateway}",
    )


# --- latencies ------------------------------------------------------------------------------------


def bucket_of(value: int) -> int:
    """Return the bucket of a value: exact below 64, then 32 buckets for each doubling."""
    if value < _EXACT:
        return value
    shift = value.bit_length() - (_MANTISSA_BITS + 1)
    return (shift << _MANTISSA_BITS) + (value >> shift)


def upper_end(bucket: int) -> int:
    """Return the largest value of a bucket."""
    if bucket < _EXACT:
        return bucket
    shift = (bucket >> _MANTISSA_BITS) - 1
    mantissa = bucket - (shift << _MANTISSA_BITS)
    return ((mantissa + 1) << shift) - 1


def percentile(counts: Mapping[int, int], percent: int) -> int:
    """Return the value that at least `percent` of those counted do not exceed; 0 where none is."""
    wanted = -(-sum(counts.values()) * percent // _WHOLE)
    for bucket in sorted(counts):
        wanted -= counts[bucket]
        if wanted <= 0:
            return upper_end(bucket)
    return 0
