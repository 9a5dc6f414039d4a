# SPDX-License-Identifier: Apache-2.0
"""What Slurm's names mean here, as an operator writes it: read as said, or refused."""

from pathlib import Path

import pytest

from streams.adapters.slurm_file import DemandFileError, read_demand
from tests.streams.adapters.test_slurm import DEMAND

GOOD = """
[teams.acme-research]
tenant = "acme"
team = "research"

[tiers]
normal = "standard"
scavenger = "basic"

[skus]
a100 = "a100-80g"
"""


def test_a_file_says_what_accounts_qualities_and_devices_mean(tmp_path: Path) -> None:
    """Each of its tables is read; where no job asks for a GPU type, none need be named."""
    path = tmp_path / "slurm.toml"
    path.write_text(GOOD)
    assert read_demand(path) == DEMAND
    path.write_text(GOOD.partition("[skus]")[0])
    assert dict(read_demand(path).skus) == {}


@pytest.mark.parametrize(
    ("said", "instead", "why"),
    [
        ('"basic"', '"free"', "free"),
        ("[skus]", "[gpus]", "gpus"),
        ('team = "research"', 'teem = "research"', "team"),
        ("[tiers]", "[tiers", "tiers"),
    ],
)
def test_a_slip_is_refused(tmp_path: Path, said: str, instead: str, why: str) -> None:
    """A word that is none of ours, and a file that is no TOML, are named with the file."""
    path = tmp_path / "slurm.toml"
    path.write_text(GOOD.replace(said, instead))
    with pytest.raises(DemandFileError, match=rf"slurm\.toml does not say .*{why}|line"):
        read_demand(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """It is the caller's slip, so it is a sentence."""
    with pytest.raises(DemandFileError, match=r"slurm\.toml cannot be read: No such file"):
        read_demand(tmp_path / "slurm.toml")
