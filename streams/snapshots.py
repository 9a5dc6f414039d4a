# SPDX-License-Identifier: Apache-2.0
"""Snapshots as files of a folder, named by their position.

A file is written aside, synced and renamed, and the folder synced after it: so a name that is there
stands for a whole snapshot, and one that `put` returned from survives a power cut. It begins with
the SHA-256 of the rest, which is the sum of the last record and then the state; one that was
damaged later is passed over for an older one.
"""

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from schemas.ledger import LedgerStorageError, Snapshot

_SUFFIX = ".snapshot"
_ASIDE = ".aside"
_DIGITS = 19  # of the largest int64: names sort as their positions do
_SUM_BYTES = sha256().digest_size


class SnapshotFolder:
    """A snapshot store in a folder. One process writes, any number read."""

    def __init__(self, folder: Path) -> None:
        """Use a folder; the first snapshot makes it."""
        self._folder = folder

    def put(self, snapshot: Snapshot) -> None:
        """Keep a snapshot durably, in place of one at the same position.

        Raises `LedgerStorageError`, and then what was there before still is.
        """
        path = self._path(snapshot.position)
        aside = path.with_suffix(_ASIDE)
        with _telling(path):
            self._folder.mkdir(parents=True, exist_ok=True)
            for left in self._folder.glob(f"*{_ASIDE}"):
                left.unlink()  # half written when an earlier process died
            with aside.open("wb") as file:
                content = snapshot.last_sum + snapshot.data
                file.write(sha256(content).digest())
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
            self._sync_folder()

    def latest(self, position: int | None = None) -> Snapshot | None:
        """Return the newest sound snapshot, of at most `position` where one is given."""
        for found in reversed(self.positions()):
            if position is None or found <= position:
                content = self._sound(found)
                if content is not None:
                    return Snapshot(found, content[_SUM_BYTES:], content[:_SUM_BYTES])
        return None

    def positions(self) -> Sequence[int]:
        """Return the positions of all snapshots, rising; reading one may show it to be damaged."""
        names = (path.stem for path in self._folder.glob(f"*{_SUFFIX}"))
        return sorted(int(name) for name in names if name.isdecimal())

    def drop(self, position: int) -> None:
        """Forget the snapshot at a position, if there is one."""
        with _telling(self._path(position)):
            self._path(position).unlink(missing_ok=True)

    def _path(self, position: int) -> Path:
        return self._folder / f"{position:0{_DIGITS}d}{_SUFFIX}"

    def _sound(self, position: int) -> bytes | None:
        """Return a snapshot's content, or nothing where it is damaged or was dropped meanwhile."""
        try:
            stored = self._path(position).read_bytes()
        except OSError:
            return None
        told, content = stored[:_SUM_BYTES], stored[_SUM_BYTES:]
        return content if sha256(content).digest() == told else None

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _telling(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        msg = f"{path}: {error.strerror}; look at its permissions and its disk, then try again"
        raise LedgerStorageError(msg) from error
