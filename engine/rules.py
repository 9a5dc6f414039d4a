# SPDX-License-Identifier: Apache-2.0
"""Versions of what the records mean.

A `RulesActivated` record says from which position a version holds, so an older history always folds
under the rules it was written with. A version is never edited once a ledger may hold it: a change
of meaning is a new version, and the code asks the version's fields, never its number.
"""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from schemas.reasons import Reason


class Rules(Struct, frozen=True):
    """One version of the meaning of records.

    `resize_counts_as_progress`: whether a gang receives device time while a resize is under way.
    `unseen`: why a job waits that no cycle has looked at since it came or failed.
    """

    version: int
    resize_counts_as_progress: bool
    unseen: Reason


RULES: Mapping[int, Rules] = MappingProxyType(
    {
        1: Rules(1, resize_counts_as_progress=True, unseen=Reason.WAITING_FOR_CAPACITY),
        2: Rules(2, resize_counts_as_progress=False, unseen=Reason.WAITING_FOR_CAPACITY),
        3: Rules(3, resize_counts_as_progress=False, unseen=Reason.WAITING_FOR_CYCLE),
    }
)
"""Every version there is.

Version 2 counts a resize's pause against the device fraction, as the glossary demands of any time
without progress. Version 3 no longer says of a job that there is no room for it before a cycle has
looked: so the first conclusion of a cycle is recorded, whatever it is.
"""

CURRENT_RULES = 3
