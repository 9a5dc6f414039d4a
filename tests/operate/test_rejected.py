# SPDX-License-Identifier: Apache-2.0
"""`rejected` on a broker with several trust domains: nobody speaks with another's rights."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from compose.exits import Exit
from schemas.catalogue import Family
from schemas.codec import publish
from schemas.ids import job_id
from schemas.jobs import JobCancelled
from schemas.ledger import Batch, RejectedEvent
from schemas.records import Origin, Published
from streams.intake.batched import BatchedIntake
from streams.kafka.admin import Admin
from streams.kafka.connection import Connection
from streams.kafka.domains import read_domains
from streams.kafka.ledger import KafkaLedger
from streams.kafka.publisher import Publisher
from streams.kafka.rejected import read_refused
from streams.kafka.topics import Topology, declare
from tests.compose.conftest import Singlepool
from tests.intake.upstream import headers_of, read_all

JUNK = Published("singlepool.job.started.v1", b"\xff", Origin("junk", "test"))
RIVALS = publish(JobCancelled(job_id("rival", "train-7", 1)), Origin("rivals", "test"))
DOMAINS = """
[domains.core]

[domains.batch]
families = ["job.events"]
tenants = ["acme"]
"""


@pytest.fixture
def domains(tmp_path: Path) -> Path:
    """A file with two trust domains, one of which speaks for one tenant."""
    file = tmp_path / "domains.toml"
    file.write_text(DOMAINS)
    return file


@pytest.fixture
def installation(broker: Connection, topology: Topology, domains: Path) -> Topology:
    """The topics of both, on the broker."""
    declared = declare(read_domains(domains), prefix=topology.prefix, partitions=2)
    assert Admin(broker).apply(declared).done
    return declared


def refuse(broker: Connection, topology: Topology, *said: tuple[str, Published]) -> None:
    """Publish as domains what intake refuses."""
    for domain, event in said:
        with closing(Publisher(broker, topology, domain)) as publisher:
            publisher.publish([event])
    intake = BatchedIntake(broker, topology)
    intake.run(lambda: intake.taken >= len(said))


def told(broker: Connection, topology: Topology) -> dict[str, list[str]]:
    """The ids of what lies on each domain's topic of jobs."""
    return {
        domain.name: sorted(
            read_refused(headers_of(record), b"").published.origin.ce_id
            for record in read_all(broker, topology.published(Family.JOB, domain.name).name)
        )
        for domain in topology.domains
    }


def test_a_refused_event_goes_to_the_topic_that_it_came_by_again(
    broker: Connection, installation: Topology, domains: Path, singlepool: Singlepool
) -> None:
    """Whatever domain is named; what its own may not say goes by its number alone, as it came."""
    at = ("--bootstrap", broker.bootstrap, "--prefix", installation.prefix, "--domains", domains)
    refuse(broker, installation, ("core", JUNK), ("batch", JUNK), ("batch", RIVALS))
    ended = singlepool("rejected", "replay", "--domain", "core", *at, "-o", "json")
    assert (ended.code, ended.err) == (Exit.DONE, "")
    counts = {"published": 2, "left_without_topic": 0, "left_not_authorised": 1}
    assert json.loads(ended.out) == counts
    assert told(broker, installation) == {"core": ["junk"] * 2, "batch": ["junk", "junk", "rivals"]}

    ((number, topic),) = listed(singlepool, at)
    assert topic == installation.published(Family.JOB, "batch").name
    assert singlepool("rejected", "replay", number, "--domain", "core", *at).code == Exit.DONE
    assert told(broker, installation)["core"] == ["junk"] * 2
    assert told(broker, installation)["batch"] == ["junk", "junk", "rivals", "rivals"]
    assert listed(singlepool, at) == []


def listed(singlepool: Singlepool, at: Sequence[object]) -> list[tuple[int, str]]:
    """Number and topic of the refused events that are open."""
    rows = json.loads(singlepool("rejected", "list", *at, "-o", "json").out)
    return [
        (
            row["number"],
            json.loads(singlepool("rejected", "show", row["number"], *at, "-o", "json").out)[
                "topic"
            ],
        )
        for row in rows
    ]


def test_what_the_engine_refused_goes_as_the_domain_that_is_named(
    broker: Connection, installation: Topology, domains: Path, singlepool: Singlepool
) -> None:
    """No topic is known of it; where the domain has none for it, it is left and stops nobody."""
    at = ("--bootstrap", broker.bootstrap, "--prefix", installation.prefix, "--domains", domains)
    with KafkaLedger(broker, installation) as ledger:
        wrong = RejectedEvent(JUNK, "conflict", "job", "x", "because", 7)
        ledger.append(ledger.acquire("test"), 0, Batch([], {}, [wrong]))
    refuse(broker, installation, ("batch", JUNK))
    ended = singlepool("rejected", "replay", *at, "-o", "json")
    assert json.loads(ended.out)["published"] == json.loads(ended.out)["left_without_topic"] == 1
    assert "'main'" in ended.err
    assert told(broker, installation) == {"core": [], "batch": ["junk"] * 2}
    assert singlepool("rejected", "replay", 1, "--domain", "core", *at).code == Exit.DONE
    assert told(broker, installation) == {"core": ["junk"], "batch": ["junk"] * 2}


def test_what_came_by_a_topic_that_is_not_declared_is_left(
    broker: Connection, installation: Topology, singlepool: Singlepool
) -> None:
    """Without the file of the domains, nothing of theirs becomes the word of another one."""
    at = ("--bootstrap", broker.bootstrap, "--prefix", installation.prefix)
    refuse(broker, installation, ("batch", JUNK))
    ended = singlepool("rejected", "replay", *at, "-o", "json")
    assert (json.loads(ended.out)["left_without_topic"], "--domains" in ended.err) == (1, True)
    assert singlepool("rejected", "replay", 1, *at).code == Exit.USAGE
