# SPDX-License-Identifier: Apache-2.0
"""Where a run keeps its things: one folder with the ledger and its archive."""

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import CallerError

DEFAULT_HOME = Path("out")


class NoRunError(CallerError):
    """There is no run where one was looked for."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run's folder."""

    path: Path

    @property
    def ledger(self) -> Path:
        """The embedded ledger's file."""
        return self.path / "ledger.db"

    @property
    def archive(self) -> Path:
        """The archive's folder."""
        return self.path / "archive"

    def existing(self) -> "RunFolder":
        """Return the folder itself.

        Raises `NoRunError` where it holds neither ledger nor archive.
        """
        if not self.ledger.exists() and not self.archive.exists():
            msg = f"{self.path} holds no run; make one: singlepool demo, or name one: --home"
            raise NoRunError(msg)
        return self
