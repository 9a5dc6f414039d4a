# SPDX-License-Identifier: Apache-2.0
"""Make `.venv` what `uv.lock` says, from Python and a package index alone.

1. uv comes from the package index into `.venv-tools`, in the lock's version and with its hashes.
2. `uv sync --frozen` makes `.venv`. Where pip is told to use another index than the one the lock
   was made from, pip fetches the same files from there: versions and hashes are the lock's still.
3. A stamp in `.venv` keeps the hash of all that went in, so the next run only compares it.

Only the standard library is imported: nothing else is there yet.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".venv-tools"
STAMP = VENV / ".in-step-with-lock"
INPUTS = ("pyproject.toml", "uv.lock", "tools/bootstrap.py")
HTTP_TIMEOUT_S = 180  # the largest wheel has some 60 MB: a third of a megabyte a second is enough
OTHER_INDEX_VARIABLES = ("PIP_INDEX_URL", "PIP_NO_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL")


class SetUpError(Exception):
    """A step of the set-up failed; the message says which, and what to do."""


def main() -> int:
    """Bring `.venv` in step with the lock; return the exit code."""
    wanted = fingerprint(ROOT)
    if in_step(wanted):
        return 0
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as turnstile:
        fcntl.flock(turnstile, fcntl.LOCK_EX)  # two makes at once: the second finds the work done
        if in_step(wanted):
            return 0
        try:
            build(find_uv())
        except SetUpError as error:
            print(f"set-up failed: {error}", file=sys.stderr)
            return 1
        STAMP.write_text(wanted, encoding="ascii")
    return 0


def fingerprint(root: Path) -> str:
    """Return the hash of everything that decides what `.venv` holds."""
    digest = hashlib.sha256(sys.version.encode())
    for name in INPUTS:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def in_step(wanted: str) -> bool:
    """Tell whether `.venv` was made from the same inputs, and its interpreter is still there."""
    if not (STAMP.is_file() and (VENV / "bin" / "python").exists()):
        return False
    return STAMP.read_text(encoding="ascii") == wanted


def find_uv() -> Path:
    """Return the lock's uv from `.venv-tools`, installed there by pip if it is not there yet."""
    version, hashes = locked_uv(ROOT / "uv.lock")
    home = TOOLS / f"uv-{version}"
    uv = home / "bin" / "uv"
    if uv.exists():
        return uv
    with tempfile.TemporaryDirectory() as scratch:
        pinned = Path(scratch) / "uv.txt"
        pinned.write_text(" ".join([f"uv=={version}", *(f"--hash={h}" for h in hashes)]))
        asked = ["install", "--quiet", "--require-hashes", "--no-deps", "-r", str(pinned)]
        run("fetch uv", [*pip_for_tools(), *asked, "--target", str(home)])
    return uv


def locked_uv(lock: Path) -> tuple[str, list[str]]:
    """Return the version and the file hashes that the lock gives for uv itself."""
    packages = tomllib.loads(lock.read_text(encoding="utf-8"))["package"]
    uv = next(package for package in packages if package["name"] == "uv")
    return uv["version"], [file["hash"] for file in uv["wheels"]]


def pip_for_tools() -> list[str]:
    """Return the command for a pip: the interpreter's own, or one made in `.venv-tools`."""
    own = [sys.executable, "-m", "pip"]
    if subprocess.run([*own, "--version"], capture_output=True, check=False).returncode == 0:
        return own
    made = TOOLS / "pip"
    if not (made / "bin" / "python").exists():
        remedy = "install pip or venv for this Python (Debian, Ubuntu: apt install python3-venv)"
        run("make an environment for pip", [sys.executable, "-m", "venv", str(made)], remedy)
    return [str(made / "bin" / "python"), "-m", "pip"]


def build(uv: Path) -> None:
    """Make `.venv` with uv; with pip where the index is another one, or uv cannot reach its own."""
    if other_index(os.environ, pip_for_tools()):
        build_with_pip(uv)
        return
    try:
        # Compiled, as pip does it: else each process compiles anew where Python may write no cache.
        sync = [str(uv), "sync", "--frozen", "--compile-bytecode", "--python", sys.executable]
        run("uv sync", sync)
    except SetUpError as error:
        print(f"{error}; trying pip with its own settings", file=sys.stderr)
        build_with_pip(uv)


def other_index(environment: Mapping[str, str], pip: list[str]) -> bool:
    """Tell whether the machine fetches packages from another index than the lock's."""
    if any(environment.get(name) for name in OTHER_INDEX_VARIABLES):
        return True
    settings = ("global.index-url", "install.index-url", "global.no-index")
    asked = ([*pip, "config", "get", setting] for setting in settings)
    return any(subprocess.run(a, capture_output=True, check=False).returncode == 0 for a in asked)


def build_with_pip(uv: Path) -> None:
    """Make `.venv` with the lock's versions and hashes, fetched the way pip is set up here."""
    made = [str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(VENV)]
    run("make .venv", made)
    pip = [*pip_for_tools(), "--python", str(VENV / "bin" / "python"), "install", "--quiet"]
    with tempfile.TemporaryDirectory() as scratch:
        pinned = Path(scratch) / "requirements.txt"
        export = [str(uv), "export", "--quiet", "--frozen", "--no-emit-project"]
        run("read the lock", [*export, "--output-file", str(pinned)])
        run("fetch packages", [*pip, "--require-hashes", "--no-deps", "-r", str(pinned)])
    run("install singlepool", [*pip, "--no-deps", "--editable", str(ROOT)])


def run(step: str, command: list[str], remedy: str = "read the lines above") -> None:
    """Run a command from the project's root; raise `SetUpError`, naming the step, if it fails."""
    environment = dict(os.environ)
    environment.pop("VIRTUAL_ENV", None)  # whatever is active, the target is the project's own
    environment["UV_PROJECT_ENVIRONMENT"] = str(VENV)
    environment["PIP_ROOT_USER_ACTION"] = "ignore"  # a container's root warns of nothing here
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    environment.setdefault("UV_HTTP_TIMEOUT", str(HTTP_TIMEOUT_S))
    if "PIP_CERT" in environment:  # uv does not read pip's setting
        environment.setdefault("SSL_CERT_FILE", environment["PIP_CERT"])
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        message = f"step '{step}' ended with code {done.returncode}; {remedy}"
        raise SetUpError(message)


if __name__ == "__main__":
    sys.exit(main())
