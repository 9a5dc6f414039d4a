# SPDX-License-Identifier: Apache-2.0
"""Who may publish what: by source, the families of events and the tenants it speaks for."""

from collections.abc import Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import get_type_hints

from msgspec import Struct

from schemas.catalogue import BY_EVENT, CATALOGUE, Event, Family
from schemas.ids import DeploymentId, JobId, TenantName

UPSTREAM = frozenset(Family) - {Family.DECISION}
"""What somebody outside may say at all. Decisions come from the engine, whatever a rule allows."""


class SourceRule(Struct, frozen=True):
    """What one source may say: events of these families, about these tenants (None: about all)."""

    families: frozenset[Family] = UPSTREAM
    tenants: frozenset[str] | None = None


class SourceRules(Struct, frozen=True):
    """What each source may say, by its `ce_source`; `others` holds for those not named.

    On a broker each topic has rules of its own, in which only `others` is set: there the topic says
    who speaks, whatever `ce_source` claims.
    """

    by_source: Mapping[str, SourceRule] = MappingProxyType({})
    others: SourceRule | None = None

    def forbids(self, source: str, event: Event) -> "Forbidden | None":
        """Return why a source may not publish an event, or None where it may."""
        entry = BY_EVENT[type(event)]
        if entry.family not in UPSTREAM:
            return Forbidden("ce_type", entry.ce_type, "decisions come from the engine alone")
        rule = self.by_source.get(source, self.others)
        if rule is None:
            return Forbidden("ce_source", source, "must be a source that is named in the rules")
        if entry.family not in rule.families:
            allowed = ", ".join(sorted(rule.families)) or "nothing"
            return Forbidden("ce_type", entry.ce_type, f"{source!r} may publish {allowed}")
        tenant = tenant_of(event) if rule.tenants is not None else None
        if rule.tenants is None or tenant is None or tenant in rule.tenants:
            return None
        allowed = ", ".join(sorted(rule.tenants)) or "no tenant"
        return Forbidden("tenant", tenant, f"{source!r} may speak for {allowed}")


class Forbidden(Struct, frozen=True):
    """What a source may not say: `field` holds `value`, which breaks `rule`."""

    field: str
    value: str
    rule: str


ALLOW_ALL = SourceRules(others=SourceRule())
"""Everybody may publish everything but decisions: for one process on one ledger."""


def tenant_of(event: Event) -> str | None:
    """Return the tenant that an event is about, or None for the fleet."""
    path = _OWNERS[type(event)]
    if path is None:
        return None
    named: str = attrgetter(path)(event)
    return named.partition("/")[0]


_OWNING = (TenantName, JobId, DeploymentId)
"""The id types that begin with a tenant's name."""


def _owner(struct: type[Struct], prefix: str = "") -> str | None:
    """Return the path of the first field that names a tenant, by its distinct type."""
    for name, hint in get_type_hints(struct).items():
        if hint in _OWNING:
            return prefix + name
        if isinstance(hint, type) and issubclass(hint, Struct):
            found = _owner(hint, f"{prefix}{name}.")
            if found is not None:
                return found
    return None


_OWNERS: Mapping[type[Event], str | None] = MappingProxyType(
    {e.event: _owner(e.event) if e.family in UPSTREAM else None for e in CATALOGUE}
)
