# SPDX-License-Identifier: Apache-2.0
"""What a trace becomes: the public events that make its fleet and tenants, and the jobs to come."""

from collections.abc import Mapping

from msgspec import Struct

from schemas.fleet import FleetEvent
from schemas.ids import JobId
from schemas.jobs import Job
from schemas.tenants import TenantEvent


class Arrival(Struct, frozen=True):
    """A job's submission, and the work that only the world outside knows of.

    `work_device_ms` is device-milliseconds on the reference device; 0 means that it never ends.
    """

    submit_ms: int
    job: Job
    work_device_ms: int


class Workload(Struct, frozen=True):
    """A trace as public events, all of it a function of the trace and stated rules.

    genesis: fleet, tenants and reservations in order of dependency, published at `start_ms`.
    arrivals: sorted by (submit_ms, job id).
    start_ms, end_ms: the window in which jobs arrive, the end exclusive.
    never_runnable: jobs that no cluster could hold even when empty, as this workload asks.
    """

    name: str
    start_ms: int
    end_ms: int
    genesis: tuple[FleetEvent | TenantEvent, ...]
    arrivals: tuple[Arrival, ...]
    never_runnable: tuple[JobId, ...] = ()

    @property
    def source(self) -> str:
        """What the trace's upstream systems call themselves in `ce_source`."""
        return f"trace/{self.name}"


def largest_remainder(weights: Mapping[str, int], total: int) -> dict[str, int]:
    """Split `total` in proportion to `weights` (non-negative, not all 0), in whole units.

    Each gets its quota rounded down; what is left goes to the largest remainders, ties by name.
    Also known as Hamilton's method.
    """
    mass = sum(weights.values())
    shares = {name: weight * total // mass for name, weight in weights.items()}
    left = total - sum(shares.values())
    by_remainder = sorted(weights, key=lambda name: (-(weights[name] * total % mass), name))
    for name in by_remainder[:left]:
        shares[name] += 1
    return shares
