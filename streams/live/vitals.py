# SPDX-License-Identifier: Apache-2.0
"""What a process that is no engine says of itself: some figures, and that it gets on."""

from msgspec import json
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from streams.live.health import STALE_MS
from streams.live.ports import Clock


class Vitals:
    """Figures of one process, by name. Written by its loop, read by the pages of its port."""

    def __init__(self, process: str, clock: Clock) -> None:
        """Start as a process that is not ready; its metrics begin with its name."""
        self._clock, self._process = clock, process
        self._touched_ms = clock.steady_ms()
        self._figures: dict[str, int] = {}
        self.ready = False

    def touch(self, *, ready: bool, **figures: int) -> None:
        """Say that the process gets on, and how far it is."""
        self._figures = figures
        self.ready = ready
        self._touched_ms = self._clock.steady_ms()

    @property
    def alive(self) -> bool:
        """Whether the loop was heard of lately."""
        return self._clock.steady_ms() - self._touched_ms <= STALE_MS

    def text(self) -> bytes:
        """Return what was last said, as JSON."""
        told = {"process": self._process, **self._figures}
        return json.encode({**told, "ready": self.ready, "alive": self.alive})

    @property
    def metrics(self) -> "VitalMetrics":
        """The same for Prometheus."""
        return VitalMetrics(self)

    def gauges(self) -> bytes:
        """Return the figures in Prometheus' text form."""
        registry = CollectorRegistry()
        for name, figure in self._figures.items():
            about = f"What {self._process} last said of its {name.replace('_', ' ')}."
            Gauge(f"singlepool_{self._process}_{name}", about, registry=registry).set(figure)
        return generate_latest(registry)


class VitalMetrics:
    """A process's figures as Prometheus reads them."""

    def __init__(self, vitals: Vitals) -> None:
        """Show these."""
        self._vitals = vitals

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text form."""
        return self._vitals.gauges()
