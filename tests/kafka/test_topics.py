# SPDX-License-Identifier: Apache-2.0
"""The declaration of topics: who may write and read what, and which names can be used."""

import re
from pathlib import Path

import pytest
from msgspec import structs

from schemas.catalogue import Family
from schemas.ids import job_id
from schemas.jobs import JobCancelled
from streams.intake import MAX_PAYLOAD_BYTES
from streams.kafka.plan import configs
from streams.kafka.topics import (
    AGENT,
    ARCHIVER,
    ENGINE,
    INTAKE,
    PUBLISHED_BYTES,
    READER,
    Topic,
    Topology,
    TopologyError,
    TrustDomain,
    declare,
)
from streams.sources import UPSTREAM

JOBS_ONLY = TrustDomain("batch", frozenset({"acme"}), frozenset({Family.JOB}))
WHOLE = TrustDomain("core")


def test_upstream_has_a_topic_per_family_and_trust_domain() -> None:
    """Each is written by its domain alone, and read by intake alone."""
    topology = declare([WHOLE, JOBS_ONLY], prefix="t1.")
    names = {topic.name: topic for topic in topology.upstream}
    assert set(names) == {
        "t1.fleet.events.core",
        "t1.tenant.events.core",
        "t1.job.events.core",
        "t1.request.events.core",
        "t1.job.events.batch",
    }
    for topic in topology.upstream:
        assert topic.domain is not None
        assert topic.writers == (f"upstream.{topic.domain.name}",)
        assert topic.readers == (INTAKE,)
    assert topology.published(Family.JOB, "batch") == names["t1.job.events.batch"]
    with pytest.raises(TopologyError, match=r"fleet.events .* 'batch'"):
        topology.published(Family.FLEET, "batch")


def test_a_domain_speaks_only_for_its_tenants_and_family_whatever_a_record_says() -> None:
    """What intake may accept follows from the topic, not from the record's own source."""
    rules = declare([WHOLE, JOBS_ONLY]).rules
    own, other = (JobCancelled(job_id(tenant, "j", 1)) for tenant in ("acme", "rival"))
    assert rules["job.events.batch"].forbids("anybody", own) is None
    found = rules["job.events.batch"].forbids("anybody", other)
    assert found is not None
    assert (found.field, found.value) == ("tenant", "rival")
    assert rules["job.events.core"].forbids("anybody", other) is None
    assert rules["fleet.events.core"].forbids("anybody", own) is not None


def table(page: str) -> dict[str, list[set[str]]]:
    """What a page's table says each principal writes and reads."""
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", page, re.MULTILINE)
    return {who: [set(re.findall(r"[a-z][a-z' ]*", c)) for c in cells] for who, *cells in rows}


def test_the_page_on_security_names_what_each_principal_writes_and_reads() -> None:
    """The table in `docs/kafka.md` is the declaration: an operator plans certificates by it."""
    topology = declare([WHOLE])
    said = table((Path(__file__).parents[2] / "docs" / "kafka.md").read_text())
    assert said.pop("operator") == [{"everything"}, {"everything"}]
    assert set(said) == {INTAKE, ENGINE, ARCHIVER, AGENT, READER}
    for who, named in said.items():
        for names, of in zip(named, ("writers", "readers"), strict=True):
            meant = {
                "upstream's topics" if topic.family else field
                for field, topic in fields(topology)
                if who in getattr(topic, of)
            }
            assert names == meant, (who, of)


def fields(topology: Topology) -> list[tuple[str, Topic]]:
    """Every topic with the word that the declaration has for it."""
    values = structs.asdict(topology).items()
    own = [(field, topic) for field, topic in values if isinstance(topic, Topic)]
    return [*own, *(("upstream", topic) for topic in topology.upstream)]


def test_only_the_engine_writes_decisions_and_only_intake_what_was_accepted() -> None:
    """No principal outside may write a topic that others take for the truth."""
    topology = declare([WHOLE])
    assert topology.accepted.writers == (INTAKE,)
    decided = [
        topology.ledger,
        topology.directives,
        topology.routes,
        topology.verdicts,
        topology.beats,
        topology.snapshots,
    ]
    assert {topic.writers for topic in decided} == {(ENGINE,)}
    upstream = {topic.name for topic in topology.topics if WHOLE.principal in topic.writers}
    assert upstream == {topic.name for topic in topology.upstream}


def test_the_ledger_is_one_partition_that_is_kept_for_ever() -> None:
    """Total order, and a replay from zero; what the last record of a key says is kept compacted."""
    topology = declare([WHOLE])
    assert (topology.ledger.partitions, topology.ledger.retention_ms) == (1, None)
    assert not topology.ledger.compacted
    assert [t.name for t in topology.topics if t.compacted] == [
        "intake-cells-changelog",
        "routes",
        "verdicts",
        "snapshots",
    ]


def test_what_is_compacted_closes_its_segments_soon_and_nothing_else_does() -> None:
    """A broker compacts closed segments alone: by default those of a week or 1 GB."""
    topology = declare([WHOLE])
    names = ("segment.ms", "segment.bytes", "max.compaction.lag.ms", "min.cleanable.dirty.ratio")
    for topic in topology.topics:
        said = [configs(topic, topology).get(name) for name in names]
        assert said == (["600000", "67108864", "600000", "0.1"] if topic.compacted else [None] * 4)


def test_what_intake_lets_through_fits_every_topic_behind_it() -> None:
    """The largest accepted event fits the topics that carry it on, with all that is said of it."""
    topology = declare([WHOLE])
    assert PUBLISHED_BYTES > MAX_PAYLOAD_BYTES
    assert topology.accepted.max_message_bytes == PUBLISHED_BYTES
    for topic in (topology.ledger, topology.rejected):
        assert topic.max_message_bytes > PUBLISHED_BYTES


def test_every_name_carries_the_prefix_and_none_comes_twice() -> None:
    """Two installations under two prefixes share nothing, and not the lock either."""
    one, two = declare([WHOLE], prefix="a."), declare([WHOLE], prefix="b.")
    names = [topic.name for topology in (one, two) for topic in topology.topics]
    assert len(set(names)) == len(names)
    assert all(name.startswith(("a.", "b.")) for name in names)
    assert one.lock != two.lock
    assert one.group("engine") != two.group("engine")


@pytest.mark.parametrize("replication", [1, 3])
def test_a_record_is_acknowledged_by_all_replicas_but_one(replication: int) -> None:
    """One of three brokers may be gone, and the only one must be there."""
    assert declare(replication=replication).min_in_sync == (2 if replication == 3 else 1)


@pytest.mark.parametrize("name", ["", "A", "a.b", "a_b", "-a", "a-", "x" * 64, "a b", "a*"])
def test_a_domain_that_no_broker_could_name_is_refused(name: str) -> None:
    """Dots would be taken for another domain, underscores collide in the broker's metrics."""
    with pytest.raises(TopologyError, match="trust domain"):
        declare([TrustDomain(name)])


@pytest.mark.parametrize("prefix", ["a", ".", "A.", "a_b.", "a/", "*."])
def test_a_prefix_ends_in_a_dot(prefix: str) -> None:
    """So no name under one prefix begins with another prefix's name by chance."""
    with pytest.raises(TopologyError, match="prefix"):
        declare(prefix=prefix)


def test_a_domain_is_declared_once_and_decides_nothing() -> None:
    """Two declarations of one domain could contradict each other; decisions are the engine's."""
    with pytest.raises(TopologyError, match="twice"):
        declare([WHOLE, TrustDomain("core", frozenset({"acme"}))])
    with pytest.raises(TopologyError, match="decisions"):
        declare([TrustDomain("core", families=UPSTREAM | {Family.DECISION})])


def test_all_that_the_engine_says_is_looked_through_before_it_leads() -> None:
    """By `written_by`: where a topic was left out, what hangs in it would show later."""
    topology = declare(prefix="a.")
    named = ("rejected.events", "ledger", "directives", "routes", "verdicts", "beats", "snapshots")
    assert topology.written_by(ENGINE) == tuple(f"a.{name}" for name in named)
