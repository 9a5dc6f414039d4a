# SPDX-License-Identifier: Apache-2.0
"""Trust domains as an operator writes them down."""

from pathlib import Path

import pytest

from schemas.catalogue import Family
from streams.kafka.domains import read_domains
from streams.kafka.topics import TopologyError, TrustDomain

GOOD = """
[domains.core]

[domains.batch]
families = ["job.events"]
tenants = ["acme", "globex"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "domains.toml"
    path.write_text(text)
    return path


def test_a_file_says_who_may_publish_what(tmp_path: Path) -> None:
    """What a domain leaves out is everything that upstream may say, and every tenant."""
    assert read_domains(written(tmp_path, GOOD)) == (
        TrustDomain("core"),
        TrustDomain("batch", frozenset({"acme", "globex"}), frozenset({Family.JOB})),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "domains"),
        ("[domains.a]\nfamilies = ['job']", "job"),
        ("[domains.a]\ntenant = ['acme']", "tenant"),
        ("[domains.a]\ntenants = 'acme'", "tenants"),
        ("[domains", "declares no trust domains"),
    ],
)
def test_a_file_with_a_slip_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """A misspelled word never gives a domain more than was meant; the error names it."""
    with pytest.raises(TopologyError, match=said):
        read_domains(written(tmp_path, text))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The error names the file and why."""
    with pytest.raises(TopologyError, match=r"none\.toml cannot be read"):
        read_domains(tmp_path / "none.toml")
