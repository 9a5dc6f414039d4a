# SPDX-License-Identifier: Apache-2.0
"""The processes of one installation on this machine: started, watched, started again, stopped."""

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import DecodeError, Struct, json

from compose.exits import Exit
from compose.processes import called_as
from schemas.errors import WorldError
from streams.closing import Closing
from streams.live.health import LOOPBACK

PATIENCE_S = 60.0
MOST_RESTARTS = 5
"""Of one member within `PATIENCE_S`: one that dies oftener will not come up by being started."""

_ASK_S = 2.0
_LOOK_S = 0.2
_OK = 200
_LAST_BYTES = 20_000
_FILE = "processes.json"
_PROGRAM = "compose.cli"


class CrewError(WorldError):
    """A process of the crew cannot be had; the message says where its log is."""


class _Opened(Struct, frozen=True):
    """The line that says where a process shows its health."""

    port: int


def left_running(folder: Path) -> Mapping[str, int]:
    """Return who runs of an earlier crew that logged into a folder, by name: its process.

    Where whoever looked after them was killed, they go on without.
    """
    try:
        noted = json.decode((folder / _FILE).read_bytes(), type=dict[str, int])
    except (FileNotFoundError, DecodeError):
        return {}
    return {name: pid for name, pid in noted.items() if _PROGRAM in called_as(pid)}


@dataclass(frozen=True, slots=True)
class Member:
    """A process by name, and what `singlepool serve` is told to be it."""

    name: str
    arguments: Sequence[str]


class Crew(Closing):
    """Processes that log into a folder. Use as a context manager: at its end none is left.

    One that died is started again by `look`; one that found a divergence is not, nor one that dies
    again and again.
    """

    def __init__(self, members: Sequence[Member], folder: Path) -> None:
        """Start none yet."""
        self._members = {member.name: member for member in members}
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._begun: dict[str, int] = {}
        self._ports: dict[str, int] = {}
        self._again_at: dict[str, list[float]] = {}
        self.restarts = 0
        folder.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """End what still runs."""
        for running in self._running.values():
            running.kill()
            running.wait()

    @property
    def names(self) -> Sequence[str]:
        """Who is to run."""
        return tuple(self._running)

    def log(self, name: str) -> Path:
        """Return where a member's lines are."""
        return self._folder / f"{name}.log"

    def start(self, *names: str) -> None:
        """Start members; with a session of their own, a terminal's Ctrl+C is not theirs."""
        for name in names:
            program = [sys.executable, "-m", _PROGRAM, "serve", *self._members[name].arguments]
            with self.log(name).open("ab") as log:
                self._begun[name] = log.tell()
                self._ports.pop(name, None)
                self._running[name] = subprocess.Popen(  # noqa: S603  # our own program
                    program, stderr=log, stdout=log, start_new_session=True
                )
        self._note()

    def ended(self, name: str) -> int | None:
        """Return how a member ended, or None while it runs."""
        return self._running[name].poll()

    def look(self) -> None:
        """Start again who died. Raises `CrewError` where that hides something, or is in vain."""
        for name in [name for name, running in self._running.items() if running.poll()]:
            if self.ended(name) in {Exit.USAGE, Exit.DIVERGED}:
                msg = f"{name} ended: {self._last_words(name)}; its log is {self.log(name)}"
                raise CrewError(msg)
            self._start_again(name)

    def _start_again(self, name: str) -> None:
        """Start a member that died, unless it did so too often of late."""
        now = time.monotonic()
        lately = [at for at in self._again_at.get(name, ()) if now - at < PATIENCE_S]
        if len(lately) >= MOST_RESTARTS:
            msg = (
                f"{name} was started again {len(lately)} times within {PATIENCE_S:.0f} s and does "
                f"not stay: {self._last_words(name)}; its log is {self.log(name)}"
            )
            raise CrewError(msg)
        self._again_at[name] = [*lately, now]
        self.restarts += 1
        self.start(name)

    def stop(self, *names: str) -> None:
        """Tell members to leave, and wait. Raises `CrewError` where one ends badly.

        One that is killed meanwhile has left nothing in order: it is started again, to leave then.
        """
        for name in names:
            self._running[name].terminate()
        for name in names:
            while (code := self._left(name)) < 0:
                self._start_again(name)
                self._await_ready(name)
                self._running[name].terminate()
            del self._running[name]
            if code:
                msg = f"{name} ended with {code}: {self._last_words(name)}"
                raise CrewError(msg)
        self._note()

    def _left(self, name: str) -> int:
        """Return with which code a member ended that was told to leave."""
        try:
            return self._running[name].wait(PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            msg = f"{name} does not leave; its log is {self.log(name)}"
            raise CrewError(msg) from error

    def _await_ready(self, name: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.ended(name) is None and not self._page(name, "/readyz"):
            if time.monotonic() > deadline:
                msg = f"{name} does not get ready; its log is {self.log(name)}"
                raise CrewError(msg)
            time.sleep(_LOOK_S)

    def _note(self) -> None:
        """Write down who runs as which process, for whoever wants to end one and watch."""
        pids = {name: running.pid for name, running in self._running.items()}
        (self._folder / _FILE).write_bytes(json.encode(pids))

    # --- what they say of themselves ------------------------------------------------------------

    def says(self, name: str) -> Mapping[str, object]:
        """Return what a member's health page says, or nothing while it cannot be asked."""
        try:
            return json.decode(self._page(name, "/healthz"), type=dict[str, object])
        except DecodeError:
            return {}

    def metrics(self, name: str) -> Mapping[str, float]:
        """Return a member's metrics, summed over their labels; nothing while it cannot be asked."""
        sums: dict[str, float] = {}
        for line in self._page(name, "/metrics").decode().splitlines():
            sample, _, value = line.rpartition(" ")
            if sample and not sample.startswith("#"):
                metric = sample.partition("{")[0]
                sums[metric] = sums.get(metric, 0.0) + float(value)
        return sums

    def last(self, name: str, event: str) -> Mapping[str, object]:
        """Return the last line of a kind that a member logged lately, or nothing."""
        nothing: Mapping[str, object] = {}
        return next((line for line in self._lines(name) if line.get("event") == event), nothing)

    def _page(self, name: str, path: str) -> bytes:
        port = self._port(name)
        if port is None:
            return b""
        asked = http.client.HTTPConnection(LOOPBACK, port, timeout=_ASK_S)
        try:
            asked.request("GET", path)
            answered = asked.getresponse()
            body = answered.read()
        except (OSError, http.client.HTTPException):
            return b""
        finally:
            asked.close()
        return body if answered.status == _OK else b""

    def _port(self, name: str) -> int | None:
        """Return the port on which a member shows its health, or None before it said so."""
        if name not in self._ports:
            with self.log(name).open("rb") as log:
                log.seek(self._begun[name])
                for line in log:
                    if b'"event": "health"' in line and line.endswith(b"\n"):
                        self._ports[name] = json.decode(line, type=_Opened).port
                        break
        return self._ports.get(name)

    def _lines(self, name: str) -> Iterator[Mapping[str, object]]:
        """Yield what a member logged lately, the newest first."""
        for line in reversed(self._tail(name)):
            try:
                yield json.decode(line, type=dict[str, object])
            except DecodeError:
                continue

    def _tail(self, name: str) -> Sequence[bytes]:
        with self.log(name).open("rb") as log:
            size = log.seek(0, 2)
            log.seek(max(0, size - _LAST_BYTES))
            return log.read().splitlines()

    def _last_words(self, name: str) -> str:
        return b" ".join(self._tail(name)[-1:]).decode(errors="replace")
