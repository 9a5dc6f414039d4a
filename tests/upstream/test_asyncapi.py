# SPDX-License-Identifier: Apache-2.0
"""AsyncAPI's own parser reads our document: it has no complaint and understands every message."""

from pathlib import Path

import msgspec
import pytest

from streams.kafka.topics import Topic
from tests.upstream.npm import run, workplace
from tools.asyncapi import PAGE
from tools.contract_text import ContractText, read
from tools.protos import ROOT, describe
from tools.topic_facts import TOPOLOGY, fact_of, is_public, title, type_names

PROJECT = Path(__file__).with_name("asyncapi")
Channels = dict[str, dict[str, list[str]]]


class Diagnostic(msgspec.Struct, frozen=True):
    """Something that the parser has to say, and where."""

    severity: int
    code: str
    path: str
    message: str


class Reading(msgspec.Struct, frozen=True):
    """What the parser makes of a document: fields of payloads, by message and channel."""

    diagnostics: list[Diagnostic]
    channels: Channels


BREAKS = (
    ('"#/channels/verdicts"', '"#/channels/nowhere"'),
    ('"partitions": 6', '"partitions": 0'),
    ('"action": "send"', '"action": "shout"'),
    ("message JobCancelled {", "message JobCancelled"),
)
"""A dangling reference, an impossible setting, an unknown action, a proto that is none."""


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> list[Reading]:
    """What the parser makes of our document, and of it with each of the breaks."""
    folder = workplace(PROJECT, tmp_path_factory.mktemp("asyncapi") / "check")
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    documents = [text, *(text.replace(right, wrong) for right, wrong in BREAKS)]
    names = [f"{number}.json" for number in range(len(documents))]
    for name, content in zip(names, documents, strict=True):
        (folder / name).write_text(content, encoding="utf-8")
    said = run(folder, "check.mjs", *names).splitlines()
    return [msgspec.json.decode(line, type=Reading) for line in said]


def test_the_parser_has_nothing_to_say_and_finds_every_message(readings: list[Reading]) -> None:
    """Each public topic is a channel, with each of its messages and all fields of its payload."""
    contract = read(describe(ROOT))
    public = [topic for topic in TOPOLOGY.topics if is_public(topic)]
    assert readings[0].diagnostics == []
    assert readings[0].channels == {title(t): fields_of(t, contract) for t in public}


def fields_of(topic: Topic, contract: ContractText) -> dict[str, list[str]]:
    """Field names of a topic's messages, by the name that the document gives them."""
    names = type_names(topic)
    return {
        names.get(message, message): [field.name for field in contract.messages[message].fields]
        for message in fact_of(topic).messages
    }


def test_the_parser_sees_what_is_wrong(readings: list[Reading]) -> None:
    """A document with any of the breaks is complained of, so that silence means something."""
    assert len(readings) == 1 + len(BREAKS)
    assert [
        wrong
        for reading, wrong in zip(readings[1:], BREAKS, strict=True)
        if not reading.diagnostics
    ] == []
