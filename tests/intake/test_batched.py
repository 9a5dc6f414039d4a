# SPDX-License-Identifier: Apache-2.0
"""The batched host on a real broker."""

from schemas.ids import JobId
from schemas.jobs import JobStarted
from streams.intake.batched import BatchedIntake
from streams.kafka.connection import Connection
from streams.kafka.topics import Topology
from tests.intake.upstream import Upstream, accepted_events, publish_all


def started(count: int) -> list[JobStarted]:
    return [JobStarted(JobId(f"acme/job-{n % 50}@1"), n + 1) for n in range(count)]


def test_what_is_published_is_accepted(broker: Connection, topics: Topology) -> None:
    """Every event comes through once, by its key in order."""
    publish_all(Upstream(broker, topics), started(1_000))
    intake = BatchedIntake(broker, topics)
    intake.run(lambda: intake.taken >= 1_000)
    found = accepted_events(broker, topics)
    assert sorted(e.attempt for e in found if isinstance(e, JobStarted)) == list(range(1, 1_001))
