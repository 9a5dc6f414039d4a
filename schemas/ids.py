# SPDX-License-Identifier: Apache-2.0
"""Distinct identifier types.

Upstream names what it owns by (tenant, name, generation); the engine keys such a thing by the
canonical text `tenant/name@generation`. Names hold no `/` and no `@`, so the text parses back
without loss.
"""

from typing import NewType

JobId = NewType("JobId", str)
TeamId = NewType("TeamId", str)
ReservationId = NewType("ReservationId", str)
DeploymentId = NewType("DeploymentId", str)
TenantName = NewType("TenantName", str)
SkuName = NewType("SkuName", str)
RegionName = NewType("RegionName", str)
ClusterName = NewType("ClusterName", str)
DomainName = NewType("DomainName", str)
NodeName = NewType("NodeName", str)
Position = NewType("Position", int)
"""How many ledger records come before; the same on every carrier."""


def job_id(tenant: str, name: str, generation: int) -> JobId:
    """Return the canonical text of a job's id."""
    return JobId(f"{tenant}/{name}@{generation}")


def team_id(tenant: str, name: str) -> TeamId:
    """Return the canonical text of a team's id; a team is one thing over all its generations."""
    return TeamId(f"{tenant}/{name}")


def reservation_id(tenant: str, name: str) -> ReservationId:
    """Return the canonical text of a reservation's id."""
    return ReservationId(f"{tenant}/{name}")
