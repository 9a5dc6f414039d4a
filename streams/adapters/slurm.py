# SPDX-License-Identifier: Apache-2.0
"""Slurm's `jobcomp/kafka` records, turned into public events.

The plugin publishes JSON when a job ends and, since Slurm 25.05, when it starts. Names of fields
are those of its guide and source (slurm.schedmd.com/jobcomp_kafka.html), states those of
slurm.schedmd.com/job_state_codes.html. There are two kinds of record, told apart by the job's name:

*A gang that Slurm runs for us.* A node agent that starts an attempt through Slurm names the job
`tenant/name@generation#attempt`, with `+checkpoint` behind it where it goes on from one. The record
is then that attempt's report.

*A job that Slurm schedules by itself.* The record says what was asked for, and nothing that we
ordered. It becomes a submission, for trying Slurm's load on this pool, and only where the
installation says what its accounts, QoS and GPU types mean here.

`docs/slurm.md` says what is mapped to what, and what is refused and why.
"""

import re

from msgspec import DecodeError as JsonDecodeError
from msgspec import Struct, field, json

from schemas.catalogue import Event
from schemas.codec import publish
from schemas.codec_fields import FieldError
from schemas.ids import JobId
from schemas.jobs import JobFailed, JobFinished, JobReport, JobResumed, JobStarted
from schemas.reasons import Rejection
from schemas.records import Origin, Published
from schemas.validation import shown
from streams.adapters.slurm_demand import Demand, submission
from streams.intake import Refused, intake

RECORD_TYPE = "slurm.jobcomp"
"""What a refusal calls a record that is no event of ours."""

_OURS = re.compile(
    r"(?P<job>[^#]*@[0-9]{1,16})#(?P<attempt>[0-9]{1,16})(?:\+(?P<checkpoint>[0-9]{1,16}))?",
    re.ASCII,
)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}", re.ASCII)

_RUNNING, _COMPLETED = "RUNNING", "COMPLETED"
_LOST = frozenset(("BOOT_FAIL", "NODE_FAIL", "PREEMPTED"))
"""Slurm or its nodes ended it: the same attempt elsewhere may succeed."""
_FAILED = frozenset(("DEADLINE", "FAILED", "OUT_OF_MEMORY", "TIMEOUT"))
"""The job ended itself, or outgrew what it asked for: again would be the same."""
_UNSAID = {
    "CANCELLED": "does not say whether the gang was stopped or suspended: the agent reports that",
    "PENDING": "is no report: nothing has started",
    "RESIZING": "is about a part of a job that goes on: the agent reports the resize",
    "SUSPENDED": "keeps its nodes in Slurm, so nothing has ended",
}


class JobRecord(Struct, frozen=True):
    """What is read of a record; the other fields of the plugin are passed over."""

    jobid: int
    state: str
    job_name: str | None = None
    cluster: str | None = None
    account: str | None = None
    qos: str | None = None
    tres_req: str | None = None
    exit_code: str | None = None
    het_job_id: int | None = None
    start: str | None = field(default=None, name="@start")
    end: str | None = field(default=None, name="@end")


def adapt(data: bytes, demand: Demand | None = None) -> Published | Refused:
    """Return the event that a record stands for, or why it stands for none.

    Intake accepts every event that is returned. The same record gives the same event, so Slurm may
    send it again.
    """
    try:
        record = json.decode(data, type=JobRecord)
    except (JsonDecodeError, UnicodeDecodeError, RecursionError) as error:
        return _refused(data, Rejection.MALFORMED, "payload", f"{len(data)} bytes", str(error))
    ours = _OURS.fullmatch(record.job_name or "")
    if ours is not None:
        report = _report(record, ours)
        if isinstance(report, str):
            return _refused(data, Rejection.INVALID_VALUE, "state", record.state, report)
        return _judged(data, record, report)
    if demand is None:
        rule = "must be tenant/name@generation#attempt: a job of Slurm's own reports nothing to us"
        return _refused(data, Rejection.INVALID_VALUE, "job_name", record.job_name, rule)
    try:
        return _judged(data, record, _submitted(record, demand))
    except FieldError as error:
        return _refused(data, Rejection.INVALID_VALUE, error.field, error.value, error.rule)


def _report(record: JobRecord, ours: re.Match[str]) -> JobReport | str:
    """Return what a record reports of an attempt, or the rule that its state breaks."""
    job, attempt, checkpoint = JobId(ours["job"]), int(ours["attempt"]), ours["checkpoint"]
    state = record.state
    if state == _RUNNING:
        return (
            JobStarted(job, attempt)
            if checkpoint is None
            else JobResumed(job, attempt, int(checkpoint))
        )
    if state == _COMPLETED:
        return JobFinished(job, attempt)
    if state in _LOST or state in _FAILED:
        code = f", exit code {record.exit_code}" if record.exit_code else ""
        detail = f"Slurm job {record.jobid}: {state}{code}"
        return JobFailed(job, attempt, retryable=state in _LOST, detail=detail)
    known = (_RUNNING, _COMPLETED, *sorted(_LOST | _FAILED))
    return _UNSAID.get(state, f"must be one of {', '.join(known)}")


def _submitted(record: JobRecord, demand: Demand) -> Event:
    if record.het_job_id is not None:
        rule = "is a part of a heterogeneous job, and a gang's workers are alike"
        raise FieldError(field="het_job_id", value=record.het_job_id, rule=rule)
    name = f"{record.cluster or 'slurm'}.{record.jobid}"
    return submission(demand, name, record.account or "", record.qos or "", record.tres_req or "")


# --- from an event to what is published -----------------------------------------------------------


def _judged(data: bytes, record: JobRecord, event: Event) -> Published | Refused:
    """Return an event as published, or the refusal that intake would give."""
    published = publish(event, _origin(record))
    judged = intake(published)
    if isinstance(judged, Refused):
        return _refused(data, judged.rejection, judged.field, judged.value, judged.rule)
    return published


def _origin(record: JobRecord) -> Origin:
    said = record.start if record.state == _RUNNING else record.end
    when = f"{said}Z" if said and _TIME.fullmatch(said) else ""
    source = f"slurm/{record.cluster or ''}"
    return Origin(ce_id=f"{source}/{record.jobid}/{record.state}", ce_source=source, ce_time=when)


def _refused(data: bytes, rejection: Rejection, name: str, value: object, rule: str) -> Refused:
    return Refused(Published(RECORD_TYPE, data), rejection, name, shown(value), rule)
