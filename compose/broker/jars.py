# SPDX-License-Identifier: Apache-2.0
"""What a broker on the JVM is made of: a Java, and jars that Maven fetches once."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path

from schemas.errors import WorldError

POM = Path(__file__).with_name("pom.xml")
OLDEST_JAVA = 17

_FETCH_S = 600
_VERSION = re.compile(r'version "(\d+)')


class NoJavaError(WorldError):
    """Java or Maven is missing or too old; the message says what to install."""


class NoJarsError(WorldError):
    """Maven could not fetch the broker's jars; the message ends with what it said."""


def java() -> str:
    """Return the path of a Java that runs the broker. Raises `NoJavaError`."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if found is None:
        msg = f"a broker needs Java {OLDEST_JAVA} or newer, and none is {_where(home)}; {_INSTALL}"
        raise NoJavaError(msg)
    said = subprocess.run(  # noqa: S603  # the Java that was just found
        [found, "-version"], capture_output=True, text=True, check=False
    ).stderr
    version = _VERSION.search(said)
    if version is None or int(version[1]) < OLDEST_JAVA:
        older = f"version {version[1]}" if version else "no Java that says its version"
        msg = f"a broker needs Java {OLDEST_JAVA} or newer, and {found} is {older}; {_INSTALL}"
        raise NoJavaError(msg)
    return found


_INSTALL = "install openjdk-17-jre-headless (Debian), temurin (macOS), or set JAVA_HOME"


def _where(home: str | None) -> str:
    return f"in JAVA_HOME={home}" if home else "on the path"


def jars() -> Path:
    """Return the folder of the broker's jars, after fetching them where they are not there yet.

    The folder is in the user's cache and named after the pom, so that a newer pom has its own.
    Raises `NoJavaError` without Maven, and `NoJarsError` where Maven fails.
    """
    folder = _cache() / f"broker-{sha256(POM.read_bytes()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test workers may want them at once
        if not folder.is_dir():
            _fetch(folder)
    return folder


def _cache() -> Path:
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache") / "singlepool"


def _fetch(folder: Path) -> None:
    """Have Maven copy the jars aside, and name the folder once it is whole."""
    maven = shutil.which("mvn")
    if maven is None:
        msg = "the broker's jars are fetched by Maven; install maven (Debian, macOS), once"
        raise NoJavaError(msg)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="broker-") as aside:
        target = Path(aside) / "lib"
        command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
        done = subprocess.run(  # noqa: S603  # the Maven that was just found, with our own pom
            [*command, f"-DoutputDirectory={target}", "-DincludeScope=runtime"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_FETCH_S,
        )
        if done.returncode != 0:
            msg = f"Maven could not fetch the broker's jars: {done.stdout.strip()[-2_000:]}"
            raise NoJarsError(msg)
        target.rename(folder)
