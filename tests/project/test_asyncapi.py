# SPDX-License-Identifier: Apache-2.0
"""The AsyncAPI document carries the contract as it is: sources that compile, topics as declared."""

from pathlib import Path
from typing import Any

import pytest

from streams.kafka.topics import DAY_MS, KEPT_BYTES, PARTITIONS, PUBLISHED_BYTES
from streams.sources import UPSTREAM
from tools.asyncapi import document
from tools.contract_text import ContractText, read
from tools.proto_text import source_of
from tools.protos import CONTRACT, ROOT, describe
from tools.topic_facts import published

Json = dict[str, Any]


@pytest.fixture(scope="module")
def contract() -> ContractText:
    """The contract as it is."""
    return read(describe(ROOT))


@pytest.fixture(scope="module")
def made(contract: ContractText) -> Json:
    """The document as it would be written."""
    return document(contract, "1.2.3")


@pytest.mark.parametrize("name", ["JobSubmitted", "NodeDeclared", "Record", "VerdictReached"])
def test_a_source_compiles_alone_to_the_messages_of_the_contract(
    contract: ContractText, tmp_path: Path, name: str
) -> None:
    """Protoc takes it without imports; names, numbers, types and comments are the contract's."""
    (tmp_path / CONTRACT).mkdir(parents=True)
    (tmp_path / CONTRACT / "alone.proto").write_text(source_of(name, contract), encoding="utf-8")
    alone = read(describe(tmp_path))
    assert next(iter(alone.messages)) == name
    for message in alone.messages.values():
        assert message.fields == contract.messages[message.name].fields
    for enum in alone.enums.values():
        assert enum.values == contract.enums[enum.name].values


def test_every_event_that_upstream_publishes_is_on_its_familys_channel(made: Json) -> None:
    """A message names its type, and its example is of that type."""
    for family in UPSTREAM:
        messages = made["channels"][family]["messages"]
        assert list(messages) == [entry.message for entry in published(family)]
        for entry in published(family):
            message = made["components"]["messages"][entry.message]
            assert message["headers"]["properties"]["ce_type"]["const"] == entry.ce_type
            (example,) = message["examples"]
            assert example["headers"]["ce_type"] == entry.ce_type


def test_a_channel_says_what_the_declaration_says(made: Json) -> None:
    """Partitions, retention, compaction and size are those that `topics apply` sets."""
    jobs, verdicts, ledger = (
        made["channels"][name]["bindings"]["kafka"] for name in ("job.events", "verdicts", "ledger")
    )
    assert jobs["partitions"] == verdicts["partitions"] == PARTITIONS
    assert ledger["partitions"] == 1
    settings = jobs["topicConfiguration"]
    assert settings["retention.ms"] == 7 * DAY_MS
    assert settings["max.message.bytes"] == PUBLISHED_BYTES
    assert verdicts["topicConfiguration"]["cleanup.policy"] == ["compact"]
    assert ledger["topicConfiguration"]["retention.ms"] == -1
    assert ledger["topicConfiguration"]["max.message.bytes"] == KEPT_BYTES


def test_what_is_internal_is_not_in_the_document(made: Json) -> None:
    """Nobody outside may build on what intake, engine and standbys say among themselves."""
    assert set(made["channels"]) == {*UPSTREAM, "ledger", "directives", "verdicts"}


def test_what_the_engine_tells_is_named_as_it_names_it(made: Json) -> None:
    """Verdicts and directives carry their type and position; the ledger's records carry neither."""
    messages = made["components"]["messages"]
    assert messages["VerdictReached"]["name"] == "singlepool.decision.verdict_reached.v1"
    assert messages["LaunchDirective"]["name"] == "singlepool.directive.launch.v1"
    assert messages["Record"]["name"] == "Record"
    assert "headers" not in messages["Record"]
    told = made["components"]["messageTraits"]["told"]["headers"]
    assert told["required"] == ["ce_type", "position"]
