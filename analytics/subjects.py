# SPDX-License-Identifier: Apache-2.0
"""What an event is about: a job, an attempt of it, a node."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any, get_type_hints

from msgspec import Struct

from schemas import fleet, jobs
from schemas.catalogue import CATALOGUE, Event


class Subjects(Struct, frozen=True):
    """The fields of an event type that name its subjects, as dotted paths; None where none does."""

    job: str | None
    attempt: str | None
    node: str | None


def _subjects_of(event: type[Event]) -> Subjects:
    hints = get_type_hints(event)
    job, node = hints.get("job"), hints.get("node")
    return Subjects(
        job and ("job.id" if job is jobs.Job else "job"),
        "attempt" if "attempt" in hints else None,
        "name" if event is fleet.NodeRemoved else node and _name_of(node),
    )


def _name_of(node: object) -> str:
    return "node.name" if node is fleet.Node else "node"


SUBJECTS: Mapping[type[Event], Subjects] = MappingProxyType(
    {entry.event: _subjects_of(entry.event) for entry in CATALOGUE}
)
"""By event type, where it names what it is about."""


def _getter(path: str | None) -> Callable[[Event], Any]:
    return attrgetter(path) if path else lambda _: None


_GETTERS = MappingProxyType(
    {
        event: (_getter(at.job), _getter(at.attempt), _getter(at.node))
        for event, at in SUBJECTS.items()
    }
)


def subjects(event: Event) -> tuple[str | None, int | None, str | None]:
    """Return what an event is about: job, attempt and node, None where it names none."""
    job, attempt, node = _GETTERS[type(event)]
    return job(event), attempt(event), node(event)
