# SPDX-License-Identifier: Apache-2.0
"""Node projects as tests: installed from their lock, once, outside the project's folder.

Where CI is true they run or the build fails; elsewhere they are skipped with what is missing.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import pytest

NEEDED = ("node", "npm")
_LOCK = "package-lock.json"
_SETTINGS = ".npmrc"
_DECLARED = ("package.json", _LOCK, _SETTINGS)
_PATIENCE_S = 300
_LAST_LINES = 2_000


def workplace(project: Path, folder: Path) -> Path:
    """Return `folder` with the files of a Node project, and its packages as the lock says."""
    packages = installed(project)
    folder.mkdir(parents=True, exist_ok=True)
    for path in project.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    (folder / "node_modules").symlink_to(packages)
    return folder


def installed(project: Path) -> Path:
    """Return a project's packages, in the user's cache under the name of their lock."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        give_up(
            f"no {' and no '.join(missing)} here; install nodejs and npm (Debian), node (macOS)"
        )
    folder = _cache() / f"npm-{sha256((project / _LOCK).read_bytes()).hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test workers may want them at once
        if not folder.is_dir():
            _install(project, folder)
    return folder / "node_modules"


def give_up(why: str) -> NoReturn:
    """Skip a test, or fail where CI asks for all of them."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def run(folder: Path, *arguments: str) -> str:
    """Return what a script of a workplace says; the test fails with its complaint."""
    done = _called("node", folder, arguments)
    assert done.returncode == 0, done.stderr[-_LAST_LINES:]
    return done.stdout


def _called(
    program: str, folder: Path, arguments: Sequence[str]
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [shutil.which(program) or program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE_S,
    )


def _cache() -> Path:
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache") / "singlepool"


def _install(project: Path, folder: Path) -> None:
    """Have npm install aside, and name the folder once it is whole."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="npm-") as aside:
        target = Path(aside) / "project"
        target.mkdir()
        for name in _DECLARED:
            shutil.copy(project / name, target)
        done = _called("npm", target, ["ci"])
        if done.returncode != 0:
            give_up(f"npm could not install {project.name}: {done.stderr[-_LAST_LINES:]}")
        target.rename(folder)
