# SPDX-License-Identifier: Apache-2.0
"""The repository's own rules, as a test: what no linter knows to look for."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tests.project.sources import (
    PACKAGES,
    ROOT,
    files_below,
    listed,
    named,
    python_files,
    tree,
    written_files,
)

LONGEST_FILE = 500
LONGEST_FUNCTION = 70
SAYS_NOTHING = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}

# Put together from pieces, so that this file does not contain what it looks for.
REGISTRIES = [
    ".".join(name) for name in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))
]
MACHINE_PATH = re.compile(r"(?<![\w.$~}-])/(?:home|root|work|Users|mnt|tmp)/\w")
LEFT_OVER = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
EXCEPTION = re.compile(r"#\s*(?:noqa|type:\s*ignore|pyright:\s*ignore)(?P<rest>.*)")
EXPLAINED = re.compile(r"^(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|\[[\w, -]+\])\s+#\s+\S")


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    """A file has at most 500 lines; typical are 100 to 300."""
    lengths = {path: len(path.read_text().splitlines()) for path in python_files()}
    long = [f"{named(p)} has {n} lines" for p, n in lengths.items() if n > LONGEST_FILE]
    assert not long, listed(long)


def test_no_function_is_longer_than_a_screen() -> None:
    """A function has at most 70 lines besides its docstring; typical are under 25."""
    long = [
        f"{named(path)}:{function.lineno} {function.name} has {body_lines(function)} lines"
        for path in python_files()
        for function in ast.walk(tree(path))
        if isinstance(function, ast.FunctionDef) and body_lines(function) > LONGEST_FUNCTION
    ]
    assert not long, listed(long)


def body_lines(function: ast.FunctionDef) -> int:
    whole = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is None:
        return whole
    return whole - ((first.end_lineno or first.lineno) - first.lineno + 1)


def test_every_contract_file_names_its_licence() -> None:
    """The first line of a proto is its SPDX identifier; ruff holds Python files to the same."""
    bare = [
        named(path)
        for path in files_below("schemas")
        if path.suffix == ".proto"
        and not path.read_text().startswith("// SPDX-License-Identifier: Apache-2.0\n")
    ]
    assert not bare, listed(bare)


def test_file_names_say_what_is_inside() -> None:
    """No file is named after the fact that its author did not know where to put things."""
    found = [named(p) for p in written_files() if p.stem.lower() in SAYS_NOTHING]
    assert not found, listed(found)


def test_nothing_names_a_package_registry() -> None:
    """The package index is the machine's choice; only the lock may name where files were found."""
    found = [f"{where} names a registry" for where, line in written_lines() if names_registry(line)]
    assert not found, listed(found)


def test_nothing_depends_on_one_machine() -> None:
    """No text holds an absolute path of the machine it was written on."""
    found = [
        f"{where}: {line.strip()}" for where, line in written_lines() if MACHINE_PATH.search(line)
    ]
    assert not found, listed(found)


def test_no_work_is_left_as_a_note() -> None:
    """What is not done is in an issue, not in a comment."""
    found = [
        f"{where}: {line.strip()}" for where, line in written_lines() if LEFT_OVER.search(line)
    ]
    assert not found, listed(found)


def test_every_exception_to_a_check_has_its_reason_on_the_line() -> None:
    """A noqa or ignore names its codes and then says why: `# noqa: S101  # the reason`."""
    found = [
        f"{named(path)}:{number} {line.strip()}"
        for path in python_files(*PACKAGES, "tools")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if (told := EXCEPTION.search(line)) and not EXPLAINED.match(told["rest"])
    ]
    assert not found, listed(found)


def test_every_test_says_what_must_hold() -> None:
    """A test opens with a sentence; its name alone is not enough."""
    found = [
        f"{named(path)}:{function.lineno} {function.name}"
        for path in python_files("tests")
        for function in ast.walk(tree(path))
        if isinstance(function, ast.FunctionDef)
        and function.name.startswith("test_")
        and ast.get_docstring(function) is None
    ]
    assert not found, listed(found)


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_is_typed_and_introduced(package: str) -> None:
    """A package tells type checkers that it has types, and readers what it is."""
    assert (ROOT / package / "py.typed").is_file()
    assert ast.get_docstring(tree(ROOT / package / "__init__.py")) is not None


@pytest.mark.parametrize("name", ["README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"])
def test_the_documents_that_everyone_looks_for_are_there(name: str) -> None:
    """A newcomer finds what it is, under which terms, what changed, and how to take part."""
    assert (ROOT / name).read_text().strip()


def test_the_changelog_knows_the_version() -> None:
    """The version in pyproject.toml has its section, or work is collected under Unreleased."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert set(headings) & {"Unreleased", version}


def written_lines() -> list[tuple[str, str]]:
    return [
        (f"{named(path)}:{number}", line)
        for path in written_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    ]


def names_registry(line: str) -> bool:
    return any(registry in line for registry in REGISTRIES)


@pytest.mark.parametrize(
    ("rest", "explained"),
    [
        (": S101  # the caller checked", True),
        (": C901, PLR0911  # a table", True),
        ("[attr-defined]  # an IntEnum", True),
        (": S101", False),
        ("", False),
        ("[misc]", False),
    ],
)
def test_an_exception_without_code_or_reason_is_seen(rest: str, *, explained: bool) -> None:
    """The rule on exceptions tells an explained one from a bare one."""
    assert bool(EXPLAINED.match(rest)) is explained


def test_machine_paths_are_told_from_other_slashes() -> None:
    """A path of a machine is found; a URL's path, a variable's and a relative one are not."""
    machine = f"/{'home'}/someone"
    assert MACHINE_PATH.search(f"open('{machine}')")
    assert not MACHINE_PATH.search(f"https://example.net{machine}")
    assert not MACHINE_PATH.search(f"$ROOT{machine}")
    assert Path(machine).is_absolute()
