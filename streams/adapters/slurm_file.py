# SPDX-License-Identifier: Apache-2.0
"""What an installation's Slurm means here, in a file, for an operator.

[teams.acme-research]             # Slurm's account
tenant = "acme"
team = "research"

[tiers]                           # Slurm's QoS = "premium", "standard" or "basic"
normal = "standard"

[skus]                            # Slurm's GPU type = the SKU here
a100 = "a100-80g"
"""

from pathlib import Path
from typing import Literal

from msgspec import Struct

from schemas.errors import CallerError
from schemas.ids import SkuName, TenantName
from schemas.kinds import Tier
from streams.adapters.slurm_demand import Demand, Team
from streams.toml_file import read_toml


class DemandFileError(CallerError):
    """A file does not say what Slurm's names mean here."""


class _Team(Struct, frozen=True, forbid_unknown_fields=True):
    tenant: str
    team: str


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    teams: dict[str, _Team]
    tiers: dict[str, Literal["premium", "standard", "basic"]]
    skus: dict[str, str] = {}


def read_demand(path: Path) -> Demand:
    """Return what a file says. Raises `DemandFileError`: a slip never means more than was said."""
    read = read_toml(path, _File, DemandFileError, "does not say what Slurm's names mean here")
    return Demand(
        teams={name: Team(TenantName(t.tenant), t.team) for name, t in read.teams.items()},
        tiers={name: Tier[tier.upper()] for name, tier in read.tiers.items()},
        skus={name: SkuName(sku) for name, sku in read.skus.items()},
    )
