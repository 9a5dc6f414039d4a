# SPDX-License-Identifier: Apache-2.0
"""What follows from a batch: each node's own directives, and where each job stands."""

from schemas import jobs
from schemas.codec import decode_directive, decode_event
from schemas.decisions import VerdictReached
from schemas.directives import LaunchDirective, ResizeDirective, StopDirective, SuspendDirective
from schemas.ids import JobId
from schemas.kinds import Tier
from schemas.reasons import Reason
from streams.live.outputs import follows
from streams.live.ports import Channel, Output
from tests.engine.stage import Stage, genesis, job


def told(stage: Stage, channel: Channel) -> list[Output]:
    """What the stage's last batch says on a channel."""
    return [o for o in follows(stage.state, stage.last) if o.channel is channel]


def verdicts(stage: Stage) -> dict[JobId, VerdictReached | None]:
    """What the stage's last batch says of jobs; None where one is to be forgotten."""
    found: dict[JobId, VerdictReached | None] = {}
    for output in told(stage, Channel.VERDICTS):
        if output.value is None:
            found[JobId(output.key)] = None
            continue
        said = decode_event(dict(output.headers)["ce_type"].decode(), output.value)
        assert isinstance(said, VerdictReached)
        found[JobId(output.key)] = said
    return found


def launched() -> Stage:
    """A stage whose last batch launched a gang of eight over the two nodes of a cluster."""
    stage = Stage()
    stage.tell(*genesis())
    stage.hear(jobs.JobSubmitted(job("wide", 8)), after_ms=60_000)
    assert stage.plan_aside()
    stage.land()
    return stage


def test_each_node_of_a_gang_gets_the_directive_of_the_whole() -> None:
    """One message per node, under its key, with type and position in the headers."""
    stage = launched()
    found = told(stage, Channel.DIRECTIVES)
    assert len({output.key for output in found}) == len(found) == 2
    for output in found:
        headers = dict(output.headers)
        assert output.value is not None
        directive = decode_directive(headers["ce_type"].decode(), output.value)
        assert isinstance(directive, LaunchDirective)
        assert int(headers["position"]) == directive.position
        assert output.key in {piece.node for piece in directive.slices}


def test_a_directive_to_leave_goes_where_the_gang_is() -> None:
    """A stop names no slices; the nodes are those that the job holds."""
    stage = launched()
    nodes = {piece.node for piece in stage.state.jobs[job("wide").id].slices}
    stage.hear(jobs.JobStarted(job("wide").id, 1))
    stage.hear(jobs.JobCancelled(job("wide").id), after_ms=60_000)
    assert stage.plan_aside()
    stage.land()
    found = told(stage, Channel.DIRECTIVES)
    assert {output.key for output in found} == nodes
    kinds = {decode_directive(o.headers[0][1].decode(), o.value or b"").__class__ for o in found}
    assert kinds == {StopDirective}


def test_a_gang_that_shrinks_is_told_on_the_nodes_that_it_leaves() -> None:
    """A resize names the slices that stay; the agents of the others must know too."""
    stage = Stage()
    stage.tell(*genesis(reserved=16))
    stage.submit(*(job(f"wide{i}", 8, least=4) for i in range(2)))
    stage.wait(3 * 3_600_000)
    mine = job("mine", 4, tier=Tier.PREMIUM, team="red")
    stage.hear(jobs.JobSubmitted(mine), after_ms=60_000)
    assert stage.plan_aside()
    stage.land()
    (resize,) = [d for d in stage.last.directives if isinstance(d, ResizeDirective)]
    stays = {piece.node for piece in resize.slices}
    leaves = {piece.node for piece in stage.state.jobs[resize.job].slices} - stays
    assert leaves
    assert {output.key for output in told(stage, Channel.DIRECTIVES)} == stays | leaves


def test_a_verdict_says_where_a_job_stands() -> None:
    """Placed after its launch; its reason, with the plan's evidence, while it waits."""
    stage = launched()
    assert verdicts(stage) == {job("wide").id: VerdictReached(job("wide").id, "placed", 0, 0)}
    stage.hear(jobs.JobSubmitted(job("more", 8)), jobs.JobSubmitted(job("huge", 99)))
    waits = verdicts(stage)
    assert waits[job("more").id] == VerdictReached(job("more").id, Reason.WAITING_FOR_CYCLE, 0, 0)
    stage.wait(60_000)
    found = verdicts(stage)
    never = found[job("huge").id]
    assert never is not None
    assert (never.reason, never.needed_devices) == (Reason.NEVER_FITS, 99)


def test_a_displaced_job_and_its_displacer_are_both_told_of() -> None:
    """Premium work takes its reservation back: one is displaced, the other waits for release."""
    stage = Stage()
    stage.tell(*genesis(reserved=16))
    stage.submit(*(job(f"old{i}", 8) for i in range(2)))
    stage.wait(3 * 3_600_000)
    mine = job("mine", 8, tier=Tier.PREMIUM, team="red")
    stage.hear(jobs.JobSubmitted(mine), after_ms=60_000)
    assert stage.plan_aside()
    stage.land()
    reasons = {verdict.reason for verdict in verdicts(stage).values() if verdict is not None}
    assert reasons == {Reason.DISPLACED, Reason.WAITING_FOR_RELEASE}
    kinds = {
        decode_directive(o.headers[0][1].decode(), o.value or b"").__class__
        for o in told(stage, Channel.DIRECTIVES)
    }
    assert kinds == {SuspendDirective}


def test_a_job_that_is_over_is_forgotten() -> None:
    """The compacted topic holds the living alone."""
    stage = launched()
    stage.hear(jobs.JobStarted(job("wide").id, 1))
    stage.hear(jobs.JobFinished(job("wide").id, 1))
    assert verdicts(stage) == {job("wide").id: None}


def test_what_changes_nothing_for_upstream_says_nothing() -> None:
    """A checkpoint moves no verdict."""
    stage = launched()
    stage.hear(jobs.JobStarted(job("wide").id, 1))
    stage.hear(jobs.JobCheckpointed(job("wide").id, 1, 1))
    assert verdicts(stage) == {}
