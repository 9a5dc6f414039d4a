# SPDX-License-Identifier: Apache-2.0
"""What every long-running process has: a log of JSON lines, and an ear for the end."""

import logging
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from threading import Event, current_thread, main_thread
from types import FrameType

import structlog
from structlog.typing import FilteringBoundLogger

_STAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)


def json_log() -> FilteringBoundLogger:
    """Return a log of JSON lines on stderr, each with the time of day.

    What libraries warn of comes out there in the same form.
    """
    _listen_to_libraries()
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            _STAMP,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    return log


def _listen_to_libraries() -> None:
    """Send what is logged the standard way to stderr as JSON lines, unless somebody listens."""
    processors = structlog.stdlib.ProcessorFormatter
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        processors(
            foreign_pre_chain=[
                structlog.stdlib.add_logger_name,
                structlog.stdlib.add_log_level,
                _STAMP,
                structlog.processors.format_exc_info,
            ],
            processors=[processors.remove_processors_meta, structlog.processors.JSONRenderer()],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING)


@contextmanager
def end_told(log: FilteringBoundLogger) -> Generator[None]:
    """Say with which error a process stops, so that its log's last line is one like the others."""
    try:
        yield
    except Exception as error:
        log.error("stopped", error=str(error))  # noqa: TRY400  # a sentence, and no trace
        raise


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
