# SPDX-License-Identifier: Apache-2.0
"""Served requests to windowed profiles, per deployment, origin region and gateway.

A request counts in the window that its gateway's clock says, once: a gateway's (boot, sequence)
rises, so a lower or equal one is a duplicate. A profile always holds its whole window so far. One
with more requests replaces it; publishing one again changes nothing.

Latencies are counted in buckets of at most 1/32 of their value; a percentile is the upper end of
its bucket, so it is never too low, and at most 3.2 % too high.

A cell must fit into a record of its topic, whatever upstream publishes. So it has room for so much:
without, a request that would open a window is refused, and a latency that finds no bucket of its
own in its window counts in the next higher one, which is none too low.
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


_WINDOW_BYTES, _GATEWAY_BYTES, _BUCKET_BYTES = 80, 32, 8
"""What one takes at the most as MessagePack, names aside."""


class NotCounted(Struct, frozen=True):
    """Why a request is not counted: the field, what it holds, and the rule that this breaks."""

    field: str
    value: str
    rule: str


def fold_request(
    cell: Cell, served: RequestServed, clock_ms: int, rules: FoldRules
) -> NotCounted | None:
    """Take in a request as of `clock_ms`, or return why it is not counted."""
    gateway = cell.gateways.get(served.gateway) or Gateway()
    if (served.boot, served.sequence) <= (gateway.boot, gateway.sequence):
        return None
    start_ms = served.served_ms - served.served_ms % rules.window_ms
    if served.served_ms > clock_ms + rules.ahead_ms:
        return _untimely(
            served, f"must be at most {rules.ahead_ms} ms after it arrived, at {clock_ms}"
        )
    if start_ms + rules.window_ms + rules.retain_ms <= clock_ms:
        return _untimely(
            served,
            f"its window of {rules.window_ms} ms must not have closed more than "
            f"{rules.retain_ms} ms before it arrived, at {clock_ms}",
        )
    key = (served.deployment, served.origin_region, served.gateway, start_ms)
    window = cell.windows.get(key)
    if window is None:
        if cell.requests_bytes > rules.room_bytes:
            return _crowded(served, rules)
        window = cell.windows[key] = Window()
        cell.requests_bytes += _window_bytes(key)
    if served.gateway not in cell.gateways:
        cell.gateways[served.gateway] = gateway
        cell.requests_bytes += _gateway_bytes(served.gateway)
    gateway.boot, gateway.sequence, gateway.noted_ms = served.boot, served.sequence, clock_ms
    _count(cell, window, served, rules)
    return None


def _untimely(served: RequestServed, rule: str) -> NotCounted:
    return NotCounted("served_ms", str(served.served_ms), rule)


def _crowded(served: RequestServed, rules: FoldRules) -> NotCounted:
    return NotCounted(
        "deployment",
        served.deployment,
        f"must not be one of so many that, by region, gateway and minute, they take more than "
        f"{rules.room_bytes} bytes beside {served.gateway}",
    )


def _window_bytes(key: WindowKey) -> int:
    deployment, region, gateway, _ = key
    return _WINDOW_BYTES + sum(len(name.encode()) for name in (deployment, region, gateway))


def _gateway_bytes(name: str) -> int:
    return _GATEWAY_BYTES + len(name.encode())


def _count(cell: Cell, window: Window, served: RequestServed, rules: FoldRules) -> None:
    window.requests += 1
    window.prompt_tokens += served.prompt_tokens
    window.output_tokens += served.output_tokens
    window.reused_prefix_tokens += served.reused_prefix_tokens
    bucket, counts = bucket_of(served.latency_ms), window.latencies
    if bucket not in counts:
        if counts and cell.requests_bytes > rules.room_bytes:
            bucket = _next_higher(bucket, counts)
        else:
            cell.requests_bytes += _BUCKET_BYTES
    counts[bucket] = counts.get(bucket, 0) + 1


def _next_higher(bucket: int, counts: dict[int, int]) -> int:
    """Return the next bucket that is there; where none is higher, the highest becomes this one."""
    higher = [known for known in counts if known > bucket]
    if higher:
        return min(higher)
    counts[bucket] = counts.pop(max(counts))
    return bucket


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
    if windows or gateways:
        cell.requests_bytes = _requests_bytes(cell)
    return bool(windows or gateways)


def _requests_bytes(cell: Cell) -> int:
    buckets = sum(len(window.latencies) for window in cell.windows.values())
    names = sum(map(_window_bytes, cell.windows)) + sum(map(_gateway_bytes, cell.gateways))
    return names + buckets * _BUCKET_BYTES


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
