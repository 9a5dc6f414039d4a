# SPDX-License-Identifier: Apache-2.0
"""Errors of the archive and its history, split by who must act."""

from schemas.errors import CallerError, WorldError


class ArchiveDamagedError(WorldError):
    """The archive's files are not what was sealed; the message names the segment."""


class ArchiveHeldError(WorldError):
    """The archive's folder is another process's to write, or cannot be had for one alone."""


class LedgerGapError(WorldError):
    """The ledger gave another record than the position asked for."""


class QueryError(CallerError):
    """A question that cannot be answered as asked; the message says why and what there is."""
