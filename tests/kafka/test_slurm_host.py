# SPDX-License-Identifier: Apache-2.0
"""Slurm's topic on a real broker: carried to a domain's jobs, refused with reason, never lost."""

from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager

import pytest
from confluent_kafka import Message, Producer
from msgspec import structs

from schemas.catalogue import Family
from schemas.codec import decode_event
from schemas.errors import WorldError
from schemas.ids import JobId
from schemas.jobs import JobFinished, JobStarted
from schemas.records import Published
from streams.adapters.slurm import RECORD_TYPE, adapt
from streams.adapters.slurm_host import SlurmEnds, SlurmHost, SlurmLostError
from streams.intake import Refused
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.headers import Headers, from_record
from streams.kafka.topics import ANYBODY, Key, Topic, Topology, TopologyError
from tests.eventually import eventually
from tests.intake.upstream import read_all, rejected
from tests.kafka.groups import committed_in
from tests.streams.adapters.test_slurm import OURS, record

PATIENCE_S = 60.0
JOB = JobId("acme/train-7@1")
STARTED = record(OURS, state="RUNNING")
FINISHED = record(OURS, state="COMPLETED")
NOT_SAID = record(OURS, state="CANCELLED")
JUNK = b"\xff{"
NARROW_BYTES = 90
"""A topic that takes no larger record takes none of ours."""


@pytest.fixture
def ends(broker: Connection, topics: Topology) -> SlurmEnds:
    """Slurm's topic beside the declared ones, and the one domain to publish as."""
    slurm = Topic(f"{topics.prefix}slurm.jobs", Key.NONE, (), (), partitions=2)
    with_it = structs.replace(topics, upstream=(*topics.upstream, slurm))
    assert Admin(broker).apply(with_it).done
    return SlurmEnds(broker, broker, topics, ANYBODY.name, slurm.name)


def says(ends: SlurmEnds, *records: bytes | None) -> None:
    """Slurm's plugin publishes, without key or headers."""
    producer = Producer(ends.publishing.settings())
    for each in records:
        producer.produce(ends.topic, each, partition=0)
    assert producer.flush(PATIENCE_S) == 0


@contextmanager
def hosted(ends: SlurmEnds) -> Generator[SlurmHost]:
    with closing(SlurmHost(ends, now_ms=lambda: 7)) as host:
        yield host


def carry(ends: SlurmEnds, count: int) -> None:
    """Carry so many records by a worker of its own."""
    with hosted(ends) as host:
        eventually(lambda: carried(host) >= count, "not carried")
        assert carried(host) == count


def carried(host: SlurmHost) -> int:
    """How many records a worker has carried, one step later."""
    host.step()
    return host.published + host.refused


def jobs(ends: SlurmEnds) -> list[Published | Refused]:
    """What lies in the domain's topic of jobs, in the order of its one key."""
    messages = read_all(ends.publishing, ends.topology.published(Family.JOB, ends.domain).name)
    assert {message.key() for message in messages} <= {JOB.encode()}
    return [from_record(headers(message), message.value()) for message in messages]


def headers(message: Message) -> Headers:
    found: dict[str, str | bytes | None] = dict(message.headers() or ())
    return list(found.items())


def accounted(ends: SlurmEnds) -> Mapping[int, int]:
    """Up to where the group has committed, by partition."""
    return committed_in(ends.publishing, ends.group, ends.topic)


def narrowed(topology: Topology, narrow: str) -> Topology:
    """The declaration in which a topic takes none of our records."""
    if narrow == "rejected":
        rejected_ = structs.replace(topology.rejected, max_message_bytes=NARROW_BYTES)
        return structs.replace(topology, rejected=rejected_)
    upstream = (structs.replace(each, max_message_bytes=NARROW_BYTES) for each in topology.upstream)
    return structs.replace(topology, upstream=tuple(upstream))


def test_records_become_events_and_what_is_none_is_refused_with_its_reason(
    ends: SlurmEnds,
) -> None:
    """In order under the job's key, with CloudEvents headers; all is accounted for afterwards."""
    says(ends, STARTED, NOT_SAID, JUNK, None, FINISHED)
    carry(ends, 5)
    published = jobs(ends)
    assert published == [adapt(STARTED), adapt(FINISHED)]
    events = [decode_event(p.ce_type, p.payload) for p in published if isinstance(p, Published)]
    assert events == [JobStarted(JOB, 3), JobFinished(JOB, 3)]
    kept = rejected(ends.refusing, ends.topology)
    assert [(r.rejection, r.field, r.published.payload) for r in kept] == [
        ("invalid_value", "state", NOT_SAID),
        ("malformed", "payload", JUNK),
        ("malformed", "payload", b""),
    ]
    assert {(r.published.ce_type, r.recorded_ms) for r in kept} == {(RECORD_TYPE, 7)}
    assert "the agent reports that" in kept[0].rule
    assert accounted(ends) == {0: 5}


def test_who_comes_next_goes_on_behind_what_is_accounted_for(ends: SlurmEnds) -> None:
    """A worker that left in good order leaves nothing to be published twice."""
    says(ends, STARTED)
    carry(ends, 1)
    says(ends, FINISHED)
    carry(ends, 1)
    assert jobs(ends) == [adapt(STARTED), adapt(FINISHED)]


@pytest.mark.parametrize("narrow", ["jobs", "rejected"])
def test_what_was_not_delivered_is_not_accounted_for(ends: SlurmEnds, narrow: str) -> None:
    """Event or refusal: where the broker does not take it, the next worker carries all of it."""
    topology = ends.topology
    assert Admin(ends.publishing).apply(narrowed(topology, narrow)).done
    says(ends, STARTED, NOT_SAID, FINISHED)
    with pytest.raises(WorldError, match=r"delivered|acknowledged"):
        carry(ends, 3)
    assert accounted(ends) == {}
    assert Admin(ends.publishing).apply(topology).done
    carry(ends, 3)
    once = [adapt(STARTED), adapt(FINISHED)]
    assert jobs(ends) == (once if narrow == "jobs" else once * 2)
    assert [r.published.payload for r in rejected(ends.refusing, topology)] == [NOT_SAID]
    assert accounted(ends) == {0: 3}


def test_a_topic_or_a_domain_that_is_not_there_is_named(ends: SlurmEnds) -> None:
    """Neither is waited for: an operator has to do something."""
    nowhere = SlurmEnds(ends.publishing, ends.refusing, ends.topology, "main", "no.such")
    with hosted(nowhere) as host, pytest.raises(SlurmLostError, match=r"no\.such cannot be read"):
        host.run(lambda: False)
    with pytest.raises(TopologyError, match="'else'"):
        SlurmHost(SlurmEnds(ends.publishing, ends.refusing, ends.topology, "else", ends.topic))
