# SPDX-License-Identifier: Apache-2.0
"""When a worker cannot go on: which errors the client does not mend by itself, and how it ends."""

import os
import traceback
from typing import NoReturn

from confluent_kafka import KafkaError
from structlog.typing import FilteringBoundLogger

from schemas.errors import WorldError
from streams.kafka.membership import stays

BUG, UNSETTLED = 70, 1
"""The exit codes of a process that cannot go on, EX_SOFTWARE, and of one that left unsettled."""


class IntakeLostError(WorldError):
    """The broker failed in a way that the client does not mend by itself."""


def pass_over(error: KafkaError) -> None:
    """Pass over what the client mends by itself. Raises `IntakeLostError` for the rest."""
    if stays(error):
        msg = f"intake cannot go on: {error}"
        raise IntakeLostError(msg)


def end_process(log: FilteringBoundLogger, why: str, code: int = BUG) -> NoReturn:
    """End the process at once: nothing more is acked, so whoever comes next reads it again.

    An exception would not do for Faust: it acks the event that raised it.
    """
    log.critical("intake ends", why=why, error=traceback.format_exc())
    os._exit(code)
