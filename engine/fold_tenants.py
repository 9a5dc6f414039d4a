# SPDX-License-Identifier: Apache-2.0
"""How each tenant event changes the state.

Every function is total over facts that `decide` admitted.
"""

from engine.state import State
from schemas import tenants
from schemas.ids import reservation_id, team_id
from schemas.records import Record


def tenant_known(
    state: State, _: Record, event: tenants.TenantDeclared | tenants.TenantChanged
) -> None:
    """A tenant is now as stated."""
    state.tenants[event.tenant.name] = event.tenant
    _changed(state, f"tenant:{event.tenant.name}")


def team_known(state: State, _: Record, event: tenants.TeamDeclared | tenants.TeamChanged) -> None:
    """A team is now as stated."""
    state.teams[event.team.id] = event.team
    _changed(state, f"team:{event.team.id}")


def reservation_known(
    state: State, _: Record, event: tenants.ReservationGranted | tenants.ReservationChanged
) -> None:
    """A reservation is now as stated."""
    state.reservations[event.reservation.id] = event.reservation
    _changed(state, f"reservation:{event.reservation.id}")


def tenant_removed(state: State, _: Record, event: tenants.TenantRemoved) -> None:
    """A tenant is gone."""
    del state.tenants[event.name]
    _gone(state, f"tenant:{event.name}", event.generation)


def team_removed(state: State, _: Record, event: tenants.TeamRemoved) -> None:
    """A team is gone."""
    team = team_id(event.tenant, event.name)
    del state.teams[team]
    _gone(state, f"team:{team}", event.generation)


def reservation_ended(state: State, _: Record, event: tenants.ReservationEnded) -> None:
    """A reservation is over."""
    reservation = reservation_id(event.tenant, event.name)
    del state.reservations[reservation]
    _gone(state, f"reservation:{reservation}", event.generation)


def _gone(state: State, key: str, generation: int) -> None:
    state.removed[key] = generation
    state.dirty[f"removed:{key}"] = None
    _changed(state, key)


def _changed(state: State, key: str) -> None:
    state.dirty[key] = None
    state.fleet_version += 1
    state.cycle_due = True
