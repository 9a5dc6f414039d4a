# SPDX-License-Identifier: Apache-2.0
"""Trust domains in a file, for an operator: who may publish which families, for which tenants.

[domains.batch]
families = ["job.events"]
tenants = ["acme", "globex"]      # left out: every tenant
"""

import tomllib
from pathlib import Path

from msgspec import Struct, ValidationError, convert

from schemas.catalogue import Family
from streams.kafka.topics import ANYBODY, TopologyError, TrustDomain
from streams.sources import UPSTREAM


class _Domain(Struct, frozen=True, forbid_unknown_fields=True):
    families: frozenset[Family] = UPSTREAM
    tenants: frozenset[str] | None = None


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    domains: dict[str, _Domain]


def read_domains(path: Path) -> tuple[TrustDomain, ...]:
    """Return the trust domains of a file, in its order. Raises `TopologyError`."""
    try:
        read = convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise TopologyError(msg) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        msg = f"{path} declares no trust domains: {error}"
        raise TopologyError(msg) from error
    return tuple(
        TrustDomain(name, domain.tenants, domain.families) for name, domain in read.domains.items()
    )


def trusted(path: Path | None) -> tuple[TrustDomain, ...]:
    """Return the trust domains of a file, or the one there is without. Raises `TopologyError`."""
    return (ANYBODY,) if path is None else read_domains(path)
