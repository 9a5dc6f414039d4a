# SPDX-License-Identifier: Apache-2.0
"""What every long-running process has: a log of JSON lines, and an ear for the end."""

import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from threading import Event, current_thread, main_thread
from types import FrameType

import structlog
from structlog.typing import FilteringBoundLogger


def json_log() -> FilteringBoundLogger:
    """Return a log of JSON lines on stderr, each with the time of day."""
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    return log


@contextmanager
def told_to_stop() -> Generator[Event]:
    """Give what SIGTERM and SIGINT set; signals reach the main thread alone."""
    told = Event()
    if current_thread() is not main_thread():
        yield told
        return

    def tell(_: int, __: FrameType | None) -> None:
        told.set()

    before = {number: signal.signal(number, tell) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
