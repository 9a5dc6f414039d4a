# SPDX-License-Identifier: Apache-2.0
"""Write `docs/asyncapi.json`, the contract for programs, or check that it says what there is.

    python -m tools.asyncapi write
    python -m tools.asyncapi check

An AsyncAPI 3 document of every topic that somebody outside writes or reads. Topics, keys, sizes and
retention come from the declaration (`streams.kafka.topics`), payloads from the protos, examples
from `tools.examples`. The application that it describes is singlepool: it receives what upstream
publishes and sends what others read.
"""

import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from msgspec import json

from schemas.catalogue import BY_CE_TYPE
from schemas.value_rules import ATTRIBUTE_LENGTH
from streams.kafka.headers import CONTENT_TYPE, SPEC_VERSION
from streams.kafka.plan import configs
from streams.kafka.topics import ANYBODY, Key, Topic
from streams.live.outputs import POSITION_HEADER
from tools.contract_text import ContractText, read
from tools.documents import Files, command
from tools.event_page import meaning
from tools.examples import published_example
from tools.proto_text import source_of
from tools.protos import ROOT, describe
from tools.topic_facts import TOPOLOGY, fact_of, is_public, retention, title, type_names

PAGE = Path("docs/asyncapi.json")
VERSION = "3.1.0"
BINDING = "0.5.0"
SCHEMA_FORMAT = "application/vnd.google.protobuf;version=3"
Json = dict[str, object]

DESCRIPTION = """\
One scheduler for one global fleet, event-sourced. Upstream systems publish protobuf events as \
CloudEvents in binary mode; verdicts and directives are read from topics of their own. \
docs/publishing.md has the first event in ten minutes, docs/topics.md what each topic promises, \
docs/events.md every event."""


def document(contract: ContractText, version: str) -> Json:
    """Return the whole document."""
    topics = [topic for topic in TOPOLOGY.topics if is_public(topic)]
    carried = [(topic, name) for topic in topics for name in fact_of(topic).messages]
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "singlepool",
            "version": version,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {"local": _server()},
        "channels": {_channel_name(topic): _channel(topic) for topic in topics},
        "operations": {_operation_name(topic): _operation(topic) for topic in topics},
        "components": {
            "schemas": {name: _schema(name, contract) for _, name in carried},
            "messages": {name: _message(name, topic) for topic, name in carried},
            "messageTraits": {"cloudEvent": _cloud_event(), "told": _told()},
        },
    }


def _server() -> Json:
    return {
        "host": "localhost:9092",
        "protocol": "kafka",
        "description": "A broker on this machine, as `singlepool broker up` starts it.",
    }


# --- topics ---------------------------------------------------------------------------------------


def _channel_name(topic: Topic) -> str:
    return topic.family or topic.name


def _channel(topic: Topic) -> Json:
    fact = fact_of(topic)
    messages = {n: {"$ref": f"#/components/messages/{n}"} for n in fact.messages}
    channel: Json = {
        "address": title(topic),
        "title": _channel_name(topic),
        "summary": fact.says,
        "description": _promises(topic),
        "messages": messages,
        "bindings": {"kafka": _topic_binding(topic)},
    }
    if topic.domain is not None:
        says = "The trust domain of whoever publishes; an installation names its own."
        channel["parameters"] = {"domain": {"description": says, "default": ANYBODY.name}}
    return channel


def _promises(topic: Topic) -> str:
    fact = fact_of(topic)
    return "\n".join(
        [
            f"Key: {topic.key.value}.",
            f"Order: {fact.order}.",
            f"Duplicates: {fact.duplicates}.",
            f"Kept: {retention(topic)}.",
            f"Largest record: {topic.max_message_bytes} bytes.",
        ]
    )


def _topic_binding(topic: Topic) -> Json:
    settings = configs(topic, TOPOLOGY)
    return {
        "partitions": topic.partitions,
        "replicas": TOPOLOGY.replication,
        "topicConfiguration": {
            "cleanup.policy": [settings["cleanup.policy"]],
            "retention.ms": int(settings["retention.ms"]),
            "retention.bytes": int(settings["retention.bytes"]),
            "max.message.bytes": int(settings["max.message.bytes"]),
        },
        "bindingVersion": BINDING,
    }


def _operation_name(topic: Topic) -> str:
    words = _channel_name(topic).split(".")
    return "".join(["receive" if topic.family else "send", *(word.title() for word in words)])


def _operation(topic: Topic) -> Json:
    return {
        "action": "receive" if topic.family else "send",
        "channel": {"$ref": f"#/channels/{_channel_name(topic)}"},
        "summary": fact_of(topic).says,
    }


# --- messages -------------------------------------------------------------------------------------


def _schema(message: str, contract: ContractText) -> Json:
    return {"schemaFormat": SCHEMA_FORMAT, "schema": source_of(message, contract)}


def _message(message: str, topic: Topic) -> Json:
    described: Json = {
        "name": message,
        "title": message,
        "summary": meaning(message),
        "contentType": CONTENT_TYPE,
        "payload": {"$ref": f"#/components/schemas/{message}"},
    }
    if topic.key is not Key.NONE:
        described["bindings"] = {"kafka": _key_binding(topic)}
    ce_type = type_names(topic).get(message)
    if ce_type is not None:
        trait = "cloudEvent" if topic.family is not None else "told"
        described["name"] = ce_type
        described["headers"] = _headers({"ce_type": {"type": "string", "const": ce_type}})
        described["traits"] = [{"$ref": f"#/components/messageTraits/{trait}"}]
    if topic.family is not None and ce_type is not None:
        _, example = published_example(BY_CE_TYPE[ce_type])
        shown = {"name": ce_type, "headers": example.headers, "payload": example.data}
        described["examples"] = [shown]
    return described


def _key_binding(topic: Topic) -> Json:
    key = {"type": "string", "description": topic.key.value}
    return {"key": key, "bindingVersion": BINDING}


def _headers(properties: Json, *required: str) -> Json:
    return {"type": "object", "properties": properties, "required": ["ce_type", *required]}


def _told() -> Json:
    """Return what the headers of the engine's own messages have in common."""
    says = "of the ledger record that it follows from, as decimal digits"
    position = {"type": "string", "pattern": "^[0-9]+$", "description": says}
    return {"headers": _headers({POSITION_HEADER: position}, POSITION_HEADER)}


def _cloud_event() -> Json:
    text = {"type": "string", "maxLength": ATTRIBUTE_LENGTH}
    named = {**text, "minLength": 1}
    properties: Json = {
        "content-type": {"type": "string", "const": CONTENT_TYPE},
        "ce_specversion": {"type": "string", "const": SPEC_VERSION},
        "ce_type": {**named, "description": "which event, with its version"},
        "ce_id": {**named, "description": "its name in the publisher's logs"},
        "ce_source": {**named, "description": "who says it, by its own account"},
        "ce_subject": {**text, "description": "what it is about, for people"},
        "ce_time": {**text, "description": "RFC 3339; kept as data, never interpreted"},
        "ce_correlationid": {**text, "description": "for traces; kept, never interpreted"},
        "ce_causationid": {**text, "description": "for traces; kept, never interpreted"},
    }
    return {"headers": _headers(properties, "ce_id", "ce_source")}


# --- the file -------------------------------------------------------------------------------------


def files() -> Files:
    """Return the document's file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    made = document(read(describe(ROOT)), project["version"])
    return {PAGE: json.format(json.encode(made)) + b"\n"}


def main(arguments: Sequence[str]) -> int:
    """Run one of the two commands; return the exit code."""
    return command(arguments, __doc__, ROOT, files)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
