# SPDX-License-Identifier: Apache-2.0
"""Health, readiness and metrics on a port of the loopback interface.

`/healthz` is 200 while the process gets on, `/readyz` while it does what it is there for (an
engine: while it leads or has caught up with who does), `/metrics` is what Prometheus scrapes.
Nothing here changes anything.
"""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Protocol

from msgspec import json

from schemas.errors import WorldError
from streams.kafka.partition import PATIENCE_S
from streams.live.ports import Clock, Role

LOOPBACK = "127.0.0.1"
STALE_MS = 4 * int(PATIENCE_S * 1_000)
"""How long a process may be silent before it counts as hanging.

Whoever waits for a broker works, and says nothing meanwhile. The longest that waits in a row is a
transaction: its records, its end, its being aborted, and then the ledger's own end.
"""

_OK, _NOT_FOUND, _UNAVAILABLE = 200, 404, 503
_Page = Callable[[], tuple[int, str, bytes]]


class HealthPortError(WorldError):
    """The port cannot be had; the message says which, and what to do."""


class Signs(Protocol):
    """What a process says of itself."""

    @property
    def alive(self) -> bool:
        """Whether its loop was heard of lately."""
        ...

    @property
    def ready(self) -> bool:
        """Whether it does what it is there for."""
        ...

    def text(self) -> bytes:
        """Return what was last said, as JSON."""
        ...


class Scraped(Protocol):
    """What Prometheus reads."""

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text form."""
        ...


class Status:
    """What an engine last said of itself. Written by its loop, read by the pages."""

    def __init__(self, clock: Clock) -> None:
        """Start as a standby that has not caught up."""
        self._clock = clock
        self._touched_ms = clock.steady_ms()
        self._told: dict[str, object] = {}
        self.ready = False

    def touch(self, role: Role, *, ready: bool, epoch: int, head: int) -> None:
        """Say what this engine is, and that it gets on."""
        self._told = {"role": role.value, "epoch": epoch, "head": head, "ready": ready}
        self._touched_ms = self._clock.steady_ms()
        self.ready = ready

    @property
    def alive(self) -> bool:
        """Whether the loop was heard of lately."""
        return self._clock.steady_ms() - self._touched_ms <= STALE_MS

    def text(self) -> bytes:
        """Return what was last said, as JSON."""
        return json.encode({**self._told, "alive": self.alive})


class HealthPort:
    """Serves the pages from threads of its own. Close it when done."""

    def __init__(self, status: Signs, metrics: Scraped, port: int) -> None:
        """Listen on a port of the loopback interface; 0 takes one that is free.

        Raises `HealthPortError` where it cannot be had.
        """
        pages: dict[str, _Page] = {
            "/healthz": lambda: (_code(status.alive), "application/json", status.text()),
            "/readyz": lambda: (
                _code(status.alive and status.ready),
                "application/json",
                status.text(),
            ),
            "/metrics": lambda: (_OK, "text/plain; version=0.0.4", metrics.text()),
        }
        try:
            self._server = ThreadingHTTPServer((LOOPBACK, port), _handler(pages))
        except OSError as error:
            msg = (
                f"health cannot be shown on port {port} of {LOOPBACK} ({error.strerror}): name "
                "another by --health-port, or 0 for one that is free"
            )
            raise HealthPortError(msg) from error
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _code(good: bool) -> int:  # noqa: FBT001  # the one thing that it turns into a code
    return _OK if good else _UNAVAILABLE


def _handler(pages: dict[str, _Page]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            page = pages.get(self.path)
            told = f"{', '.join(pages)}\n".encode()
            code, kind, body = page() if page else (_NOT_FOUND, "text/plain", told)
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as it is called
            """Say nothing: a scrape every few seconds is no news."""

    return Handler
