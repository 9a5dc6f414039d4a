# SPDX-License-Identifier: Apache-2.0
"""What the judge says: which rule is broken, by which action, in a sentence with its numbers."""

from enum import StrEnum

from msgspec import Struct


class PlanRule(StrEnum):
    """Rules that a plan, or a state, must keep, in the order in which they are checked."""

    STALE_VERSION = "stale_version"
    UNKNOWN_JOB = "unknown_job"
    UNKNOWN_NODE = "unknown_node"
    ACTED_TWICE = "acted_twice"
    STALE_ATTEMPT = "stale_attempt"
    STALE_RESIZE = "stale_resize"
    WRONG_PHASE = "wrong_phase"
    NOTHING_TO_RESUME = "nothing_to_resume"
    GANG_SIZE = "gang_size"
    GANG_PARTS = "gang_parts"
    SLICE_SHAPE = "slice_shape"
    RESIZE_MOVES = "resize_moves"
    NODE_HEALTH = "node_health"
    WRONG_SKU = "wrong_sku"
    WRONG_REGION = "wrong_region"
    WRONG_LABELS = "wrong_labels"
    NOT_SHAREABLE = "not_shareable"
    NOT_CONFIDENTIAL = "not_confidential"
    NOT_ATTESTED = "not_attested"
    GANG_SPAN = "gang_span"
    UNUSABLE_SLOT = "unusable_slot"
    PROMISED_TWICE = "promised_twice"
    MISSING_WAIT = "missing_wait"
    VAIN_WAIT = "vain_wait"
    OVER_CAPACITY = "over_capacity"
    TEAM_LIMIT = "team_limit"
    OVER_RESERVATION = "over_reservation"
    OUTSIDE_RESERVATION = "outside_reservation"
    LENDING_OFF = "lending_off"
    CLAIM_NOT_PLACED = "claim_not_placed"
    RESERVED_DISPLACED = "reserved_displaced"
    MOVES_OFF = "moves_off"
    MOVED_TOO_SOON = "moved_too_soon"
    MOVED_IN_VAIN = "moved_in_vain"


WHOLE_PLAN = -1
"""Action index of what no single action breaks."""


class Violation(Struct, frozen=True):
    """A broken rule: by the action at index `action`, or the whole plan, about `subject`."""

    rule: PlanRule
    action: int
    subject: str
    sentence: str

    def __str__(self) -> str:
        """Rule and sentence."""
        return f"{self.rule}: {self.sentence}"
