# SPDX-License-Identifier: Apache-2.0
"""Nothing in the core sees the clock, chance, the machine, or an order Python does not promise.

Replay is exact only while `engine/` and `solvers/` are functions of what they are given. Imports
are ruff's to refuse (the ban and each reason stand in pyproject.toml); what ruff cannot see is
looked for here, in the syntax tree.
"""

import ast
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest

from tests.project.sources import ROOT, imported, listed, named, python_files, tree

CORE = ("schemas", "solvers", "engine")

BUILTINS = {
    "print": "the core says nothing; it returns what there is to say",
    "open": "files belong to the edges",
    "input": "nobody is there to answer a replay",
    "hash": "differs between processes for text; use the canonical digest",
    "id": "an address is never the same twice",
    "eval": "code is not data",
    "exec": "code is not data",
    "__import__": "an import the layers cannot see",
}
COMPILER_FLAGS = {
    "fastmath": "lets the compiler change the order of sums",
    "parallel": "lets threads race to the last bit",
}
ORDERED_BY = {"sorted", "len", "min", "max", "any", "all", "set", "frozenset", "sum"}
WALKERS = {"list", "tuple", "iter", "enumerate", "map", "filter", "zip", "dict", "next"}
SET_TYPES = {"set", "frozenset", "Set", "AbstractSet", "MutableSet"}
SET_OPERATIONS = {"union", "intersection", "difference", "symmetric_difference"}


@dataclass(frozen=True, slots=True)
class Sets:
    """What is known to be a set where a piece of code stands: plain names, and attributes."""

    names: frozenset[str]
    attributes: frozenset[str]


def hazards(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and reason of what could give another answer in another run."""
    attributes = frozenset(
        last_name(node.target)
        for node in ast.walk(module)
        if isinstance(node, ast.AnnAssign) and is_set_type(node.annotation)
    )
    everywhere = set_names(shallow(module))
    for scope in [module, *functions(module)]:
        nodes = list(shallow(scope))
        sets = Sets(everywhere | set_names(nodes), attributes)
        for node in nodes:
            yield from hazards_at(node, sets)


def functions(module: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)]


def shallow(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a scope, without those of the functions inside it."""
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, ast.FunctionDef):
            yield from shallow(child)
        else:
            for decorator in child.decorator_list:
                yield decorator
                yield from shallow(decorator)


def hazards_at(node: ast.AST, sets: Sets) -> Iterator[tuple[int, str]]:
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in BUILTINS:
            yield node.lineno, f"{name}(): {BUILTINS[name]}"
        case ast.keyword(arg=str(flag)) if flag in COMPILER_FLAGS and not is_false(node.value):
            yield node.value.lineno, f"{flag}: {COMPILER_FLAGS[flag]}"
        case _:
            pass
    for source in walked_through(node):
        if is_set(source, sets):
            yield source.lineno, f"{ast.unparse(source)}: a set has no order; sort it first"


def is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def walked_through(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what a node walks through in an order that its result can show."""
    match node:
        case ast.For() | ast.AsyncFor():
            yield node.iter
        case ast.ListComp() | ast.DictComp():
            yield from (generator.iter for generator in node.generators)
        case ast.Starred():
            yield node.value
        case ast.Call(func=ast.Name(id=name), args=arguments) if name not in ORDERED_BY:
            if name in WALKERS:
                yield from arguments
            yield from drawn_from(arguments)
        case ast.Call(func=ast.Attribute(attr="join" | "extend"), args=arguments):
            yield from [*arguments, *drawn_from(arguments)]
        case ast.Call(func=ast.Attribute(attr="pop", value=owner), args=[]):
            yield owner
        case _:
            pass


def drawn_from(arguments: list[ast.expr]) -> Iterator[ast.expr]:
    """Yield what generator expressions among a call's arguments draw from."""
    for argument in arguments:
        if isinstance(argument, ast.GeneratorExp):
            yield from (generator.iter for generator in argument.generators)


def set_names(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Return the plain names that get a set, by annotation or by assignment."""
    found: set[str] = set()
    for node in nodes:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name)) if is_set_type(node.annotation):
                found.add(name)
            case ast.arg(arg=name, annotation=ast.expr() as annotation) if is_set_type(annotation):
                found.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]) if is_set(node.value, NO_SETS):
                found.add(name)
            case _:
                pass
    return frozenset(found)


def is_set_type(annotation: ast.expr) -> bool:
    head = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return last_name(head) in SET_TYPES


NO_SETS = Sets(frozenset(), frozenset())


def is_set(node: ast.expr, sets: Sets) -> bool:
    match node:
        case ast.Set() | ast.SetComp() | ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.Call(func=ast.Attribute(attr=attr, value=owner)) if attr in SET_OPERATIONS:
            return is_set(owner, sets)
        case ast.BinOp(op=ast.BitAnd() | ast.BitOr() | ast.Sub() | ast.BitXor()):
            return is_set(node.left, sets) or is_set(node.right, sets)
        case ast.Name(id=name):
            return name in sets.names
        case ast.Attribute(attr=attr):
            return attr in sets.attributes
        case _:
            return False


def last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def test_the_core_never_depends_on_run_or_machine() -> None:
    """No builtin of the outside world, no walk through a set, no reordering compiler flag."""
    found = [
        f"{named(path)}:{line} {reason}"
        for path in python_files(*CORE)
        for line, reason in hazards(tree(path))
    ]
    assert not found, listed(found)


def test_wire_types_stop_at_the_codec() -> None:
    """Only the codec sees protobuf or generated code; import-linter holds the other packages."""
    found = [
        f"{named(path)} imports {name}"
        for path in python_files("schemas")
        for name in imported(tree(path))
        if name.startswith(("google.protobuf", "schemas.v1")) and not path.stem.startswith("codec")
    ]
    assert not found, listed(found)


@pytest.mark.parametrize(
    "code",
    [
        "print(1)",
        "key = hash(name)",
        "for x in {1, 2}: use(x)",
        "rows = [x for x in set(names)]",
        "text = ','.join(frozenset(names))",
        "first = next(iter(seen))\nseen: set[str] = set()",
        "def f(names: frozenset[str]): return tuple(names)",
        "def f(names: set[str]): return names.pop()",
        "def f(a: set[str], b: set[str]): return [*(a | b)]",
        "class A:\n    held: frozenset[str]\n    def f(self): return [x for x in self.held]",
        "f(x for x in {1, 2})",
        "@njit(fastmath=True)\ndef f(): ...",
        "seen = {1, 2}\ndef f(): return list(seen)",
    ],
)
def test_what_could_differ_between_two_runs_is_seen(code: str) -> None:
    """Each hazard is found in the shortest code that has it."""
    assert list(hazards(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "for x in sorted({1, 2}): use(x)",
        "known = name in {1, 2}",
        "def f(names: set[str]): return len(names), max(names), sorted(names)",
        "def f(names: set[str]): return all(n for n in names)",
        "def f(names: list[str]): return [n for n in names]",
        "def f(names: set[str]): ...\ndef g(names: list[str]): return list(names)",
        "@njit(fastmath=False, cache=True)\ndef f(): ...",
        "stack.pop()",
    ],
)
def test_what_is_safe_is_left_alone(code: str) -> None:
    """Sorting, asking, counting and lists are no hazard."""
    assert not list(hazards(ast.parse(code)))


@pytest.mark.parametrize("banned", ["time", "datetime", "random", "os", "pathlib", "sqlite3"])
def test_the_linter_keeps_the_world_out_of_the_core(banned: str) -> None:
    """Clock, chance and I/O are refused in the core, with a reason, and allowed at the edges."""
    core, edge = lint(banned, "engine/made_up.py"), lint(banned, "streams/made_up.py")
    assert "TID251" in core
    assert ":" in core.split("TID251", 1)[1].splitlines()[0]
    assert "TID251" not in edge


def lint(module: str, name: str) -> str:
    code = textwrap.dedent(f"""\
        # SPDX-License-Identifier: Apache-2.0
        import {module}
    """)
    ruff = [sys.executable, "-m", "ruff", "check", "--output-format=concise"]
    command = [*ruff, "--select=TID251", f"--stdin-filename={name}", "-"]
    return subprocess.run(
        command, cwd=ROOT, input=code, capture_output=True, text=True, check=False
    ).stdout
