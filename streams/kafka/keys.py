# SPDX-License-Identifier: Apache-2.0
"""The record key of an event: what keeps events of one entity in order, on every topic alike."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import get_type_hints

from msgspec import Struct

from schemas.catalogue import CATALOGUE, Event, Family
from schemas.errors import CallerError
from schemas.ids import DeploymentId, JobId
from schemas.serving import Deployment
from streams.sources import UPSTREAM, tenant_of


def key_of(event: Event) -> bytes:
    """Return the key of an event that upstream publishes.

    The entity's name in the fleet (the node's, for its devices and health), the tenant, the job's
    id, or the deployment as tenant/name. Raises `CallerError` for what the engine says itself.
    """
    spell = _SPELLED.get(type(event))
    if spell is None:
        msg = f"{type(event).__name__} is the engine's to say and has no key"
        raise CallerError(msg)
    return spell(event).encode()


_Spell = Callable[[Event], str]


def _spelled(struct: type[Struct], family: Family) -> _Spell:
    """Return what spells the key of one event type, whose first field is what it is about."""
    hints: dict[str, object] = get_type_hints(struct)
    field, hint = next(iter(hints.items()))
    match family:
        case Family.TENANT:
            return lambda event: tenant_of(event) or ""
        case Family.SERVING:
            return _deployment(struct, field, hint)
        case Family.JOB:
            return attrgetter(field if hint is JobId else f"{field}.id")
        case _:
            return attrgetter(f"{field}.name" if _is_struct(hint) else field)


def _is_struct(hint: object) -> bool:
    return isinstance(hint, type) and issubclass(hint, Struct)


def _deployment(struct: type[Struct], field: str, hint: object) -> _Spell:
    """Return the same for a deployment: generations of one deployment share a key."""
    if "name" in struct.__struct_fields__ or hint is Deployment:
        tenant, name = (
            attrgetter(f"{field}.{part}" if hint is Deployment else part)
            for part in ("tenant", "name")
        )
        return lambda event: f"{tenant(event)}/{name(event)}"
    named = attrgetter(field if hint is DeploymentId else f"{field}.deployment")
    return lambda event: str(named(event)).partition("@")[0]


_SPELLED: Mapping[type[Event], _Spell] = MappingProxyType(
    {e.event: _spelled(e.event, e.family) for e in CATALOGUE if e.family in UPSTREAM}
)
