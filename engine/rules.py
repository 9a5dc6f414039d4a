# SPDX-License-Identifier: Apache-2.0
"""Versions of what the records mean.

A `RulesActivated` record says from which position a version holds, so an older history always folds
under the rules it was written with. A version is never edited once a ledger may hold it: a change
of meaning is a new version, and the code asks the version's fields, never its number.
"""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct


class Rules(Struct, frozen=True):
    """One version of the meaning of records.

    `resize_counts_as_progress`: whether a gang receives device time while a resize is under way.
    """

    version: int
    resize_counts_as_progress: bool


RULES: Mapping[int, Rules] = MappingProxyType(
    {
        1: Rules(version=1, resize_counts_as_progress=True),
        2: Rules(version=2, resize_counts_as_progress=False),
    }
)
"""Every version there is. Version 2 counts a resize's pause against the device fraction.

The glossary demands that of any time without progress; version 1 did not do it.
"""

CURRENT_RULES = 2
