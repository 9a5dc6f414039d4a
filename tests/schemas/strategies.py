# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for events, made from the types of their fields.

`any_event` draws whatever the wire can carry; `valid_event` draws what an upstream may say, with
names from a small set, so that events refer to each other now and then.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, cast, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from msgspec import Struct

from schemas import jobs, serving
from schemas.catalogue import CATALOGUE, Event, Family
from schemas.ids import DeploymentId, JobId
from schemas.jobs import WorkerShape
from schemas.records import Origin, Published

Any_ = st.SearchStrategy[Any]
Hint = Any
"""What stands behind a field's colon; Python has no type for that."""

INT64 = st.integers(-(2**63), 2**63 - 1)
ORIGINS = st.builds(Origin, *[st.text(max_size=20)] * len(Origin.__struct_fields__))

UPSTREAM_TYPES = tuple(e.event for e in CATALOGUE if e.family is not Family.DECISION)
ALL_TYPES = tuple(e.event for e in CATALOGUE)


# --- whatever the wire can carry ------------------------------------------------------------------


def any_event(event: type[Event]) -> st.SearchStrategy[Event]:
    """Every value of an event type that its message can hold, sensible or not."""
    return cast("st.SearchStrategy[Event]", _any_struct(event))


def _any_struct(struct: type[Struct]) -> Any_:
    hints = get_type_hints(struct)
    return st.builds(struct, **{name: _any_value(hints[name]) for name in struct.__struct_fields__})


_PLAIN: Mapping[object, Any_] = {
    int: INT64,
    bool: st.booleans(),
    str: st.text(max_size=20),
    bytes: st.binary(max_size=20),
}


def _any_value(hint: Hint) -> Any_:
    hint = getattr(hint, "__supertype__", hint)
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin: object = get_origin(hint)
    if origin is tuple:
        return st.lists(_any_value(get_args(hint)[0]), max_size=4).map(tuple)
    if issubclass(hint, IntEnum):
        return st.sampled_from(list(hint))
    return _any_struct(hint)


# --- what an upstream may say ---------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b-1", "c.d", "e:f", "G_7"])
COUNTS = st.integers(1, 1_000)
IDS = st.builds("{}/{}@{}".format, NAMES, NAMES, COUNTS)


_SENSIBLE: Mapping[object, Any_] = {int: COUNTS, str: NAMES, bool: st.booleans()}


def valid_event(event: type[Event]) -> st.SearchStrategy[Event]:
    """Events of an upstream type that keep every rule of `schemas.validation`."""
    return cast("st.SearchStrategy[Event]", _valid_struct(event))


def valid_events() -> st.SearchStrategy[Event]:
    """Events of all upstream types that keep every rule."""
    return st.sampled_from(UPSTREAM_TYPES).flatmap(valid_event)


def publications() -> st.SearchStrategy[Published]:
    """What might lie in an inbox: any type, any bytes, any origin."""
    ce_types = st.sampled_from([e.ce_type for e in CATALOGUE]) | st.text(max_size=20)
    return st.builds(Published, ce_types, st.binary(max_size=200), ORIGINS)


def _shapes() -> Any_:
    amounts = st.integers(0, 1_000)
    whole = st.builds(WorkerShape, COUNTS, st.just(1_000), amounts, amounts, amounts, amounts)
    shared = st.builds(WorkerShape, st.just(1), COUNTS, amounts, amounts)
    host_only = st.builds(WorkerShape, st.just(0), st.just(1_000), COUNTS, amounts)
    return whole | shared | host_only


def _valid_struct(struct: type[Struct]) -> Any_:
    if struct is WorkerShape:
        return _shapes()
    hints = get_type_hints(struct)
    fields = {name: _valid_value(hints[name]) for name in struct.__struct_fields__}
    if struct is jobs.Job:
        fields["workers_max"] = st.integers(1_000, 2_000)
    if struct is serving.RequestServed:
        fields["prompt_tokens"] = st.integers(1_000, 2_000)
    if struct is serving.RequestProfile:
        fields["prompt_tokens"] = fields["latency_p99_ms"] = st.integers(1_000, 2_000)
    return st.builds(struct, **fields)


def _valid_value(hint: Hint) -> Any_:
    if hint in (JobId, DeploymentId):
        return IDS
    hint = getattr(hint, "__supertype__", hint)
    origin: object = get_origin(hint)
    if origin is tuple:
        element = get_args(hint)[0]
        return st.lists(_valid_value(element), max_size=3, unique_by=_first_field).map(tuple)
    if hint in _SENSIBLE:
        return _SENSIBLE[hint]
    if issubclass(hint, IntEnum):
        return st.sampled_from(list(hint))
    return _valid_struct(hint)


def _first_field(element: object) -> object:
    """Return what must differ between the elements of a tuple: a label's key, a speed's class."""
    if isinstance(element, Struct):
        first: object = getattr(element, element.__struct_fields__[0])
        return first
    return element
