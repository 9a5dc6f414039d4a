# SPDX-License-Identifier: Apache-2.0
"""Waiting for what other processes bring about, in their own time."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 120.0
_LOOK_S = 0.1
_T = TypeVar("_T")


def eventually(holds: Callable[[], _T], what: object, patience_s: float = PATIENCE_S) -> _T:
    """Wait until something holds, and return it; fail with what did not."""
    deadline = time.monotonic() + patience_s
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {patience_s:.0f} s: {what}"
        time.sleep(_LOOK_S)
    return found
