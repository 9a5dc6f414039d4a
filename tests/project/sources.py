# SPDX-License-Identifier: Apache-2.0
"""The project's own files, as the tests of this folder read them."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "solvers", "engine", "streams", "analytics", "compose")
FOLDERS = (*PACKAGES, "tools", "tests", "docs", ".ci")
TEXT = {".py", ".md", ".proto", ".sql", ".toml", ".yaml", ".yml", ".sh", ".json", ""}


def files_below(*folders: str) -> list[Path]:
    """Return the files below the root's folders, without caches, in a fixed order."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*"))
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def written_files() -> list[Path]:
    """Return every text that people write: code, contract, SQL, documents, settings."""
    at_root = [path for path in ROOT.iterdir() if path.is_file() and path.name != "uv.lock"]
    candidates = [*sorted(at_root), *files_below(*FOLDERS)]
    return [path for path in candidates if path.suffix in TEXT and not is_generated(path)]


def python_files(*folders: str) -> list[Path]:
    """Return the Python files below the root's folders that people write."""
    chosen = folders or (*PACKAGES, "tools", "tests")
    return [p for p in files_below(*chosen) if p.suffix == ".py" and not is_generated(p)]


def is_generated(path: Path) -> bool:
    """Tell whether a file is made by protoc."""
    return path.name.endswith(("_pb2.py", "_pb2.pyi"))


def named(path: Path) -> str:
    """Return a path as the reader knows it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


@cache
def tree(path: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported(module: ast.Module) -> Iterator[str]:
    """Yield the full name of every module that a module imports from."""
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(name), level=0):
                yield name
            case _:
                pass


def listed(complaints: Iterable[str]) -> str:
    """Return complaints as lines, so that a failing test reads as a list of what to do."""
    return "\n".join(complaints)
