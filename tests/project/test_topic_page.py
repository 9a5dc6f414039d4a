# SPDX-License-Identifier: Apache-2.0
"""The page of topics says of each topic what a publisher or reader has to know."""

import re

from schemas.reasons import WORDING, Rejection
from streams.intake import MAX_PAYLOAD_BYTES
from tools.topic_facts import TOPOLOGY, fact_of, is_public, principals, retention, title
from tools.topic_page import page


def section(heading: str) -> str:
    """The part of the page below a heading."""
    return page().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def test_every_topic_has_its_section() -> None:
    """Who writes and reads, key, order, duplicates, size and retention stand in each."""
    for topic in TOPOLOGY.topics:
        text, fact = section(title(topic)), fact_of(topic)
        told = (principals(topic.writers), principals(topic.readers), topic.key.value)
        promised = (fact.says, fact.order, fact.duplicates, retention(topic))
        for says in (*told, *promised, f"{topic.max_message_bytes:,} bytes"):
            assert says in text


def test_every_link_has_its_target() -> None:
    """A link within the page leads to a heading on the page."""
    text = page()
    headings = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    anchors = {re.sub(r"[^a-z0-9_-]", "", h.lower().replace(" ", "-")) for h in headings}
    targets = set(re.findall(r"\]\(#([^)]*)\)", text))
    assert targets
    assert targets <= anchors


def test_every_code_is_explained_where_a_publisher_looks() -> None:
    """A code on the page has its sentence, and says who gives it."""
    refusals = section("Why an event was refused")
    assert all(f"| `{code}` |" in refusals and WORDING[code] in refusals for code in Rejection)
    assert "| `too_large` | intake |" in refusals
    assert "| `conflict` | engine |" in refusals
    assert all(f"`{code}`" in page() for code in WORDING)


def test_the_limits_are_those_that_hold() -> None:
    """The page gives the limit of a payload that intake holds it to."""
    assert f"{MAX_PAYLOAD_BYTES:,} bytes" in page()


def test_a_domains_name_is_left_to_the_installation() -> None:
    """Topics of upstream show where the trust domain's name goes; others have none."""
    assert [title(t) for t in TOPOLOGY.upstream if "{domain}" not in title(t)] == []
    assert {title(t) for t in TOPOLOGY.topics if is_public(t) and t.family is None} == {
        "ledger",
        "directives",
        "verdicts",
    }
