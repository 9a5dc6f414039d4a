# SPDX-License-Identifier: Apache-2.0
"""Generated code follows its protos, the contract its baseline, in a project of one proto."""

from pathlib import Path

import pytest

from tools.breaking import Rule
from tools.contract import BASELINE, accept, check
from tools.protos import CONTRACT, ProtocError, drift, rewrite

PROTO = """\
syntax = "proto3";
package pool.v1;
message Order {
  string job = 1;
}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one proto, its generated code and its baseline."""
    (tmp_path / CONTRACT).mkdir(parents=True)
    write(tmp_path, PROTO)
    rewrite(tmp_path)
    accept(tmp_path)
    return tmp_path


def write(project: Path, proto: str, name: str = "order.proto") -> None:
    (project / CONTRACT / name).write_text(proto)


def test_freshly_generated_code_has_no_drift(project: Path) -> None:
    """What `make proto` writes is what `make check` expects."""
    assert drift(project) == []
    assert check(project) == []


def test_a_changed_proto_is_drift_until_generated_again(project: Path) -> None:
    """Both the module and its stub are named, and generating again settles it."""
    write(project, PROTO.replace("string job = 1;", "string job = 1; string team = 2;"))
    assert drift(project) == [
        "schemas/v1/order_pb2.py is not what its proto generates",
        "schemas/v1/order_pb2.pyi is not what its proto generates",
    ]
    rewrite(project)
    assert drift(project) == []


def test_generated_code_edited_by_hand_is_drift(project: Path) -> None:
    """A single added line is seen."""
    module = project / CONTRACT / "order_pb2.py"
    module.write_text(module.read_text() + "# a touch\n")
    assert drift(project) == ["schemas/v1/order_pb2.py is not what its proto generates"]


def test_missing_and_orphaned_code_is_drift(project: Path) -> None:
    """A proto without its code is named, and so is code without its proto."""
    write(project, PROTO.replace("Order", "Report"), "report.proto")
    (project / CONTRACT / "order.proto").unlink()
    assert drift(project) == [
        "schemas/v1/order_pb2.py has no proto behind it any more",
        "schemas/v1/order_pb2.pyi has no proto behind it any more",
        "schemas/v1/report_pb2.py is missing",
        "schemas/v1/report_pb2.pyi is missing",
    ]
    rewrite(project)
    assert drift(project) == []


def test_a_proto_that_does_not_compile_leaves_the_generated_code_alone(project: Path) -> None:
    """A slip in a proto costs a message from protoc, not the wire types."""
    before = (project / CONTRACT / "order_pb2.py").read_bytes()
    write(project, PROTO.replace("string", "strung"))
    with pytest.raises(ProtocError, match="strung"):
        rewrite(project)
    assert (project / CONTRACT / "order_pb2.py").read_bytes() == before


def test_the_baseline_moves_with_an_addition(project: Path) -> None:
    """An addition passes, is accepted, and is then itself protected."""
    write(project, PROTO.replace("string job = 1;", "string job = 1; string team = 2;"))
    assert check(project) == []
    assert accept(project) == []
    write(project, PROTO)
    assert {each.rule for each in check(project)} == {Rule.FIELD_KEPT}


def test_the_baseline_does_not_move_with_a_break(project: Path) -> None:
    """Accepting a break is refused and changes nothing, so the break is found the next time too."""
    before = (project / BASELINE).read_bytes()
    write(project, PROTO.replace("string job", "int64 job"))
    assert {each.rule for each in accept(project)} == {Rule.FIELD_TYPE}
    assert (project / BASELINE).read_bytes() == before


def test_comments_are_no_part_of_the_promise(project: Path) -> None:
    """Another comment is the same baseline, byte for byte."""
    before = (project / BASELINE).read_bytes()
    write(project, PROTO.replace("string job = 1;", "string job = 1;  // of its tenant"))
    accept(project)
    assert (project / BASELINE).read_bytes() == before


def test_a_lost_baseline_is_an_error(project: Path) -> None:
    """Without a baseline nothing would be held, so the check does not pass quietly."""
    (project / BASELINE).unlink()
    with pytest.raises(FileNotFoundError):
        check(project)
