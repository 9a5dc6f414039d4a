# SPDX-License-Identifier: Apache-2.0
"""Slurm's trackable resources, as `cpu=32,mem=256G,node=4,gres/gpu:a100=16` asks for them."""

import re
from fractions import Fraction
from math import ceil

from msgspec import Struct

from schemas.codec_fields import FieldError

FIELD = "tres_req"
"""Where a record asks."""

_MIB_BY_SUFFIX = {
    "": Fraction(1),
    "K": Fraction(1, 1024),
    "M": Fraction(1),
    "G": Fraction(1024),
    "T": Fraction(1024**2),
    "P": Fraction(1024**3),
}
_COUNT = re.compile(r"[0-9]{1,15}", re.ASCII)
_MEMORY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([KMGTP]?)", re.ASCII)
_GPU = "gres/gpu"
_BESIDES = frozenset(("billing", "energy"))
"""What Slurm accounts and nobody has to provide."""


class Asked(Struct, frozen=True):
    """What a job asks for in all; `gpu_type` is empty where it does not name one."""

    nodes: int = 1
    cpus: int = 0
    memory_mib: int = 0
    gpus: int = 0
    gpu_type: str = ""


def parse(text: str) -> Asked:
    """Return what a text asks for. Raises `FieldError` for what cannot be placed."""
    amounts: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        name, _, amount = part.partition("=")
        if name in amounts:
            raise FieldError(field=FIELD, value=part, rule="must be given once")
        amounts[name] = amount
    gpu_type = _gpu_type(amounts)
    untyped = amounts.pop(_GPU, "0")
    typed = amounts.pop(f"{_GPU}:{gpu_type}", untyped)
    if typed != untyped != "0":
        raise FieldError(field=FIELD, value=text, rule="must ask for GPUs of one type alone")
    asked = Asked(
        nodes=_count("node", amounts.pop("node", "1")),
        cpus=_count("cpu", amounts.pop("cpu", "0")),
        memory_mib=_memory(amounts.pop("mem", "0")),
        gpus=_count(_GPU, typed),
        gpu_type=gpu_type,
    )
    for name, amount in amounts.items():
        if name not in _BESIDES:
            raise FieldError(
                field=FIELD,
                value=f"{name}={amount}",
                rule="is a resource that singlepool does not place",
            )
    if not asked.nodes:
        raise FieldError(field=FIELD, value="node=0", rule="must be at least one node")
    return asked


def _gpu_type(amounts: dict[str, str]) -> str:
    types = [name.removeprefix(f"{_GPU}:") for name in amounts if name.startswith(f"{_GPU}:")]
    if len(types) > 1:
        raise FieldError(
            field=FIELD,
            value=f"{_GPU}:{types[1]}",
            rule="must be the only GPU type: workers are alike",
        )
    return types[0] if types else ""


def _count(name: str, amount: str) -> int:
    if _COUNT.fullmatch(amount) is None:
        raise FieldError(field=FIELD, value=f"{name}={amount}", rule="must be a whole number")
    return int(amount)


def _memory(amount: str) -> int:
    """Return an amount of memory in MiB, rounded up."""
    found = _MEMORY.fullmatch(amount)
    if found is None:
        raise FieldError(
            field=FIELD,
            value=f"mem={amount}",
            rule="must be a number with K, M, G, T, P or nothing behind it",
        )
    return ceil(Fraction(found[1]) * _MIB_BY_SUFFIX[found[2]])
