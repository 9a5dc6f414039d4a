# SPDX-License-Identifier: Apache-2.0
"""Closed reason codes, each with the sentence a user reads.

Three questions have reasons: why an event was refused (`Rejection`), why a job does not run
(`Reason`), and why an action of a plan was dropped (`Drop`).
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Rejection(StrEnum):
    """Why an event was refused; it changed nothing and is kept, to be replayed after a fix."""

    MALFORMED = "malformed"
    UNKNOWN_TYPE = "unknown_type"
    TOO_LARGE = "too_large"
    NOT_AUTHORISED = "not_authorised"
    INVALID_VALUE = "invalid_value"
    CONFLICT = "conflict"
    UNKNOWN_ENTITY = "unknown_entity"
    UNKNOWN_ATTEMPT = "unknown_attempt"
    IMPOSSIBLE_TRANSITION = "impossible_transition"
    IN_USE = "in_use"
    OVER_CAPACITY = "over_capacity"
    NOT_SERVED = "not_served"


class Reason(StrEnum):
    """Why a job does not run. The first group waits; the second can never run as asked."""

    PLACED = "placed"
    WAITING_FOR_CYCLE = "waiting_for_cycle"
    WAITING_FOR_CAPACITY = "waiting_for_capacity"
    WAITING_FOR_RELEASE = "waiting_for_release"
    WAITING_BEHIND_OTHERS = "waiting_behind_others"
    WAITING_FOR_CONTIGUITY = "waiting_for_contiguity"
    WAITING_FOR_TEAM_LIMIT = "waiting_for_team_limit"
    DISPLACED = "displaced"
    NEVER_FITS = "never_fits"


class Drop(StrEnum):
    """Why an action of a plan no longer held at the head of the ledger."""

    SUBJECT_CHANGED = "subject_changed"
    DEVICES_TAKEN = "devices_taken"
    DEPENDS_ON_DROPPED = "depends_on_dropped"
    NOT_ALLOWED = "not_allowed"


class Rule(StrEnum):
    """Rules that exclude nodes from a job, in the order in which they are counted."""

    NODE_HEALTH = "node_health"
    SKU = "sku"
    REGION = "region"
    LABELS = "labels"
    CONFIDENTIAL = "confidential"
    SHARING = "sharing"
    WORKER_SHAPE = "worker_shape"
    GANG_SPAN = "gang_span"


WORDING: Mapping[StrEnum, str] = MappingProxyType(
    {
        Rejection.MALFORMED: "The bytes are not what the event type says.",
        Rejection.UNKNOWN_TYPE: "This event type or version is not in the contract.",
        Rejection.TOO_LARGE: "The event is larger than its topic allows.",
        Rejection.NOT_AUTHORISED: "This source may not publish this event.",
        Rejection.INVALID_VALUE: "A field holds a value that its rule does not allow.",
        Rejection.CONFLICT: "The same id and generation came before with other content.",
        Rejection.UNKNOWN_ENTITY: "What the event names did not arrive before the deadline.",
        Rejection.UNKNOWN_ATTEMPT: "The report is about an attempt that never was.",
        Rejection.IMPOSSIBLE_TRANSITION: "The report does not fit what the attempt was told to do.",
        Rejection.IN_USE: "Something else still depends on what would be removed.",
        Rejection.OVER_CAPACITY: "Reservations would exceed the capacity that survives failures.",
        Rejection.NOT_SERVED: "This build knows the event but does not serve it yet.",
        Reason.PLACED: "It holds its devices.",
        Reason.WAITING_FOR_CYCLE: "It came since the last cycle; the next one looks at it.",
        Reason.WAITING_FOR_CAPACITY: "No eligible cluster has enough free devices.",
        Reason.WAITING_FOR_RELEASE: "Its devices are being released by the work they displaced.",
        Reason.WAITING_BEHIND_OTHERS: "Work that comes before it takes the free devices.",
        Reason.WAITING_FOR_CONTIGUITY: "Enough devices are free, but not close enough together.",
        Reason.WAITING_FOR_TEAM_LIMIT: "Its team is at its limit of devices.",
        Reason.DISPLACED: "It was suspended so that work with a claim could run.",
        Reason.NEVER_FITS: "No cluster could run it as asked, even when empty.",
        Drop.SUBJECT_CHANGED: "The job changed after the plan was made.",
        Drop.DEVICES_TAKEN: "A device of the plan was no longer there.",
        Drop.DEPENDS_ON_DROPPED: "It needed the room of an action that was dropped.",
        Drop.NOT_ALLOWED: "A limit or an attestation changed; the judge no longer allows it.",
        Rule.NODE_HEALTH: "not fit for work",
        Rule.SKU: "another SKU",
        Rule.REGION: "another region",
        Rule.LABELS: "without the labels asked for",
        Rule.CONFIDENTIAL: "not attested for confidential work",
        Rule.SHARING: "of a SKU whose devices cannot be shared",
        Rule.WORKER_SHAPE: "too small for one worker",
        Rule.GANG_SPAN: "in a cluster, domain or node too small for the gang",
    }
)
