# SPDX-License-Identifier: Apache-2.0
"""Why a job stands where it does at a moment: one dominant reason, its evidence, what would help.

What was concluded comes from the history (`verdicts`, `preemptions`, `attempts`), what could be
done about it from the fold at the same moment: which rule excludes how many nodes, where most of
the gang would fit, how much is missing there.
"""

from msgspec import Struct, structs

from analytics.database import History
from analytics.evidence import Evidence
from schemas.errors import CallerError
from schemas.reasons import WORDING, Reason, Rule

_NAMED = 3
"""So many others are named; the rest are counted."""


class NoSuchJobError(CallerError):
    """The history has no such job at that moment."""


class Standing(Struct, frozen=True):
    """What the history says of a job at a moment; empty texts where there is nothing to say."""

    phase: str
    reason: str
    team: str
    tier: str
    held_devices: float
    since_at: str
    since_ms: int
    verdict_position: int | None = None
    verdict_at: str = ""


class Explanation(Struct, frozen=True):
    """Why a job runs, waits or is over, at the moment after the first `position` records.

    `can_run` is whether the fleet could ever run it as asked. `waits_for` names the jobs whose
    release it awaits, `displaced_by` the one that took its devices, `overtaken_by` the largest of
    the `overtaken` jobs that were placed since its verdict. `evidence` is there while it waits.
    """

    job: str
    sentence: str
    position: int
    standing: Standing
    can_run: bool
    waits_for: tuple[str, ...]
    displaced_by: str
    overtaken: int
    overtaken_by: tuple[str, ...]
    evidence: Evidence | None
    unblocks: tuple[str, ...]


_STANDING = """
SELECT j.phase, j.reason, j.team, j.tier, j.held_milli / 1000.0, j.since_at::VARCHAR,
    epoch_ms(j.since_at), v.position, v.from_at::VARCHAR
FROM jobs_at_position($cut) AS j
LEFT JOIN (
    SELECT job, max(position) AS position, arg_max(from_at, position) AS from_at
    FROM verdicts WHERE position < $cut GROUP BY job
) AS v ON v.job = j.job
WHERE j.job = $job
"""
_WAITS_FOR = """
SELECT unnest(waits_for) AS holder FROM attempts
WHERE job = $job AND ordered_position < $cut ORDER BY ordered_position DESC, holder
"""
_DISPLACED_BY = """
SELECT coalesce(gains, '') FROM preemptions
WHERE job = $job AND position < $cut ORDER BY position DESC LIMIT 1
"""
_OVERTAKEN = """
SELECT job, device_milli, count(*) OVER () FROM attempts
WHERE job <> $job AND ordered_position < $cut AND ordered_position >= (
    SELECT coalesce(max(opened_position), $verdict) FROM plans WHERE opened_position <= $verdict)
ORDER BY device_milli DESC, ordered_position LIMIT $named
"""
WAITING = frozenset({"queued", "suspended"})
_DONE = {
    "finished": "It finished",
    "failed": "It failed for good",
    "cancelled": "It was cancelled",
}


def standing(history: History, job: str, cut: int) -> Standing:
    """Return how a job stands after the first `cut` records. Raises `NoSuchJobError`."""
    found = history.execute(_STANDING, {"job": job, "cut": cut}).fetchone()
    if found is None:
        msg = f"there is no job {job!r} after the first {cut:,} records of this history"
        raise NoSuchJobError(msg)
    phase, reason, team, tier, held, since_at, since_ms, position, verdict_at = found
    code = reason or ("" if phase in _DONE or phase in WAITING else Reason.PLACED.value)
    return Standing(
        phase, code, team, tier, float(held), since_at, since_ms, position, verdict_at or ""
    )


def explain(
    history: History, job: str, cut: int, stands: Standing, evidence: Evidence | None
) -> Explanation:
    """Return why a job that `stands` so does so; `evidence` is of the fold at the same position."""
    if evidence is not None and not stands.reason:
        stands = structs.replace(stands, reason=evidence.reason)
    asked = {"job": job, "cut": cut}
    holders = history.execute(_WAITS_FOR, asked).fetchall() if stands.phase == "claimed" else []
    taken = (
        history.execute(_DISPLACED_BY, asked).fetchone() if stands.phase == "suspended" else None
    )
    overtaking = _overtaking(history, job, cut, stands)
    never = stands.reason == Reason.NEVER_FITS or (evidence is not None and not evidence.can_run)
    partial = Explanation(
        job=job,
        sentence="",
        position=cut,
        standing=stands,
        can_run=not never,
        waits_for=tuple(holder for (holder,) in holders),
        displaced_by=taken[0] if taken else "",
        overtaken=overtaking[0][2] if overtaking else 0,
        overtaken_by=tuple(name for name, _, _ in overtaking),
        evidence=evidence,
        unblocks=(),
    )
    return _worded(partial)


def _overtaking(
    history: History, job: str, cut: int, stands: Standing
) -> list[tuple[str, int, int]]:
    """Return the largest jobs that were placed since the verdict: job, devices, how many in all."""
    if stands.phase not in WAITING or stands.verdict_position is None:
        return []
    values = {"job": job, "cut": cut, "verdict": stands.verdict_position, "named": _NAMED}
    return history.execute(_OVERTAKEN, values).fetchall()


def _worded(found: Explanation) -> Explanation:
    return structs.replace(found, sentence=_sentence(found), unblocks=tuple(_unblocks(found)))


# --- in words ---------------------------------------------------------------------------------


def _sentence(found: Explanation) -> str:
    """Return the dominant reason, as one sentence."""
    stands = found.standing
    match stands.phase:
        case "finished" | "failed" | "cancelled":
            return f"{_DONE[stands.phase]} at {stands.since_at} UTC."
        case "claimed":
            return f"It has its place, and waits for the release by {_listed(found.waits_for)}."
        case "queued" | "suspended":
            return _why_it_waits(found)
        case _:
            return f"It is {stands.phase} on {stands.held_devices:g} devices."


def _why_it_waits(found: Explanation) -> str:
    stands = found.standing
    if not found.can_run:
        return f"It can never run as asked: {_lower(WORDING[Reason.NEVER_FITS])}"
    if found.displaced_by and stands.reason == Reason.DISPLACED:
        return f"It was suspended to make room for {found.displaced_by}."
    return WORDING[Reason(stands.reason)]


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _listed(names: tuple[str, ...]) -> str:
    """Return names as people list them, at most `_NAMED` of them."""
    if not names:
        return "other work"
    shown, more = ", ".join(names[:_NAMED]), len(names) - _NAMED
    return f"{shown} and {more} more" if more > 0 else shown


_HELP = {
    Rule.NODE_HEALTH: "nodes that return from repair",
    Rule.SKU: "another SKU beside those it names",
    Rule.REGION: "another region beside those it names",
    Rule.LABELS: "other labels, or nodes that carry those it asks for",
    Rule.CONFIDENTIAL: "nodes with a current attestation",
    Rule.SHARING: "whole devices instead of shares",
    Rule.WORKER_SHAPE: "smaller workers, or larger nodes",
}
"""What would let a rule pass more nodes, as it follows on "allow"."""


def _unblocks(found: Explanation) -> list[str]:
    """Return what would let a waiting job run, the likeliest first."""
    stands, evidence = found.standing, found.evidence
    if stands.phase == "claimed":
        return [f"the release of {_listed(found.waits_for)}"]
    if evidence is None:
        return []
    return _unblocks_waiting(stands, evidence) if found.can_run else _unblocks_never(evidence)


def _unblocks_waiting(stands: Standing, evidence: Evidence) -> list[str]:
    """Return what would let a job run that waits for room or for its turn."""
    if stands.reason == Reason.WAITING_FOR_TEAM_LIMIT:
        return [f"the end of other work of {stands.team}", "a higher limit of its team"]
    if not evidence.short_devices:
        return ["the next cycle: there is room now", "a higher priority"]
    if evidence.fits_workers:
        fitting = f"a least size of {evidence.fits_workers} workers, which fit there now"
        return [f"{evidence.short_devices:g} more devices free in {evidence.roomiest}", fitting]
    return [
        f"enough {lack.what} on one of {lack.nodes} nodes" for lack in reversed(evidence.lacking)
    ]


def _unblocks_never(evidence: Evidence) -> list[str]:
    """Return what would let a job run that no empty fleet could hold as it asks."""
    if evidence.largest_gang:
        return [
            f"at most {evidence.largest_gang} workers: more never fit together",
            f"a {evidence.span} of {evidence.needs_devices:g} devices that pass its rules",
        ]
    return [_HELP[Rule(e.rule)] for e in evidence.excluded if Rule(e.rule) in _HELP]
