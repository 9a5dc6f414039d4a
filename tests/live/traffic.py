# SPDX-License-Identifier: Apache-2.0
"""Upstream and node agents on a real broker: jobs without end, answers to what agents are told.

It publishes what intake would have accepted, or for intake, every tenth event twice, and remembers
what the broker acknowledged. Agents act on a job's directive once, by its position.
"""

import heapq
import random
import threading
import time
from collections.abc import Sequence
from typing import Self

from confluent_kafka import Consumer, KafkaError, Message, Producer
from msgspec import Struct

from schemas import jobs
from schemas.catalogue import BY_EVENT, Event
from schemas.codec import decode_directive, publish
from schemas.directives import (
    Directive,
    LaunchDirective,
    ResizeDirective,
    StopDirective,
    SuspendDirective,
)
from schemas.ids import JobId
from schemas.kinds import Tier
from schemas.records import Origin
from streams.kafka.connection import Connection
from streams.kafka.headers import to_headers
from streams.kafka.keys import key_of
from streams.kafka.topics import ANYBODY, Topology
from streams.live.outputs import POSITION_HEADER, TYPE_HEADER
from tests.engine.stage import genesis, job

TWICE = 10
"""One event of so many is published twice."""

_RUN_S = 0.2


class Load(Struct, frozen=True):
    """How much traffic: onto which fleet, how many jobs a second, of how many devices each."""

    fleet: tuple[Event, ...]
    jobs_per_s: float
    sizes: tuple[int, ...]


SMALL = Load(genesis(), 25.0, (1, 1, 2, 4))
"""More than sixteen devices can serve, so that somebody always waits."""


class Traffic:
    """A thread that publishes and answers. Use as a context manager."""

    def __init__(
        self,
        connection: Connection,
        topology: Topology,
        seed: int,
        load: Load = SMALL,
        *,
        upstream: bool = False,
    ) -> None:
        """Begin with the fleet; with `upstream`, on the topics that intake reads."""
        self._rng = random.Random(seed)  # noqa: S311  # chance that repeats
        self._topology, self._upstream, self._load = topology, upstream, load
        self._producer = Producer(connection.settings() | {"enable.idempotence": True})
        self._agents = Consumer(
            connection.settings()
            | {
                "group.id": topology.group("agent"),
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
            }
        )
        self._agents.subscribe([topology.directives.name])
        self._due: list[tuple[float, int, Event]] = []
        self._told: dict[JobId, int] = {}
        self._checkpoints: dict[JobId, int] = {}
        self._published = self._submitted = 0
        self._since_s: dict[JobId, float] = {}
        self.waits_s: list[float] = []
        """From each submission until an agent read the first launch directive of its job."""
        self.acknowledged: dict[str, Event] = {}
        self.failed: list[KafkaError] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")

    def __enter__(self) -> Self:
        """Publish the fleet, and then without end."""
        self.publish(self._load.fleet)
        self._producer.flush()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()
        self._agents.close()

    def stop(self) -> None:
        """Submit no more, and return when the broker has acknowledged all there was."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._producer.flush()

    def flow(self, seconds: float) -> None:
        """Let traffic flow for a while."""
        assert not self._over.wait(seconds)
        assert self._thread.is_alive()

    def publish(self, events: Sequence[Event]) -> None:
        """Publish as intake does, some twice."""
        for event in events:
            self._published += 1
            name = f"t-{self._published}"
            for _ in range(2 if self._published % TWICE == 0 else 1):
                self._produce(name, event)

    def _produce(self, name: str, event: Event) -> None:
        published = publish(event, Origin(name, "traffic"))

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is None:
                self.acknowledged[name] = event
            else:
                self.failed.append(error)

        self._producer.produce(
            self._topic(event),
            published.payload,
            key_of(event),
            headers=to_headers(published),
            on_delivery=delivered,
        )

    def _topic(self, event: Event) -> str:
        if not self._upstream:
            return self._topology.accepted.name
        return self._topology.published(BY_EVENT[type(event)].family, ANYBODY.name).name

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        next_s = time.monotonic()
        while not self._over.is_set():
            if time.monotonic() >= next_s:
                next_s += self._rng.expovariate(self._load.jobs_per_s)
                self.publish([self._request()])
            for message in self._agents.consume(100, 0.005):
                if message.error() is None:
                    self._act(_directive(message))
            while self._due and self._due[0][0] <= time.monotonic():
                self.publish([heapq.heappop(self._due)[2]])
            self._producer.poll(0)

    def _request(self) -> Event:
        """Return a submission, now and then of premium work, now and then a cancellation."""
        if self._submitted and self._rng.random() < 0.1:
            number = self._rng.randrange(max(0, self._submitted - 20), self._submitted)
            return jobs.JobCancelled(job(f"j{number}").id)
        name = f"j{self._submitted}"
        self._submitted += 1
        premium = self._rng.random() < 0.1
        tier, team = (Tier.PREMIUM, "red") if premium else (Tier.BASIC, "blue")
        wanted = job(name, self._rng.choice(self._load.sizes), tier=tier, team=team)
        self._since_s[wanted.id] = time.monotonic()
        return jobs.JobSubmitted(wanted)

    def _act(self, directive: Directive) -> None:
        """Answer a directive that is newer than the last acted on."""
        name = directive.job
        if directive.position <= self._told.get(name, -1):
            return
        self._told[name] = directive.position
        match directive:
            case LaunchDirective(attempt=attempt, resume=resume, checkpoint=checkpoint):
                if name in self._since_s:
                    self.waits_s.append(time.monotonic() - self._since_s.pop(name))
                begun = (
                    jobs.JobResumed(name, attempt, checkpoint)
                    if resume
                    else jobs.JobStarted(name, attempt)
                )
                self.publish([begun])
                self._later(jobs.JobFinished(name, attempt))
            case SuspendDirective(attempt=attempt):
                number = self._checkpoints[name] = self._checkpoints.get(name, 0) + 1
                self.publish([jobs.JobSuspended(name, attempt, number)])
            case ResizeDirective(attempt=attempt, resize=number, workers=workers):
                self.publish([jobs.JobResized(name, attempt, number, workers)])
            case StopDirective(attempt=attempt):
                self.publish([jobs.JobStopped(name, attempt)])

    def _later(self, event: Event) -> None:
        at_s = time.monotonic() + _RUN_S * (1 + 4 * self._rng.random())
        heapq.heappush(self._due, (at_s, self._published, event))


def _directive(message: Message) -> Directive:
    headers: dict[str, str | bytes | None] = dict(message.headers() or ())
    ce_type, value = headers[TYPE_HEADER], message.value()
    assert isinstance(ce_type, bytes)
    assert value is not None
    directive = decode_directive(ce_type.decode(), value)
    position = headers[POSITION_HEADER]
    assert isinstance(position, bytes)
    assert int(position) == directive.position
    return directive
