# SPDX-License-Identifier: Apache-2.0
"""The contract's messages as proto source, each with all that it refers to and nothing else.

Tools that read one message at a time follow no imports; what they get compiles by itself.
"""

from tools.contract_text import ContractText, EnumText, Field, MessageText


def source_of(message: str, contract: ContractText) -> str:
    """Return a message's source: itself first, then what it refers to, in order of mention."""
    parts = ['syntax = "proto3";\npackage singlepool.v1;\n']
    for name in _closure(message, contract):
        if name in contract.messages:
            parts.append(_message(contract.messages[name]))
        else:
            parts.append(_enum(contract.enums[name]))
    return "\n".join(parts)


def _closure(message: str, contract: ContractText) -> list[str]:
    found = [message]
    for name in found:  # grows while it is walked
        fields = contract.messages[name].fields if name in contract.messages else ()
        found += _new(fields, found)
    return found


def _new(fields: tuple[Field, ...], found: list[str]) -> list[str]:
    named = dict.fromkeys(field.refers_to for field in fields if field.refers_to)
    return [name for name in named if name not in found]


def _message(message: MessageText) -> str:
    lines = [_field(field) for field in message.fields]
    return "\n".join([f"message {message.name} {{", *lines, "}\n"])


def _field(field: Field) -> str:
    label = "repeated " if field.repeated else "optional " if field.optional else ""
    return f"  {label}{field.type} {field.name} = {field.number};{_aside(field.comment)}"


def _enum(enum: EnumText) -> str:
    lines = [f"  {v.name} = {v.number};{_aside(v.comment)}" for v in enum.values]
    return "\n".join([f"enum {enum.name} {{", *lines, "}\n"])


def _aside(comment: str) -> str:
    return f"  // {comment}" if comment else ""
