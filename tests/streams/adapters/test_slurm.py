# SPDX-License-Identifier: Apache-2.0
"""Slurm's records become reports and submissions where they say enough, and never an error."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import Event
from schemas.codec import decode_event
from schemas.ids import JobId, SkuName, TenantName
from schemas.jobs import (
    Constraints,
    Job,
    JobFailed,
    JobFinished,
    JobResumed,
    JobStarted,
    JobSubmitted,
    WorkerShape,
)
from schemas.kinds import Tier
from schemas.reasons import Rejection
from schemas.records import Origin, Published
from streams.adapters.slurm import RECORD_TYPE, adapt
from streams.adapters.slurm_demand import Demand, Team
from streams.intake import Accepted, Refused, intake

RECORDS = Path(__file__).with_name("records")
OURS: Mapping[str, object] = msgspec.json.decode((RECORDS / "ours.json").read_bytes())
OWN: Mapping[str, object] = msgspec.json.decode((RECORDS / "own.json").read_bytes())
JOB = JobId("acme/train-7@1")
DEMAND = Demand(
    teams={"acme-research": Team(TenantName("acme"), "research")},
    tiers={"normal": Tier.STANDARD, "scavenger": Tier.BASIC},
    skus={"a100": SkuName("a100-80g")},
)


def record(base: Mapping[str, object], **changes: object) -> bytes:
    """A record with some fields changed; None leaves one out."""
    whole = {**base, **changes}
    return msgspec.json.encode({name: v for name, v in whole.items() if v is not None})


def event_of(data: bytes, demand: Demand | None = None) -> Event:
    published = adapt(data, demand)
    assert isinstance(published, Published), published
    return decode_event(published.ce_type, published.payload)


def refusal_of(data: bytes, demand: Demand | None = None) -> Refused:
    refused = adapt(data, demand)
    assert isinstance(refused, Refused), refused
    assert refused.published == Published(RECORD_TYPE, data)
    return refused


# --- a gang that Slurm runs for us ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "state", "event"),
    [
        ("acme/train-7@1#3", "RUNNING", JobStarted(JOB, 3)),
        ("acme/train-7@1#3+7", "RUNNING", JobResumed(JOB, 3, 7)),
        ("acme/train-7@1#3", "COMPLETED", JobFinished(JOB, 3)),
        ("acme/train-7@1#3+7", "COMPLETED", JobFinished(JOB, 3)),
    ],
)
def test_a_record_of_our_gang_is_its_report(name: str, state: str, event: Event) -> None:
    """Attempt and checkpoint stand in the job's name; a start from one is a resumption."""
    assert event_of(record(OURS, job_name=name, state=state)) == event


@pytest.mark.parametrize(
    ("state", "retryable"),
    [
        ("FAILED", False),
        ("TIMEOUT", False),
        ("OUT_OF_MEMORY", False),
        ("DEADLINE", False),
        ("NODE_FAIL", True),
        ("BOOT_FAIL", True),
        ("PREEMPTED", True),
    ],
)
def test_a_failure_is_worth_another_try_where_the_job_is_not_to_blame(
    state: str, *, retryable: bool
) -> None:
    """What Slurm or a node ended may succeed elsewhere; what the job ended would end so again."""
    event = event_of(record(OURS, state=state, exit_code="1:9"))
    assert event == JobFailed(
        JOB, 3, retryable=retryable, detail=f"Slurm job 4711: {state}, exit code 1:9"
    )


@pytest.mark.parametrize(
    ("state", "rule"),
    [
        ("CANCELLED", "stopped or suspended"),
        ("PENDING", "nothing has started"),
        ("RESIZING", "goes on"),
        ("SUSPENDED", "keeps its nodes"),
        ("REVOKED", "must be one of RUNNING, COMPLETED, BOOT_FAIL"),
        ("completed", "must be one of"),
        ("", "must be one of"),
    ],
)
def test_a_state_that_says_too_little_is_refused_with_the_reason(state: str, rule: str) -> None:
    """Nothing is made up: the refusal names the state and what it does not say."""
    refused = refusal_of(record(OURS, state=state))
    assert (refused.rejection, refused.field) == (Rejection.INVALID_VALUE, "state")
    assert refused.value == state
    assert rule in refused.rule


@pytest.mark.parametrize(
    ("name", "field"),
    [("acme/train-7@1#0", "attempt"), ("acme/tr ain@1#3", "job"), ("acme/train-7@0#3", "job")],
)
def test_a_name_that_intake_would_refuse_is_refused_as_intake_does(name: str, field: str) -> None:
    """The adapter has no rules on values of its own."""
    assert refusal_of(record(OURS, job_name=name)).field == field


def test_what_is_published_says_where_it_is_from() -> None:
    """Source, id and time are Slurm's; UTC has its Z, and a time that is none is left out."""
    published = adapt(record(OURS))
    assert isinstance(published, Published)
    assert published.origin == Origin(
        ce_id="slurm/north/4711/COMPLETED",
        ce_source="slurm/north",
        ce_time="2026-01-01T09:30:00Z",
    )
    started = adapt(record(OURS, state="RUNNING"))
    assert isinstance(started, Published)
    assert started.origin.ce_time == "2026-01-01T08:00:00Z"
    unknown = adapt(record(OURS, **{"@end": "Unknown"}))
    assert isinstance(unknown, Published)
    assert unknown.origin.ce_time == ""


# --- a job that Slurm schedules by itself ---------------------------------------------------------


def test_a_job_of_slurms_own_is_what_it_asked_for() -> None:
    """One worker a node, each with its share; account, QoS and GPU type as the site names them."""
    assert event_of(record(OWN), DEMAND) == JobSubmitted(
        Job(
            tenant=TenantName("acme"),
            name="north.4712",
            generation=1,
            team="research",
            tier=Tier.STANDARD,
            priority=0,
            workers_min=2,
            workers_max=2,
            worker=WorkerShape(devices=8, cpu_milli=16_000, memory_mib=131_072),
            constraints=Constraints(skus=(SkuName("a100-80g"),)),
        )
    )


def test_start_and_end_of_a_job_ask_for_the_same() -> None:
    """Both records give one submission, so the second is a duplicate and no conflict."""
    start = record(OWN, state="RUNNING", exit_code=None, tres_alloc=None, **{"@end": None})
    assert event_of(start, DEMAND) == event_of(record(OWN), DEMAND)


def test_a_job_of_slurms_own_is_refused_where_nobody_said_what_it_means() -> None:
    """It reports nothing on anything that was ordered here."""
    refused = refusal_of(record(OWN))
    assert (refused.field, refused.value) == ("job_name", "resnet")


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"account": "rival"}, "account", "rival"),
        ({"account": None}, "account", ""),
        ({"qos": "gold"}, "qos", "gold"),
        ({"het_job_id": 4700}, "het_job_id", "4700"),
        ({"tres_req": "node=1,gres/gpu:h100=1"}, "tres_req", "h100"),
        ({"tres_req": "node=1,gres/shard=4"}, "tres_req", "gres/shard=4"),
        ({"tres_req": "node=1,license/ansys=1"}, "tres_req", "license/ansys=1"),
        ({"tres_req": "node=3,gres/gpu=16"}, "tres_req", "node=3,gres/gpu=16"),
        ({"tres_req": "node=0,cpu=1"}, "tres_req", "node=0"),
        ({"tres_req": "cpu=many"}, "tres_req", "cpu=many"),
        ({"tres_req": "mem=1GB"}, "tres_req", "mem=1GB"),
        ({"tres_req": "cpu=1,cpu=2"}, "tres_req", "cpu=2"),
        ({"tres_req": "gres/gpu:a100=1,gres/gpu:h100=1"}, "tres_req", "gres/gpu:h100"),
        (
            {"tres_req": "gres/gpu=2,gres/gpu:a100=1"},
            "tres_req",
            "gres/gpu=2,gres/gpu:a100=1",
        ),
        ({"tres_req": ""}, "job.worker.devices", "0"),
        ({"cluster": "no rth"}, "job.name", "no rth.4712"),
    ],
)
def test_what_has_no_meaning_here_is_refused_with_field_and_value(
    changes: dict[str, object], field: str, value: str
) -> None:
    """No tenant, tier, SKU or shape is guessed."""
    refused = refusal_of(record(OWN, **changes), DEMAND)
    assert (refused.rejection, refused.field) == (Rejection.INVALID_VALUE, field)
    assert refused.value == value


@pytest.mark.parametrize(
    ("memory", "mib"),
    [("512M", 512), ("512", 512), ("1.5G", 1_536), ("1T", 1_048_576), ("100K", 1), ("0", 0)],
)
def test_memory_is_mib_rounded_up(memory: str, mib: int) -> None:
    """Slurm's units are powers of 1,024, and a job never gets less than it asked for."""
    event = event_of(record(OWN, tres_req=f"cpu=2,node=1,mem={memory}"), DEMAND)
    assert isinstance(event, JobSubmitted)
    assert event.job.worker == WorkerShape(devices=0, cpu_milli=2_000, memory_mib=mib)


# --- whatever comes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"jobid": "1", "state": "COMPLETED"}',
        b'{"jobid": 1}',
        b'{"jobid": 1, "state": "COMPLETED", "job_name": "\\ud800"}',
    ],
)
def test_bytes_that_are_no_record_are_malformed(data: bytes) -> None:
    """The refusal keeps them as they came."""
    assert refusal_of(data, DEMAND).rejection is Rejection.MALFORMED


TEXT = st.text(max_size=40) | st.text(st.characters(codec="ascii"), max_size=1_200)
NAME = st.from_regex(r"\A[a-z]{1,3}/[a-z ]{1,3}@[0-9]{1,17}#[0-9]{0,17}(\+[0-9]{1,17})?\Z")
AMOUNT = st.from_regex(r"\A[0-9]{0,20}(\.[0-9]{1,8})?[KMGTPx]?\Z")
RESOURCE = st.sampled_from(["cpu", "mem", "node", "gres/gpu", "gres/gpu:a100", "billing", "x", ""])
ASKED = st.lists(st.tuples(RESOURCE, AMOUNT).map("=".join), max_size=5).map(",".join)


def mostly(*usual: str, besides: st.SearchStrategy[str] = TEXT) -> st.SearchStrategy[str]:
    """Usual values twice in three times, so that much of what is drawn goes far."""
    return st.one_of(st.sampled_from(usual), st.sampled_from(usual), besides)


RECORD = st.fixed_dictionaries(
    {
        "jobid": st.integers(0, 2**32) | st.integers(),
        "state": mostly("RUNNING", "COMPLETED", "FAILED", "NODE_FAIL", "CANCELLED"),
        "job_name": mostly("acme/train-7@1#3", "acme/train-7@1#3+7", "resnet", besides=NAME),
        "account": mostly("acme-research"),
        "qos": mostly("normal"),
        "tres_req": mostly("cpu=4,mem=1.5G,node=2", "gres/gpu:a100=8", besides=ASKED),
    },
    optional={
        "cluster": mostly("north"),
        "exit_code": TEXT,
        "@start": TEXT,
        "@end": mostly("2026-01-01T09:30:00"),
    },
)


@given(data=st.binary(max_size=200) | RECORD.map(msgspec.json.encode), wanted=st.booleans())
def test_it_never_raises_and_intake_takes_what_it_gives(data: bytes, *, wanted: bool) -> None:
    """A record is an event that intake accepts, or a refusal with its reason; always the same."""
    demand = DEMAND if wanted else None
    found = adapt(data, demand)
    assert found == adapt(data, demand)
    if isinstance(found, Published):
        assert isinstance(intake(found), Accepted)
    else:
        assert found.published.payload == data
        assert found.rule
