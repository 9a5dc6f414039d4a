# SPDX-License-Identifier: Apache-2.0
"""Instructions to node agents, derived from committed plans and the reports since.

`position` is that of the ledger record that made the directive due. An agent acts on a job's
directive once and ignores one whose position is not above the last it acted on. A migration is a
suspend directive followed, once released, by a launch directive of the next attempt with `resume`
set.
"""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from schemas.decisions import Slice
from schemas.ids import JobId


class LaunchDirective(Struct, frozen=True):
    """Start the gang on these slices; with `resume`, from checkpoint number `checkpoint`."""

    job: JobId
    attempt: int
    workers: int
    slices: tuple[Slice, ...]
    resume: bool
    checkpoint: int
    position: int


class SuspendDirective(Struct, frozen=True):
    """Checkpoint the gang and release its devices."""

    job: JobId
    attempt: int
    position: int


class ResizeDirective(Struct, frozen=True):
    """Go on with `workers` workers on these slices."""

    job: JobId
    attempt: int
    resize: int
    workers: int
    slices: tuple[Slice, ...]
    position: int


class StopDirective(Struct, frozen=True):
    """End the gang and release its devices."""

    job: JobId
    attempt: int
    position: int


Directive = LaunchDirective | SuspendDirective | ResizeDirective | StopDirective

DIRECTIVE_TYPES: Mapping[str, type[Directive]] = MappingProxyType(
    {
        "singlepool.directive.launch.v1": LaunchDirective,
        "singlepool.directive.suspend.v1": SuspendDirective,
        "singlepool.directive.resize.v1": ResizeDirective,
        "singlepool.directive.stop.v1": StopDirective,
    }
)
"""Directives by their `ce_type` on the wire; part of the contract, as those of events are."""

DIRECTIVE_NAMES: Mapping[type[Directive], str] = MappingProxyType(
    {directive: name for name, directive in DIRECTIVE_TYPES.items()}
)
