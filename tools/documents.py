# SPDX-License-Identifier: Apache-2.0
"""Files that are made from the contract: written, or compared with what is kept."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Files = Mapping[Path, bytes]
"""Content by path, relative to the project's root."""


def write(root: Path, made: Files, folder: Path | None = None) -> None:
    """Keep files as they are made; those of `folder` that are made no more go."""
    for orphan in _orphans(root, made, folder):
        (root / orphan).unlink()
    for path, content in made.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def drift(root: Path, made: Files, folder: Path | None = None) -> list[str]:
    """Return one sentence for each kept file that is not what would be made."""
    found = [f"{path} is made by nothing any more" for path in _orphans(root, made, folder)]
    for path, content in made.items():
        kept = root / path
        if not kept.is_file():
            found.append(f"{path} is missing")
        elif kept.read_bytes() != content:
            found.append(f"{path} is not what the contract says")
    return found


def _orphans(root: Path, made: Files, folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    kept = (path.relative_to(root) for path in sorted((root / folder).rglob("*")) if path.is_file())
    return [path for path in kept if path not in made]


def command(
    arguments: Sequence[str],
    usage: str | None,
    root: Path,
    make: Callable[[], Files],
    folder: Path | None = None,
) -> int:
    """Run `write` or `check`; return the exit code."""
    match arguments:
        case ["write"]:
            write(root, make(), folder)
            return 0
        case ["check"]:
            found = drift(root, make(), folder)
            for complaint in found:
                print(f"{complaint}: run `make docs`", file=sys.stderr)
            return 1 if found else 0
        case _:
            print(usage, file=sys.stderr)
            return 2
