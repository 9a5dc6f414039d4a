# SPDX-License-Identifier: Apache-2.0
"""Hold the contract to what it promised: compare `schemas/v1/*.proto` with the committed baseline.

python -m tools.contract check      # additions pass, breaks are refused
python -m tools.contract accept     # the same, then the baseline becomes the contract as it is
"""

import sys
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tools.breaking import Break, breaks
from tools.protos import CONTRACT, ROOT, describe

BASELINE = CONTRACT / "baseline.binpb"


def bare(descriptors: FileDescriptorSet) -> FileDescriptorSet:
    """Return a descriptor set without comments and places, which promise nothing."""
    result = FileDescriptorSet()
    result.CopyFrom(descriptors)
    for file in result.file:
        file.ClearField("source_code_info")
    return result


def check(root: Path) -> list[Break]:
    """Return how the contract breaks its baseline. Raises `FileNotFoundError` without one."""
    return breaks(FileDescriptorSet.FromString((root / BASELINE).read_bytes()), describe(root))


def accept(root: Path) -> list[Break]:
    """Move the baseline to the contract, unless that breaks it; return what breaks."""
    found = check(root) if (root / BASELINE).exists() else []
    if not found:
        content = bare(describe(root)).SerializeToString(deterministic=True)
        (root / BASELINE).write_bytes(content)
    return found


def main(arguments: list[str]) -> int:
    """Run one of the two commands; return the exit code."""
    match arguments:
        case ["check"]:
            found = check(ROOT)
        case ["accept"]:
            found = accept(ROOT)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    for broken in found:
        print(broken, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
