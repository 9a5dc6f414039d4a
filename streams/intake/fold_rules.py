# SPDX-License-Identifier: Apache-2.0
"""The numbers of intake's rules on raw events; `docs/intake.md` states the rules as sentences."""

from msgspec import Struct


class FoldRules(Struct, frozen=True):
    """When silence is suspect, when a node is well again, how long a window takes requests.

    All workers of one installation must have the same. Time that jumps by more than `hole_ms` was
    not watched: with the period of the beats it must be less than `suspect_after_ms`. A window is
    told once its requests had `grace_ms` to arrive, told again while late ones come, and takes none
    after `retain_ms`. A cell has `room_bytes` for windows, which is less than a record may hold.
    """

    suspect_after_ms: int = 30_000
    hole_ms: int = 15_000
    steady_beats: int = 3
    window_ms: int = 60_000
    grace_ms: int = 10_000
    retain_ms: int = 300_000
    ahead_ms: int = 60_000
    room_bytes: int = 1_000_000
    sweep_ms: int = 5_000
    forget_ms: int = 7 * 86_400_000


FOLD = FoldRules()
