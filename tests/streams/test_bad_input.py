# SPDX-License-Identifier: Apache-2.0
"""Bad input from the inbox to the state: refused with a reason, recognised, or kept until its time.

Everything goes the way that it goes in a running engine: published to the inbox of a ledger,
polled, taken in, decided, and appended with what was refused beside it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from msgspec import structs

from engine.policies import POOL
from engine.rules import CURRENT_RULES
from engine.state import State
from schemas.catalogue import Event
from schemas.codec import publish
from schemas.decisions import PolicyActivated, RulesActivated
from schemas.fleet import ClusterDeclared, DomainDeclared, NodeDeclared, RegionDeclared, SkuDeclared
from schemas.ids import JobId
from schemas.jobs import JobCancelled, JobStarted, JobSubmitted
from schemas.ledger import Batch, RejectedEvent
from schemas.reasons import Rejection
from schemas.records import Origin, Published
from schemas.tenants import TeamDeclared, TenantDeclared
from streams.embedded import EmbeddedLedger
from streams.host import Host
from streams.intake import take_in
from tests.schemas import samples

INBOX = "inbox"
TENANT, TEAM = TenantDeclared(samples.TENANT), TeamDeclared(samples.TEAM)
WORKER = structs.replace(samples.JOB.worker, devices=1, device_milli=1_000)
JOB = structs.replace(
    samples.JOB,
    worker=WORKER,
    constraints=structs.replace(samples.JOB.constraints, labels=(), regions=(), confidential=False),
)
FLEET: tuple[Event, ...] = (
    SkuDeclared(samples.SKU),
    RegionDeclared(samples.REGION),
    ClusterDeclared(samples.CLUSTER),
    DomainDeclared(samples.DOMAIN),
    NodeDeclared(samples.NODE),
)


class Engine:
    """An engine that takes what lies in its ledger's inbox, one step a call."""

    def __init__(self, ledger: EmbeddedLedger) -> None:
        """Begin with a policy and an empty inbox."""
        self.ledger = ledger
        self.host = Host(State(), "test")
        self._lease = ledger.acquire("test")
        activated = self.host.activate((RulesActivated(CURRENT_RULES), PolicyActivated(POOL)), 0)
        ledger.append(self._lease, 0, Batch(activated.records))

    def take(self, now_ms: int) -> int:
        """Take what is new in the inbox; return how many were duplicates."""
        arrived = self.ledger.poll(self.ledger.consumed().get(INBOX, 0), 1_000)
        taken = take_in(event.published for event in arrived)
        step = self.host.step(taken.accepted, now_ms)
        refused = [r.stored(now_ms) for r in taken.refused]
        for late in step.refused:
            outcome = late.outcome
            refused.append(
                RejectedEvent(
                    late.published,
                    outcome.rejection,
                    outcome.field,
                    outcome.value,
                    outcome.rule,
                    now_ms,
                )
            )
        consumed = {INBOX: arrived[-1].offset} if arrived else {}
        self.ledger.append(self._lease, step.start, Batch(step.records, consumed, refused))
        return step.duplicates

    def tell(self, *events: Event, now_ms: int = 0) -> int:
        """Publish events and take them."""
        return self.publish([publish(e, Origin("e", "test")) for e in events], now_ms)

    def publish(self, events: Sequence[Published], now_ms: int = 0) -> int:
        """Put bytes into the inbox and take them; return how many were duplicates."""
        self.ledger.publish(events)
        return self.take(now_ms)

    def digest(self) -> bytes:
        """Digest of the state."""
        return self.host.digest.update(self.host.state)

    def refused(self) -> list[RejectedEvent]:
        """All that was ever refused."""
        return [event for _, event in self.ledger.rejected(0, 1_000)]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with EmbeddedLedger(tmp_path / "ledger.db") as ledger:
        yield Engine(ledger)


def refusal(engine: Engine, published: Published) -> RejectedEvent:
    """Publish an event that must change nothing, and return its refusal."""
    before, head = engine.digest(), engine.ledger.head()
    engine.publish([published])
    (found,) = engine.refused()
    assert engine.digest() == before
    assert engine.ledger.head() == head
    assert found.published == published
    assert found.field
    assert found.rule
    return found


@pytest.mark.parametrize(
    ("published", "rejection", "field"),
    [
        (Published("singlepool.job.started.v1", b"\xff"), Rejection.MALFORMED, "payload"),
        (Published("singlepool.job.started.v9", b""), Rejection.UNKNOWN_TYPE, "ce_type"),
        (Published("singlepool.job.failed.v1", bytes(2**20 + 1)), Rejection.TOO_LARGE, "payload"),
        (publish(PolicyActivated(POOL)), Rejection.NOT_AUTHORISED, "ce_type"),
        (
            publish(NodeDeclared(structs.replace(samples.NODE, cpu_milli=-1))),
            Rejection.INVALID_VALUE,
            "node.cpu_milli",
        ),
    ],
    ids=lambda value: value.value if isinstance(value, Rejection) else "",
)
def test_what_is_impossible_is_refused_and_changes_nothing(
    engine: Engine, published: Published, rejection: Rejection, field: str
) -> None:
    """Malformed, unknown, oversized, forbidden or absurd: state and ledger stay as they are."""
    found = refusal(engine, published)
    assert (found.rejection, found.field) == (rejection, field)


def test_a_job_submitted_twice_with_other_content_is_a_conflict(engine: Engine) -> None:
    """The same id means the same job; the first stays."""
    engine.tell(*FLEET, TENANT, TEAM, JobSubmitted(JOB))
    found = refusal(engine, publish(JobSubmitted(structs.replace(JOB, priority=9))))
    assert (found.rejection, found.field) == (Rejection.CONFLICT, "job.generation")


def test_a_report_on_an_attempt_that_never_was_is_refused(engine: Engine) -> None:
    """Attempts are numbered by the engine, so a higher one is nobody's to report."""
    engine.tell(*FLEET, TENANT, TEAM, JobSubmitted(JOB))
    found = refusal(engine, publish(JobStarted(JOB.id, 7)))
    assert (found.rejection, found.field, found.value) == (
        Rejection.UNKNOWN_ATTEMPT,
        "attempt",
        "7",
    )


def test_a_duplicate_has_no_effect(engine: Engine) -> None:
    """Everything published again is recognised, appended nowhere and refused nowhere."""
    story = (*FLEET, TENANT, TEAM, JobSubmitted(JOB), JobCancelled(JOB.id))
    engine.tell(*story)
    before, head = engine.digest(), engine.ledger.head()
    assert engine.tell(*story) == len(story)
    assert (engine.digest(), engine.ledger.head(), engine.refused()) == (before, head, [])


def test_an_early_event_waits_and_is_decided_when_its_time_comes(engine: Engine) -> None:
    """A job before its team, and a team before its tenant, end where the right order ends."""
    engine.tell(*FLEET, JobSubmitted(JOB))
    assert JOB.id not in engine.host.state.jobs
    engine.tell(TEAM, now_ms=1)
    engine.tell(TENANT, now_ms=2)
    assert JOB.id in engine.host.state.jobs
    assert not engine.host.state.parked
    assert engine.refused() == []


def test_an_event_that_waited_in_vain_is_refused_at_its_deadline(engine: Engine) -> None:
    """Nothing acknowledged vanishes: at the deadline it is in the store, with what was missing."""
    published = publish(JobCancelled(JobId("acme/nobody@1")), Origin("e-1", "test"))
    engine.publish([published])
    engine.take(POOL.park_ms - 1)
    assert engine.refused() == []
    engine.take(POOL.park_ms)
    (found,) = engine.refused()
    assert (found.rejection, found.published) == (Rejection.UNKNOWN_ENTITY, published)
    assert found.value == "job:acme/nobody@1"


def test_a_refused_event_counts_after_the_fix(engine: Engine) -> None:
    """What is kept can be published again as it is, and holds once its reason is gone."""
    engine.publish([publish(JobCancelled(JOB.id), Origin("e-1", "test"))])
    engine.take(POOL.park_ms)
    engine.tell(*FLEET, TENANT, TEAM, JobSubmitted(JOB), now_ms=POOL.park_ms)
    assert not engine.host.state.jobs[JOB.id].cancelled
    (kept,) = engine.refused()
    engine.publish([kept.published], POOL.park_ms)
    assert engine.host.state.jobs[JOB.id].cancelled
