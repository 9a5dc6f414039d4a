# SPDX-License-Identifier: Apache-2.0
"""`singlepool demo`: a real trace through the whole loop."""

from enum import StrEnum
from typing import Annotated

from cyclopts import Parameter

from analytics.tables import Output
from compose.arguments import Days, Home, OneIn, Shown
from compose.exits import UsageError
from compose.places import DEFAULT_HOME
from streams.traces.openb import Variant
from streams.traces.philly import DAYS

_DEMO = DEFAULT_HOME / "demo"
_OPENB = DEFAULT_HOME / "openb"


class Trace(StrEnum):
    """The public traces that come with the project."""

    PHILLY = "philly"
    OPENB = "openb"


def demo(
    *,
    trace: Annotated[Trace, Parameter(help="which trace")] = Trace.PHILLY,
    days: Days | None = None,
    variant: Annotated[Variant | None, Parameter(help="which list of pods of openb")] = None,
    seed: Annotated[int, Parameter(help="of the order in which openb's pods arrive")] = 0,
    home: Home | None = None,
    verify_one_in: OneIn = 20,
    output: Shown = Output.TABLE,
) -> int:
    """Play a real trace through the whole loop, and compare.

    philly: 16,295 training jobs of Microsoft's, fenced by team and as one pool.
    All there is are days 21-62.

    openb: Alibaba's pods on 1,213 nodes of seven GPU models that they may share,
    and how full the fleet gets by this and other policies.

    Ledgers, archives and pictures go to the home folder; an earlier run there
    is replaced.

    Example: singlepool demo --days 21-22

    Example: singlepool demo --trace openb --output json
    """
    if trace is Trace.PHILLY:
        _refuse(trace, variant=variant, seed=seed or None)
        from compose.demo_philly import play_philly  # noqa: PLC0415  # pictures load for a second

        return play_philly(days or DAYS, home or _DEMO, verify_one_in, output)
    _refuse(trace, days=days)
    from compose.demo_openb import play_openb  # noqa: PLC0415  # as above

    return play_openb(variant or Variant.DEFAULT, seed, home or _OPENB, verify_one_in, output)


def _refuse(trace: Trace, **given: object) -> None:
    """Raise `UsageError` for an option that the trace has no use for."""
    for name, value in given.items():
        if value is not None:
            msg = f"--{name} means nothing to {trace}; see singlepool demo --help"
            raise UsageError(msg)
