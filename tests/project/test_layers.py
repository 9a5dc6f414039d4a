# SPDX-License-Identifier: Apache-2.0
"""The layers bite: each import they forbid is refused, in a project made of it alone."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.project.sources import PACKAGES, ROOT

REFUSED = {
    "schemas": ["solvers", "engine", "duckdb", "ortools", "sqlite3"],
    "solvers": ["engine", "streams", "schemas.v1.fleet_pb2", "google.protobuf", "pyarrow"],
    "engine": ["streams", "analytics", "compose", "ortools", "scipy", "google.protobuf"],
    "streams": ["analytics", "compose", "duckdb", "schemas.v1.fleet_pb2"],
    "analytics": ["streams", "compose", "confluent_kafka", "faust", "sqlite3", "google.protobuf"],
    "compose": ["ortools", "duckdb", "pyarrow", "google.protobuf"],
}
ALLOWED = {
    "schemas.codec": ["schemas.v1.fleet_pb2", "google.protobuf"],
    "solvers": ["schemas", "ortools", "numba"],
    "engine": ["schemas", "solvers"],
    "streams": ["engine", "solvers", "schemas", "sqlite3", "confluent_kafka", "pyarrow"],
    "analytics": ["engine", "schemas", "duckdb", "pyarrow"],
    "compose": ["streams", "analytics", "engine", "cyclopts"],
}


def project(root: Path, imports: dict[str, list[str]]) -> Path:
    """Make the six packages, empty but for the given imports, under the real contracts."""
    (root / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for package in (*PACKAGES, "schemas.v1"):
        folder = root / package.replace(".", "/")
        folder.mkdir()
        (folder / "__init__.py").touch()
    (root / "schemas" / "codec.py").touch()
    (root / "schemas" / "v1" / "fleet_pb2.py").touch()
    for importer, modules in imports.items():
        stem = importer if "." in importer else f"{importer}.probe"
        path = root / f"{stem.replace('.', '/')}.py"
        path.write_text("".join(f"import {module}\n" for module in modules))
    return root


def lint(root: Path) -> tuple[int, str]:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--no-cache"], cwd=root, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_what_the_layers_allow_passes(tmp_path: Path) -> None:
    """Every import in the direction of the arrows is accepted."""
    code, said = lint(project(tmp_path, ALLOWED))
    assert code == 0, said


@pytest.mark.parametrize("importer", REFUSED)
def test_what_the_layers_forbid_is_refused(tmp_path: Path, importer: str) -> None:
    """Each forbidden import is named; none hides behind another."""
    code, said = lint(project(tmp_path, {importer: REFUSED[importer]}))
    assert code != 0
    for module in REFUSED[importer]:
        refused = module if module.split(".")[0] in PACKAGES else module.split(".")[0]
        assert f"{importer}.probe -> {refused}" in said, said


def test_the_contracts_cover_every_package() -> None:
    """A package that is shipped is a layer."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    layers = settings["importlinter"]["contracts"][0]["layers"]
    named = {name.strip() for layer in layers for name in layer.split("|")}
    assert named == set(PACKAGES)
    assert settings["hatch"]["build"]["targets"]["wheel"]["packages"] == list(PACKAGES)
