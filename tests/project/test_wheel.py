# SPDX-License-Identifier: Apache-2.0
"""The wheel, installed with all it needs in a clean place, shares no name with anybody."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.project.sources import PACKAGES, ROOT

BIN = Path(sys.executable).parent
OWNERS = """
import json
from importlib.metadata import distribution, packages_distributions
owners = packages_distributions()
files = distribution("singlepool").files or []
print(json.dumps({"owners": owners, "files": [str(f) for f in files]}))
"""


def run(*command: str | Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built in isolation from the project's source."""
    out = tmp_path_factory.mktemp("wheel")
    run(BIN / "uv", "build", "--quiet", "--wheel", "--out-dir", out)
    [built] = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment that holds the wheel and the locked runtime dependencies."""
    home = tmp_path_factory.mktemp("clean")
    pinned = home / "requirements.txt"
    run(BIN / "uv", "export", "--frozen", "--no-dev", "--no-emit-project", "-o", pinned)
    run(BIN / "uv", "venv", "--quiet", "--python", sys.executable, home / "venv")
    python = home / "venv" / "bin" / "python"
    run(BIN / "uv", "pip", "install", "--quiet", "--python", python, "-r", pinned, wheel)
    return python


@pytest.mark.long
def test_each_package_has_exactly_one_owner(installed: Path) -> None:
    """No other distribution ships a package of our names, which either would silently overwrite."""
    owners = json.loads(run(installed, "-c", OWNERS))["owners"]
    assert {name: owners.get(name) for name in PACKAGES} == {n: ["singlepool"] for n in PACKAGES}


@pytest.mark.long
def test_the_wheel_brings_nothing_else_to_the_top(installed: Path) -> None:
    """Six packages, the distribution's own record, and the command."""
    files = json.loads(run(installed, "-c", OWNERS))["files"]
    tops = {Path(file).parts[0] for file in files if not file.startswith("..")}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


@pytest.mark.long
def test_the_wheel_carries_contract_views_types_and_licence(wheel: Path) -> None:
    """Publishers get protos, analysts SQL, type checkers markers, and everybody the terms."""
    names = zipfile.ZipFile(wheel).namelist()
    assert "schemas/v1/job.proto" in names
    assert "schemas/v1/job_pb2.py" in names
    assert any(name.startswith("analytics/views/") and name.endswith(".sql") for name in names)
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
