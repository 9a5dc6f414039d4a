# SPDX-License-Identifier: Apache-2.0
"""The fingerprint of this build: what must be equal for a plan to be reproduced bit by bit."""

import platform
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable

_PACKAGES = ("schemas", "solvers", "engine")
_LIBRARIES = ("numba", "numpy", "ortools", "scipy")


@cache
def fingerprint() -> str:
    """Return 16 hex digits over the core's sources, numeric libraries, Python and processor."""
    hashed = sha256()
    for package in _PACKAGES:
        _add(hashed.update, files(package), package)
    for library in _LIBRARIES:
        hashed.update(f"{library} {version(library)}\n".encode())
    hashed.update(f"{platform.python_version()} {platform.machine()}".encode())
    return hashed.hexdigest()[:16]


def _add(update: Callable[[bytes], None], folder: Traversable, name: str) -> None:
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.is_dir() and entry.name != "__pycache__":
            _add(update, entry, f"{name}/{entry.name}")
        elif entry.name.endswith(".py"):
            update(f"{name}/{entry.name}\n".encode())
            update(entry.read_bytes())
