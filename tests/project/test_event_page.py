# SPDX-License-Identifier: Apache-2.0
"""The event catalogue says of every event what a publisher has to know."""

import pytest

from schemas.catalogue import BY_CE_TYPE, CATALOGUE
from tools.contract_text import ContractText, Field, read
from tools.event_page import UndocumentedError, meaning, natural_key, page, unit
from tools.protos import ROOT, describe


@pytest.fixture(scope="module")
def contract() -> ContractText:
    """The contract as it is."""
    return read(describe(ROOT))


def test_every_event_type_has_its_section(contract: ContractText) -> None:
    """Each type in the catalogue has a heading, a meaning and a natural key on the page."""
    text = page(contract)
    for entry in CATALOGUE:
        section = text.split(f"\n### {entry.ce_type}\n", 1)[1].split("\n#", 1)[0]
        assert meaning(entry.message) in section
        assert f"Natural key: {natural_key(entry, contract)}." in section


def test_every_link_has_its_target(contract: ContractText) -> None:
    """A link on the page leads to a heading on the page."""
    text = page(contract)
    headings = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    anchors = {"".join(c for c in h.lower() if c.isalnum() or c in "_-") for h in headings}
    targets = {part.split(")", 1)[0] for part in text.split("](#")[1:]}
    assert targets <= anchors


@pytest.mark.parametrize(
    ("ce_type", "key"),
    [
        ("singlepool.job.submitted.v1", "`job.tenant`, `job.name`, `job.generation`"),
        ("singlepool.job.checkpointed.v1", "`job`, `attempt`, `checkpoint`"),
        ("singlepool.fleet.node_health.reported.v1", "`node`, `sequence`"),
        ("singlepool.fleet.region.removed.v1", "`name`, `generation`"),
        (
            "singlepool.serving.request_profile.observed.v1",
            (
                "`profile.deployment`, `profile.origin_region`, `profile.source`, "
                "`profile.window_start_ms`, `profile.requests`"
            ),
        ),
        (
            "singlepool.serving.request_served.v1",
            "`deployment`, `origin_region`, `gateway`, `boot`, `sequence`",
        ),
    ],
)
def test_a_natural_key_is_the_entity_and_the_step_that_rises(
    contract: ContractText, ce_type: str, key: str
) -> None:
    """The key is read from the payload, inside the entity where the payload carries one."""
    assert natural_key(BY_CE_TYPE[ce_type], contract) == key


def test_an_event_without_an_entity_cannot_be_documented(contract: ContractText) -> None:
    """A payload that names nothing has no natural key, and the page is refused."""
    entry = BY_CE_TYPE["singlepool.job.cancelled.v1"]
    bare = contract.messages["CycleOpened"]
    nameless = ContractText({**contract.messages, entry.message: bare}, contract.enums, "")
    with pytest.raises(UndocumentedError, match=r"singlepool\.job\.cancelled\.v1"):
        natural_key(entry, nameless)


def test_a_message_without_a_domain_type_cannot_be_documented() -> None:
    """A meaning is never invented."""
    with pytest.raises(UndocumentedError, match="Mystery"):
        meaning("Mystery")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("period_ms", "ms"),
        ("memory_mib", "MiB"),
        ("storage_mbps", "MB/s"),
        ("cpu_milli", "thousandths"),
        ("gap_ppm", "millionths"),
        ("limit_devices", "devices"),
        ("provisioned_tokens_per_s", "per second"),
        ("generation", ""),
    ],
)
def test_a_unit_is_the_end_of_a_name(name: str, says: str) -> None:
    """Units come from names, so a name without one promises none."""
    field = Field(name, 1, "int64", None, repeated=False, optional=False, comment="")
    assert unit(field) == says


def test_comments_reach_the_fields_they_stand_beside(contract: ContractText) -> None:
    """A trailing comment in the proto is the field's text on the page."""
    fields = {field.name: field for field in contract.messages["Record"].fields}
    assert fields["position"].comment == "how many records come before this one"
    assert fields["cause"].optional
