# SPDX-License-Identifier: Apache-2.0
"""The ledger record and the origin of a published event, as domain values."""

from msgspec import Struct

from schemas.catalogue import Event


class Origin(Struct, frozen=True):
    """CloudEvents attributes as the publisher gave them; all empty for what the engine says itself.

    `ce_time` is what the publisher says about time (RFC 3339): data, never the engine's time.
    """

    ce_id: str = ""
    ce_source: str = ""
    ce_subject: str = ""
    ce_time: str = ""
    correlation_id: str = ""
    causation_id: str = ""


NO_ORIGIN = Origin()


class Record(Struct, frozen=True):
    """One entry of the ledger. `cause` is the position of the record that started it."""

    position: int
    recorded_ms: int
    event: Event
    cause: int | None = None


class Published(Struct, frozen=True):
    """An event as an upstream published it: its type, its own bytes, its origin."""

    ce_type: str
    payload: bytes
    origin: Origin = NO_ORIGIN
