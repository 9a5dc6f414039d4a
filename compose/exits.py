# SPDX-License-Identifier: Apache-2.0
"""How a command ends: exit codes that scripts rely on, and the errors that lead to them."""

from enum import IntEnum

from schemas.errors import CallerError


class Exit(IntEnum):
    """Exit codes. They never change their meaning."""

    DONE = 0
    FAILED = 1
    """The world did not let it: a full disk, a held ledger, events that were refused."""
    USAGE = 2
    """It was asked for wrongly; the message says how to ask."""
    DIVERGED = 3
    """Planning again gave something else, or an archive is not what was sealed."""
    NOT_FOUND = 4
    """No such run, job, moment or refused event."""


class UsageError(CallerError):
    """A command was asked for in a way that has no meaning."""


class NotFoundError(CallerError):
    """What was asked about is not there; the message says where to look for what is."""
