# SPDX-License-Identifier: Apache-2.0
"""Rules on what a plan is about: the state it was made on, and the jobs it acts on."""

from collections.abc import Iterator

from schemas.decisions import (
    LaunchOrdered,
    MigrateOrdered,
    ResizeOrdered,
    StopOrdered,
    SuspendOrdered,
)
from solvers.judge.facts import Phase
from solvers.judge.touched import Act, Touched
from solvers.judge.violation import WHOLE_PLAN, PlanRule, Violation

_WAITING = (Phase.QUEUED, Phase.SUSPENDED)
_STARTED = (Phase.STARTING, Phase.RUNNING)
_STOPPABLE = (Phase.STARTING, Phase.RUNNING, Phase.SUSPENDING)


def stale_version(seen: Touched) -> Iterator[Violation]:
    """A plan is judged on the state that it claims to be made for."""
    cut, position = seen.proposal.cut, seen.snapshot.position
    if cut != position:
        sentence = f"the plan is for position {cut}, the state is at {position}"
        yield Violation(PlanRule.STALE_VERSION, WHOLE_PLAN, str(cut), sentence)


def unknown_job(seen: Touched) -> Iterator[Violation]:
    """Who is acted on, gains, or is waited for is a known job."""
    jobs = seen.snapshot.jobs
    for index, action in enumerate(seen.proposal.actions):
        named = [action.job]
        if isinstance(action, LaunchOrdered | MigrateOrdered):
            named += action.waits_for
        if isinstance(action, SuspendOrdered | MigrateOrdered | ResizeOrdered):
            named.append(action.gains)
        for job in named:
            if job not in jobs:
                sentence = f"{type(action).__name__} of {action.job} names job {job}: unknown"
                yield Violation(PlanRule.UNKNOWN_JOB, index, job, sentence)


def unknown_node(seen: Touched) -> Iterator[Violation]:
    """Every slice is on a known node."""
    nodes = seen.snapshot.nodes
    for index, action in enumerate(seen.proposal.actions):
        if isinstance(action, LaunchOrdered | MigrateOrdered | ResizeOrdered):
            for piece in action.slices:
                if piece.node not in nodes:
                    sentence = f"{action.job} is placed on node {piece.node}, which is unknown"
                    yield Violation(PlanRule.UNKNOWN_NODE, index, piece.node, sentence)


def acted_twice(seen: Touched) -> Iterator[Violation]:
    """A plan acts on a job once."""
    first: dict[str, int] = {}
    for index, action in enumerate(seen.proposal.actions):
        before = first.setdefault(action.job, index)
        if before != index:
            sentence = f"{action.job} is acted on by actions {before} and {index}"
            yield Violation(PlanRule.ACTED_TWICE, index, action.job, sentence)


def stale_attempt(seen: Touched) -> Iterator[Violation]:
    """A launch is of the job's next attempt, everything else of the present one."""
    for act in seen.acts:
        action, attempt = act.action, act.job.attempt
        due = attempt + 1 if isinstance(action, LaunchOrdered) else attempt
        if action.attempt != due:
            sentence = f"{_name(act)} is of attempt {action.attempt}, due is {due}"
            yield Violation(PlanRule.STALE_ATTEMPT, act.index, action.job, sentence)


def stale_resize(seen: Touched) -> Iterator[Violation]:
    """A resize has the next number of its attempt."""
    for act in seen.acts:
        action, due = act.action, act.job.resize_number + 1
        if isinstance(action, ResizeOrdered) and action.resize != due:
            sentence = f"{_name(act)} has number {action.resize}, due is {due}"
            yield Violation(PlanRule.STALE_RESIZE, act.index, action.job, sentence)


def wrong_phase(seen: Touched) -> Iterator[Violation]:
    """A job is in a phase that its action starts from; a cancelled one is stopped, no other is."""
    for act in seen.acts:
        job = act.job
        if not _may(act):
            state = f"{job.phase.name.lower()}{', being resized' if job.resizing else ''}"
            cancelled = "cancelled" if job.cancelled else "not cancelled"
            sentence = f"{_name(act)}: the job is {state}, {cancelled}"
            yield Violation(PlanRule.WRONG_PHASE, act.index, act.action.job, sentence)


def _may(act: Act) -> bool:
    job = act.job
    match act.action:
        case LaunchOrdered():
            return job.phase in _WAITING and not job.cancelled
        case SuspendOrdered() | MigrateOrdered():
            return job.phase in _STARTED and not job.resizing and not job.cancelled
        case ResizeOrdered():
            return job.phase is Phase.RUNNING and not job.resizing and not job.cancelled
        case StopOrdered():
            return job.phase in _STOPPABLE and job.cancelled


def nothing_to_resume(seen: Touched) -> Iterator[Violation]:
    """A job resumes exactly when there is something to resume from."""
    for act, action in seen.launches:
        if action.resume != act.job.restorable:
            wish = "resumes" if action.resume else "starts from nothing"
            has = "something" if act.job.restorable else "nothing"
            sentence = f"{_name(act)} {wish}, and there is {has} to resume from"
            yield Violation(PlanRule.NOTHING_TO_RESUME, act.index, action.job, sentence)


def _name(act: Act) -> str:
    kind = type(act.action).__name__.removesuffix("Ordered").lower()
    return f"{kind} of {act.action.job}"
