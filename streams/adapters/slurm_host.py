# SPDX-License-Identifier: Apache-2.0
"""Carries Slurm's records from the topic of its plugin to a trust domain's topic of jobs.

What a record stands for, `slurm.adapt` says; this reads, publishes, keeps what is refused with its
reason, and commits. At least once: an offset is committed when everything that came of the records
before it was reported delivered. The same record gives the same event, so twice has no effect.
"""

import time
from collections.abc import Callable, Sequence

from confluent_kafka import Consumer, Message, TopicPartition
from msgspec import Struct, structs

from schemas.catalogue import Family
from schemas.errors import WorldError
from schemas.records import Published
from streams.adapters.slurm import adapt
from streams.adapters.slurm_demand import Demand
from streams.intake import Refused
from streams.intake.outbox import LEAVE_S, Outbox
from streams.kafka.connection import Connection
from streams.kafka.membership import commit, leave, stays
from streams.kafka.publisher import Publisher
from streams.kafka.topics import Topology

BATCH = 500
_POLL_S = 0.2


class SlurmLostError(WorldError):
    """Slurm's topic cannot be read; whoever comes next reads again."""


class SlurmEnds(Struct, frozen=True):
    """From where to where: Slurm's topic is read, and jobs are published, as a trust domain.

    Who refuses is another principal: no upstream may write to what was refused.
    """

    publishing: Connection
    refusing: Connection
    topology: Topology
    domain: str
    topic: str

    @property
    def group(self) -> str:
        """The consumer group: one of the domain's own."""
        return f"{self.topology.group(f'upstream.{self.domain}')}.slurm"


class SlurmHost:
    """One worker. Use `run`, or `step` again and again and then `close`."""

    def __init__(
        self,
        ends: SlurmEnds,
        demand: Demand | None = None,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Join the group. Raises `TopologyError` where the domain has no topic of jobs."""
        ends.topology.published(Family.JOB, ends.domain)
        self._topic, self._demand, self._now_ms = ends.topic, demand, now_ms
        self._publisher = Publisher(ends.publishing, ends.topology, ends.domain)
        self._outbox = Outbox(ends.refusing, ends.topology)
        self.published = self.refused = 0
        self._consumer = Consumer(
            ends.publishing.settings()
            | {
                "group.id": ends.group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
            }
        )
        self._consumer.subscribe([ends.topic])

    def run(self, stop: Callable[[], bool]) -> None:
        """Carry until `stop()` is true.

        Raises `SlurmLostError`, `NotPublishedError`, `UndeliveredError` or `NotCommittedError`;
        nothing is lost by it.
        """
        try:
            while not stop():
                self.step()
        finally:
            self.close()

    def step(self, most: int = BATCH) -> int:
        """Carry up to so many records, and return how many there were."""
        records = self._take(most)
        if not records:
            return 0
        now_ms = self._now_ms()
        # 1. Say what each stands for.
        adapted = [adapt(_bytes(record), self._demand) for record in records]
        events = [each for each in adapted if isinstance(each, Published)]
        refused = [each for each in adapted if isinstance(each, Refused)]
        # 2. Have all of it delivered.
        self._publisher.publish(events)
        for each in refused:
            self._outbox.send(structs.replace(each, topic=self._topic), now_ms)
        self._outbox.settle()
        # 3. Only then account for the records.
        self._commit(records)
        self.published += len(events)
        self.refused += len(refused)
        return len(records)

    def close(self) -> None:
        """Leave the group and the broker."""
        leave(self._consumer, LEAVE_S)
        self._publisher.close()

    def _take(self, most: int) -> Sequence[Message]:
        found: list[Message] = []
        for message in self._consumer.consume(most, _POLL_S):
            error = message.error()
            if error is None:
                found.append(message)
            elif stays(error):
                msg = f"{self._topic} cannot be read: {error}"
                raise SlurmLostError(msg)
        return found

    def _commit(self, records: Sequence[Message]) -> None:
        ends = {record.partition(): record.offset() for record in records}
        done = [TopicPartition(self._topic, p or 0, (at or 0) + 1) for p, at in ends.items()]
        commit(self._consumer, done, LEAVE_S)


def _bytes(record: Message) -> bytes:
    value = record.value()
    return value if isinstance(value, bytes) else b""
