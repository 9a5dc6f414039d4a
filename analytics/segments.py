# SPDX-License-Identifier: Apache-2.0
"""Names of the archive's files, and how a file is written so that it is whole or not there.

A segment holds the records of one range of positions and is named by it, the end excluded:
`000000000000-000000065536.parquet`. Its seal lies beside it in a small `.json` file of the same
stem. What is not finished carries `.aside` behind its name and means nothing.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

_STEM = re.compile(r"(\d{12})-(\d{12})")
DATA_SUFFIX = ".parquet"
SEAL_SUFFIX = ".json"
ASIDE_SUFFIX = ".aside"


class Span(Struct, frozen=True, order=True):
    """Positions `first` to `end`, the end excluded."""

    first: int
    end: int

    @property
    def stem(self) -> str:
        """The name that its files share, without suffix."""
        return f"{self.first:012d}-{self.end:012d}"

    @property
    def data_name(self) -> str:
        """Name of the file with the records."""
        return self.stem + DATA_SUFFIX

    @property
    def seal_name(self) -> str:
        """Name of the file with the seal."""
        return self.stem + SEAL_SUFFIX


class Listing(Struct, frozen=True):
    """What lies in an archive's folder, each part in order."""

    data: tuple[Span, ...]
    seals: tuple[Span, ...]
    asides: tuple[str, ...]
    foreign: tuple[str, ...]


def list_folder(folder: Path) -> Listing:
    """Return what lies in an archive's folder; a folder that is not there holds nothing."""
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    data = _spans(names, DATA_SUFFIX)
    seals = _spans(names, SEAL_SUFFIX)
    asides = tuple(name for name in names if name.endswith(ASIDE_SUFFIX))
    known = {s.data_name for s in data} | {s.seal_name for s in seals} | set(asides)
    return Listing(data, seals, asides, tuple(n for n in names if n not in known))


def _spans(names: Iterable[str], suffix: str) -> tuple[Span, ...]:
    found: list[Span] = []
    for name in names:
        match = _STEM.fullmatch(name.removesuffix(suffix))
        if match is None or not name.endswith(suffix):
            continue
        span = Span(int(match[1]), int(match[2]))
        if span.first < span.end:
            found.append(span)
    return tuple(sorted(found))


def write_aside(folder: Path, name: str, content: bytes) -> Path:
    """Write a file under its unfinished name, down to the disk; return that path."""
    path = folder / (name + ASIDE_SUFFIX)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return path


def sync_folder(folder: Path) -> None:
    """Bring the folder's own list of names down to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
