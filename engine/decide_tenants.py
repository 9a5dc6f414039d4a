# SPDX-License-Identifier: Apache-2.0
"""Whether a tenant event holds. Its natural key is the entity's generation."""

import numpy as np

from engine.decide_fleet import by_generation
from engine.outcomes import DUPLICATE, FACT, Fact, Outcome, Parked, reject
from engine.state import State
from schemas import tenants
from schemas.ids import RegionName, SkuName, reservation_id, team_id
from schemas.reasons import Rejection
from schemas.tenants import Reservation
from solvers.reservations import most_reserved

_PPM = 1_000_000


def tenant(state: State, event: tenants.TenantDeclared | tenants.TenantChanged) -> Outcome:
    """A tenant stands on its own."""
    offered, key = event.tenant, f"tenant:{event.tenant.name}"
    changes = isinstance(event, tenants.TenantChanged)
    gone = state.removed.get(key, 0)
    return by_generation(state.tenants.get(offered.name), gone, offered, changes=changes, key=key)


def team(state: State, event: tenants.TeamDeclared | tenants.TeamChanged) -> Outcome:
    """A team needs its tenant."""
    offered, key = event.team, f"team:{event.team.id}"
    if offered.tenant not in state.tenants:
        return Parked(f"tenant:{offered.tenant}")
    changes = isinstance(event, tenants.TeamChanged)
    gone = state.removed.get(key, 0)
    return by_generation(state.teams.get(offered.id), gone, offered, changes=changes, key=key)


def reservation(
    state: State, event: tenants.ReservationGranted | tenants.ReservationChanged
) -> Outcome:
    """A reservation needs its team, its SKUs and regions, and room beside the others."""
    offered, key = event.reservation, f"reservation:{event.reservation.id}"
    team_key = team_id(offered.tenant, offered.team)
    if team_key not in state.teams:
        return Parked(f"team:{team_key}")
    for sku in offered.skus:
        if sku not in state.skus:
            return Parked(f"sku:{sku}")
    for region in offered.regions:
        if region not in state.regions:
            return Parked(f"region:{region}")
    changes = isinstance(event, tenants.ReservationChanged)
    gone = state.removed.get(key, 0)
    known = state.reservations.get(offered.id)
    outcome = by_generation(known, gone, offered, changes=changes, key=key)
    if not isinstance(outcome, Fact) or (known is not None and _gives_back(known, offered)):
        return outcome
    return _fits(state, offered)


def _gives_back(known: Reservation, offered: Reservation) -> bool:
    """Whether a change only lowers what is reserved: that helps even where too much is."""
    same = (known.skus, known.regions) == (offered.skus, offered.regions)
    return same and offered.devices <= known.devices


def _fits(state: State, offered: Reservation) -> Outcome:
    """Reservations are admitted only while they fit the capacity that survives the failure buffer.

    All of them at once: scopes may overlap, and what one draws from a pool is not there for others.
    """
    others = [r for r in state.reservations.values() if r.id != offered.id]
    together = [*others, offered]
    pools = surviving_capacity(state)
    most = most_reserved(
        np.array(list(pools.values()), np.int64),
        np.array([r.devices * _PPM for r in together], np.int64),
        np.array([[_covers(r, pool) for pool in pools] for r in together], np.bool_).reshape(
            len(together), len(pools)
        ),
    )
    short = sum(r.devices for r in together) - most // _PPM
    if short <= 0:
        return FACT
    rule = (
        f"beside {len(others)} other reservations, {max(offered.devices - short, 0)} devices of"
        f" {_scope(offered)} survive the failure buffer"
    )
    return reject(Rejection.OVER_CAPACITY, "reservation.devices", offered.devices, rule)


def _covers(reservation: Reservation, pool: tuple[RegionName, SkuName]) -> bool:
    region, sku = pool
    in_region = not reservation.regions or region in reservation.regions
    return in_region and (not reservation.skus or sku in reservation.skus)


def _scope(reservation: Reservation) -> str:
    skus = ", ".join(reservation.skus) or "any SKU"
    regions = ", ".join(reservation.regions) or "any region"
    return f"{skus} in {regions}"


def surviving_capacity(state: State) -> dict[tuple[RegionName, SkuName], int]:
    """Return, per region and SKU, the devices there are less the failure buffer, in millionths."""
    buffer_ppm = state.policy.failure_buffer_ppm if state.policy is not None else 0
    found: dict[tuple[RegionName, SkuName], int] = {}
    for node in state.nodes.values():
        spec = node.spec
        if node.gone or not spec.devices:
            continue
        pool = (state.clusters[state.domains[spec.domain].cluster].region, spec.sku)
        usable = spec.devices - len(node.unusable)
        found[pool] = found.get(pool, 0) + usable * (_PPM - buffer_ppm)
    return found


def tenant_removed(state: State, event: tenants.TenantRemoved) -> Outcome:
    """A tenant with teams stays."""
    key = f"tenant:{event.name}"
    known = state.tenants.get(event.name)
    if known is None:
        return DUPLICATE if state.removed.get(key, 0) >= event.generation else Parked(key)
    if event.generation < known.generation:
        return DUPLICATE
    users = [t.id for t in state.teams.values() if t.tenant == event.name]
    if users:
        return reject(Rejection.IN_USE, "name", event.name, f"still has team {users[0]}")
    return FACT


def team_removed(state: State, event: tenants.TeamRemoved) -> Outcome:
    """A team with live jobs or reservations stays."""
    team_key = team_id(event.tenant, event.name)
    key = f"team:{team_key}"
    known = state.teams.get(team_key)
    if known is None:
        return DUPLICATE if state.removed.get(key, 0) >= event.generation else Parked(key)
    if event.generation < known.generation:
        return DUPLICATE
    reserved = [r.id for r in state.reservations.values() if team_id(r.tenant, r.team) == team_key]
    live = [j.id for j in state.live_jobs() if j.spec.team_id == team_key]
    if reserved or live:
        user = f"reservation {reserved[0]}" if reserved else f"job {min(live)}"
        return reject(Rejection.IN_USE, "name", event.name, f"still has {user}")
    return FACT


def reservation_ended(state: State, event: tenants.ReservationEnded) -> Outcome:
    """A reservation ends once."""
    reservation_key = reservation_id(event.tenant, event.name)
    key = f"reservation:{reservation_key}"
    known = state.reservations.get(reservation_key)
    if known is None:
        return DUPLICATE if state.removed.get(key, 0) >= event.generation else Parked(key)
    return FACT if event.generation >= known.generation else DUPLICATE
