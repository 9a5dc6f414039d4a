# SPDX-License-Identifier: Apache-2.0
"""The option and the port by which a process that serves shows how it is."""

from contextlib import ExitStack, closing
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from streams.live.health import HealthPort
from streams.live.process import json_log
from streams.live.vitals import Vitals

_LAST_PORT = 65_535

HealthPortNumber = Annotated[
    int | None, Parameter(name="--health-port", validator=Number(gte=0, lte=_LAST_PORT))
]


def health_shown(vitals: Vitals, port: int | None) -> ExitStack:
    """Show a process's vitals for as long as the stack is open. Raises `HealthPortError`."""
    with ExitStack() as stack:
        if port is not None:
            shown = stack.enter_context(closing(HealthPort(vitals, vitals.metrics, port)))
            json_log().info("health", port=shown.port)
        return stack.pop_all()
