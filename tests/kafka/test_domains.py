# SPDX-License-Identifier: Apache-2.0
"""Trust domains as an operator writes them down."""

from pathlib import Path

import pytest

from schemas.catalogue import CATALOGUE, EventType, Family
from streams.kafka.domains import read_domains
from streams.kafka.topics import TopologyError, TrustDomain, declare
from streams.sources import UPSTREAM, tenant_of
from tests.schemas.samples import SAMPLES

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
    """A domain that leaves both out may say everything that upstream may, for every tenant."""
    assert read_domains(written(tmp_path, GOOD)) == (
        TrustDomain("core"),
        TrustDomain("batch", frozenset({"acme", "globex"}), frozenset({Family.JOB})),
    )


def test_who_speaks_for_some_tenants_says_nothing_of_the_fleet_unless_it_is_named(
    tmp_path: Path,
) -> None:
    """The fleet is everybody's: no tenant's name would hold such a domain back there."""
    (batch,) = read_domains(written(tmp_path, "[domains.batch]\ntenants = ['acme']"))
    assert batch == TrustDomain("batch", frozenset({"acme"}), UPSTREAM - {Family.FLEET})
    names = {topic.name for topic in declare([batch]).upstream}
    assert names == {"tenant.events.batch", "job.events.batch", "request.events.batch"}
    text = "[domains.sites]\ntenants = ['acme']\nfamilies = ['fleet.events']"
    (named,) = read_domains(written(tmp_path, text))
    assert named.families == {Family.FLEET}


@pytest.mark.parametrize("event", CATALOGUE, ids=lambda entry: entry.ce_type)
def test_only_events_of_the_fleet_are_about_no_tenant(event: EventType) -> None:
    """So whoever may not speak of the fleet is held to its tenants in all that it says."""
    if event.family in UPSTREAM:
        owned = tenant_of(SAMPLES[event.event]) is not None
        assert owned == (event.family is not Family.FLEET)


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
