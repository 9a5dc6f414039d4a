# SPDX-License-Identifier: Apache-2.0
"""What is installed is decided in two files, and the two agree."""

import re
import tomllib
from typing import Any

import pytest

from tests.project.sources import PACKAGES, ROOT, imported, listed, python_files, tree

PINNED = re.compile(r"^[A-Za-z0-9._-]+(?:\[[a-z,]+\])?==[A-Za-z0-9.]+$")

# Installed under one name, imported under another.
IMPORT_NAMES = {
    "aiokafka": "faust",  # Faust's client, pinned beside it: what was measured is of this version
    "cramjam": "faust",  # the codecs of Faust's client, which it looks for and does not ask for
    "faust-streaming": "faust",
    "protobuf": "google",
    "vl-convert-python": "vl_convert",
}


def settings() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def asked_for() -> list[str]:
    project = settings()
    return [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *project["tool"]["uv"]["build-constraint-dependencies"],
    ]


def test_every_dependency_is_pinned_to_one_version() -> None:
    """No range: what was tested is what is installed."""
    loose = [asked for asked in asked_for() if not PINNED.match(asked)]
    assert not loose, listed(loose)


@pytest.mark.parametrize("loose", ["numpy", "numpy>=2", "numpy==2.*", "numpy>=2,<3", "numpy~=2.0"])
def test_a_range_is_not_a_pin(loose: str) -> None:
    """The check on pins tells a version from a range."""
    assert not PINNED.match(loose)


def test_the_lock_holds_what_is_asked_for() -> None:
    """A pin that was changed without `uv lock` is found here, and not by the next newcomer."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    locked = {package["name"]: package["version"] for package in packages}
    wanted = [a.split("==") for a in asked_for() if not a.startswith("hatchling")]
    stale = [f"{n}: asked {v}, locked {locked.get(n)}" for n, v in wanted if locked.get(n) != v]
    assert not stale, listed(stale)


def test_the_lock_knows_the_hash_of_every_file() -> None:
    """A file that changed at the index is refused."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    files = [file for package in packages for file in package.get("wheels", [])]
    assert files
    assert all(file["hash"].startswith("sha256:") for file in files)


def test_every_dependency_has_a_use() -> None:
    """A runtime dependency that nobody imports is one that nobody wants to upgrade."""
    asked = [a.split("==")[0] for a in settings()["project"]["dependencies"]]
    used = {name.split(".")[0] for path in python_files(*PACKAGES) for name in imported(tree(path))}
    idle = [a for a in asked if IMPORT_NAMES.get(a, a.replace("-", "_")) not in used]
    assert not idle, listed(idle)
