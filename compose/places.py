# SPDX-License-Identifier: Apache-2.0
"""Where a run keeps its things: one folder with the ledger and its archive."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from compose.exits import NotFoundError

DEFAULT_HOME = Path("out")
POOL_OF_DEMO = DEFAULT_HOME / "demo" / "pool"
"""The run that questions are about unless another is named."""
DESK = DEFAULT_HOME / "desk"
"""Where `publish` keeps its ledger unless another place is named."""


class NoRunError(NotFoundError):
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

    def emptied(self) -> "RunFolder":
        """Make the folder, or remove an earlier run from it; what else lies there stays."""
        self.path.mkdir(parents=True, exist_ok=True)
        for suffix in ("", "-wal", "-shm", "-journal"):
            self.ledger.with_name(self.ledger.name + suffix).unlink(missing_ok=True)
        if self.archive.is_dir():
            shutil.rmtree(self.archive)
        return self

    def with_ledger(self) -> "RunFolder":
        """Return the folder itself. Raises `NoRunError` where it holds no ledger."""
        if not self.ledger.exists():
            msg = (
                f"{self.path} holds no ledger; singlepool publish FILE --home {self.path} makes one"
            )
            raise NoRunError(msg)
        return self

    def with_archive(self) -> "RunFolder":
        """Return the folder itself. Raises `NoRunError` where it holds no archive."""
        if not self.archive.is_dir():
            msg = f"{self.path} holds no run; singlepool demo makes one, --home names another"
            raise NoRunError(msg)
        return self
