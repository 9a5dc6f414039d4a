# SPDX-License-Identifier: Apache-2.0
"""Who pays and who owns what, and the events that say so."""

from msgspec import Struct

from schemas.ids import (
    RegionName,
    ReservationId,
    SkuName,
    TeamId,
    TenantName,
    reservation_id,
    team_id,
)


class Tenant(Struct, frozen=True):
    """Who pays."""

    name: TenantName
    generation: int
    share_weight: int


class Team(Struct, frozen=True):
    """A part of a tenant with its own share; `limit_devices` 0 means no limit."""

    tenant: TenantName
    name: str
    generation: int
    share_weight: int
    limit_devices: int = 0

    @property
    def id(self) -> TeamId:
        """Canonical text of the team's id."""
        return team_id(self.tenant, self.name)


class Reservation(Struct, frozen=True):
    """Capacity a team owns, by SKU and region, guaranteed to its premium work."""

    tenant: TenantName
    team: str
    name: str
    generation: int
    skus: tuple[SkuName, ...]
    regions: tuple[RegionName, ...]
    devices: int

    @property
    def id(self) -> ReservationId:
        """Canonical text of the reservation's id."""
        return reservation_id(self.tenant, self.name)


class TenantDeclared(Struct, frozen=True):
    """A tenant came."""

    tenant: Tenant


class TenantChanged(Struct, frozen=True):
    """A tenant is now as stated."""

    tenant: Tenant


class TenantRemoved(Struct, frozen=True):
    """A tenant left; it has no team any more."""

    name: TenantName
    generation: int


class TeamDeclared(Struct, frozen=True):
    """A team came."""

    team: Team


class TeamChanged(Struct, frozen=True):
    """A team is now as stated."""

    team: Team


class TeamRemoved(Struct, frozen=True):
    """A team left; it has no live job and no reservation any more."""

    tenant: TenantName
    name: str
    generation: int


class ReservationGranted(Struct, frozen=True):
    """A team now owns capacity."""

    reservation: Reservation


class ReservationChanged(Struct, frozen=True):
    """A reservation is now as stated."""

    reservation: Reservation


class ReservationEnded(Struct, frozen=True):
    """A reservation is over."""

    tenant: TenantName
    name: str
    generation: int


TenantEvent = (
    TenantDeclared
    | TenantChanged
    | TenantRemoved
    | TeamDeclared
    | TeamChanged
    | TeamRemoved
    | ReservationGranted
    | ReservationChanged
    | ReservationEnded
)
