# SPDX-License-Identifier: Apache-2.0
"""Generate the wire types from `schemas/v1/*.proto`, or check that the committed ones are theirs.

    python -m tools.protos write
    python -m tools.protos check

Protos are compiled from the project's root, because protoc's Python imports follow the file's path.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = Path("schemas/v1")
GENERATED = ("*_pb2.py", "*_pb2.pyi")


class ProtocError(Exception):
    """The protos do not compile; the message is protoc's own."""


def proto_files(root: Path) -> list[str]:
    """Return the contract's files, relative to the root, in a fixed order."""
    return sorted(str(path.relative_to(root)) for path in (root / CONTRACT).glob("*.proto"))


def protoc(root: Path, *options: str) -> None:
    """Run protoc over the contract. Raises `ProtocError` with what protoc says if it fails."""
    command = [sys.executable, "-m", "grpc_tools.protoc", "--proto_path=.", *options]
    done = subprocess.run(
        [*command, *proto_files(root)], cwd=root, check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise ProtocError(done.stderr.strip())


def generate(root: Path, target: Path) -> None:
    """Write the Python modules and their stubs below `target`."""
    plugin = Path(sys.executable).with_name("protoc-gen-mypy")
    protoc(
        root,
        f"--plugin=protoc-gen-mypy={plugin}",
        f"--python_out={target}",
        f"--mypy_out=quiet:{target}",
    )


def describe(root: Path) -> FileDescriptorSet:
    """Return the contract's descriptors, comments and imports included."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "contract.binpb"
        protoc(root, f"--descriptor_set_out={out}", "--include_source_info", "--include_imports")
        return FileDescriptorSet.FromString(out.read_bytes())


def drift(root: Path) -> list[str]:
    """Return one sentence for each generated file that is not what the protos say it is."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(root, Path(scratch))
        made = generated_files(Path(scratch))
    kept = generated_files(root)
    names = sorted({*made, *kept})
    return [_difference(name, made, kept) for name in names if made.get(name) != kept.get(name)]


def rewrite(root: Path) -> None:
    """Bring the generated files in step with the protos. A `ProtocError` leaves them alone."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(root, Path(scratch))
        made = generated_files(Path(scratch))
    for orphan in sorted(generated_files(root).keys() - made.keys()):
        (root / orphan).unlink()
    for name, content in made.items():
        (root / name).write_bytes(content)


def generated_files(root: Path) -> dict[str, bytes]:
    """Return name and content of the generated files below a root."""
    folder = root / CONTRACT
    paths = sorted(path for pattern in GENERATED for path in folder.glob(pattern))
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def _difference(name: str, made: dict[str, bytes], kept: dict[str, bytes]) -> str:
    if name not in kept:
        return f"{name} is missing"
    if name not in made:
        return f"{name} has no proto behind it any more"
    return f"{name} is not what its proto generates"


def main(arguments: list[str]) -> int:
    """Run one of the two commands; return the exit code."""
    match arguments:
        case ["write"]:
            rewrite(ROOT)
            return 0
        case ["check"]:
            complaints = drift(ROOT)
            for complaint in complaints:
                print(f"{complaint}: run `make proto`", file=sys.stderr)
            return 1 if complaints else 0
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
