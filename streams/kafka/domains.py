# SPDX-License-Identifier: Apache-2.0
"""Trust domains in a file, for an operator: who may publish which families, for which tenants.

[domains.batch]
families = ["job.events"]
tenants = ["acme", "globex"]      # left out: every tenant

Where families are left out, a domain may publish all of them; but one that speaks for some tenants
may say nothing of the fleet, which is everybody's, unless it is named.
"""

from pathlib import Path

from msgspec import Struct

from schemas.catalogue import Family
from streams.kafka.topics import ANYBODY, TopologyError, TrustDomain
from streams.sources import UPSTREAM
from streams.toml_file import read_toml


class _Domain(Struct, frozen=True, forbid_unknown_fields=True):
    families: frozenset[Family] | None = None
    tenants: frozenset[str] | None = None

    def trusted(self, name: str) -> TrustDomain:
        """Return the domain under its name."""
        unnamed = UPSTREAM if self.tenants is None else UPSTREAM - {Family.FLEET}
        return TrustDomain(name, self.tenants, unnamed if self.families is None else self.families)


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    domains: dict[str, _Domain]


def read_domains(path: Path) -> tuple[TrustDomain, ...]:
    """Return the trust domains of a file, in its order. Raises `TopologyError`."""
    read = read_toml(path, _File, TopologyError, "declares no trust domains")
    return tuple(domain.trusted(name) for name, domain in read.domains.items())


def trusted(path: Path | None) -> tuple[TrustDomain, ...]:
    """Return the trust domains of a file, or the one there is without. Raises `TopologyError`."""
    return (ANYBODY,) if path is None else read_domains(path)
