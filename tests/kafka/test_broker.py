# SPDX-License-Identifier: Apache-2.0
"""The broker on the JVM: what is missing is said, what it is told is right, its processes are ours.

What it does once it runs, the tests beside this one find out.
"""

import os
from pathlib import Path

import pytest

from compose.broker.jars import NoJarsError, NoJavaError, jars, java
from compose.broker.layout import (
    NoBrokerError,
    existing,
    new_layout,
    properties,
    save,
    saved,
)
from compose.broker.nodes import BrokerFailedError, kill, pid_of, start

OLD = "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2"
GOOD = "echo 'openjdk version \"21.0.2\" 2024-01-16' >&2"

FETCHES = """
for word; do case $word in -DoutputDirectory=*) /bin/mkdir "${word#*=}";; esac; done
"""


def program(folder: Path, name: str, script: str) -> None:
    """A program of a name that does what a script says."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with nothing on it: the folder of its programs."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def test_no_clusters_id_looks_like_an_option() -> None:
    """One UUID in 64 begins with a dash in base64, and Kafka's own tools would refuse it."""
    assert not [i for i in range(1_000) if new_layout(1, 9092).cluster.startswith("-")]


def test_a_machine_without_java_is_told_what_to_install(bare: Path) -> None:
    """None, one that is too old, and one that says nothing: each is named."""
    with pytest.raises(NoJavaError, match=r"none is on the path; install openjdk-17"):
        java()
    program(bare, "java", OLD)
    with pytest.raises(NoJavaError, match=r"bin/java is version 11; install"):
        java()
    program(bare, "java", "exit 0")
    with pytest.raises(NoJavaError, match="no Java that says its version"):
        java()
    program(bare, "java", GOOD)
    assert java() == str(bare / "java")


def test_the_java_that_is_named_counts(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JAVA_HOME goes before the path, and a wrong one is told rather than passed over."""
    program(bare, "java", GOOD)
    monkeypatch.setenv("JAVA_HOME", str(bare.parent / "home"))
    with pytest.raises(NoJavaError, match="none is in JAVA_HOME="):
        java()
    program(bare.parent / "home" / "bin", "java", GOOD)
    assert java() == str(bare.parent / "home" / "bin" / "java")


def test_a_machine_without_maven_is_told_so_and_a_failing_one_keeps_no_jars(bare: Path) -> None:
    """What Maven said is in the message; the next try begins anew, and a whole folder is kept."""
    with pytest.raises(NoJavaError, match="install maven"):
        jars()
    program(bare, "mvn", "echo 'cannot reach the repository'; exit 1")
    with pytest.raises(NoJarsError, match="cannot reach the repository"):
        jars()
    program(bare, "mvn", FETCHES)
    folder = jars()
    assert folder.is_dir()
    program(bare, "mvn", "exit 1")
    assert jars() == folder


def test_a_node_that_does_not_start_is_told_with_what_it_said(bare: Path, tmp_path: Path) -> None:
    """The reason is in the message, and nothing runs on."""
    program(bare, "java", f"{GOOD}\necho 'out of luck' >&2\nexit 1")
    program(bare, "mvn", FETCHES)
    layout = new_layout(1, 9)
    with pytest.raises(BrokerFailedError, match="out of luck"):
        start(tmp_path / "home", layout)
    assert pid_of(tmp_path / "home", layout.nodes[0]) is None


def test_one_node_is_alone_and_three_hold_a_record_thrice(tmp_path: Path) -> None:
    """Replication and quorum follow from how many there are; nobody beyond this machine is told."""
    one, three = new_layout(1, 9092), new_layout(3, 9092)
    alone = properties(one, one.nodes[0], tmp_path)
    assert alone["controller.quorum.bootstrap.servers"] == "127.0.0.1:9093"
    assert alone["transaction.state.log.min.isr"] == alone["default.replication.factor"] == "1"
    each = [properties(three, node, tmp_path) for node in three.nodes]
    assert {p["controller.quorum.voters"] for p in each} == {
        "1@127.0.0.1:9095,2@127.0.0.1:9096,3@127.0.0.1:9097"
    }
    assert {p["transaction.state.log.replication.factor"] for p in each} == {"3"}
    assert {p["min.insync.replicas"] for p in each} == {"2"}
    assert len({p["log.dirs"] for p in each}) == 3
    for told in (alone, *each):
        assert told["auto.create.topics.enable"] == "false"
        assert "0.0.0.0" not in told["listeners"]  # noqa: S104  # that is what must not be there


def test_a_secured_node_asks_everybody_who_they_are(tmp_path: Path) -> None:
    """Every listener is TLS with a certificate required, and nothing is allowed by default."""
    layout = new_layout(1, 9092, tls=True)
    told = properties(layout, layout.nodes[0], tmp_path)
    assert "PLAINTEXT" not in str(told)
    assert told["ssl.client.auth"] == "required"
    assert told["super.users"] == "User:broker;User:operator"
    assert "allow.everyone.if.no.acl.found" not in told


def test_a_pid_that_somebody_else_has_got_is_left_alone(tmp_path: Path) -> None:
    """A file that names a process of another kind is stale: this very test survives a kill."""
    layout = new_layout(1, 9092)
    folder = tmp_path / "node-1"
    folder.mkdir()
    (folder / "pid").write_text(str(os.getpid()))
    assert pid_of(tmp_path, layout.nodes[0]) is None
    kill(tmp_path, layout.nodes[0])
    (folder / "pid").write_text("nonsense")
    assert pid_of(tmp_path, layout.nodes[0]) is None


def test_a_layout_is_kept_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    """A broker keeps its cluster and ports; without one, and with a torn file, it is said."""
    assert saved(tmp_path) is None
    with pytest.raises(NoBrokerError, match="singlepool broker up"):
        existing(tmp_path)
    layout = new_layout(3, 9092, tls=True)
    save(layout, tmp_path)
    assert existing(tmp_path) == layout
    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(NoBrokerError, match="damaged"):
        existing(tmp_path)
