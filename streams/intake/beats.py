# SPDX-License-Identifier: Apache-2.0
"""Beats of nodes to health reports.

- A node that was silent for longer than `suspect_after_ms`, or that reports new device errors, is
  suspect.
- It is healthy again after `steady_beats` beats in a row without a gap or a new error.
- Beats only lift what beats have raised: while somebody else holds a node to be anything but
  healthy (a monitor, an operator), intake says nothing about it.

What a beat says follows from beats alone. After a gap a node is told healthy again even if nobody
remembers that it was told suspect: so a suspicion whose memory died with its worker is lifted all
the same. A suspicion's sequence is the moment at which it fell due, whoever notices it and when.
"""

from collections.abc import Iterator

from schemas.fleet import NodeHealthReported, NodeHeartbeat, NodeRemoved
from schemas.ids import NodeName
from schemas.kinds import NodeHealth
from streams.intake.cells import Cell, NodeWatch
from streams.intake.fold_rules import FoldRules


def fold_beat(
    cell: Cell, beat: NodeHeartbeat, heard_ms: int, rules: FoldRules
) -> NodeHealthReported | None:
    """Take in a beat that came at `heard_ms`; return what it makes of its node's health, if new."""
    watch = cell.nodes.get(beat.node)
    if watch is None:
        watch = cell.nodes[beat.node] = NodeWatch()
    if (beat.boot, beat.sequence) <= (watch.boot, watch.sequence):
        return None
    known_errors = watch.device_errors if beat.boot == watch.boot else 0
    errors = beat.device_errors - known_errors if watch.heard_ms else 0
    gap = 0 < watch.heard_ms < heard_ms - rules.suspect_after_ms
    watch.boot, watch.sequence = beat.boot, beat.sequence
    watch.device_errors = beat.device_errors
    watch.heard_ms = watch.noted_ms = max(heard_ms, watch.heard_ms)
    watch.steady = 0 if gap or errors > 0 else watch.steady + 1
    watch.unwell = watch.unwell or gap or errors > 0
    if errors > 0 and not watch.suspected:
        watch.suspected = True
        return _tell(beat.node, watch, heard_ms, NodeHealth.SUSPECT, f"{errors} new device errors")
    if watch.unwell and watch.steady >= rules.steady_beats:
        watch.unwell = watch.suspected = False
        detail = f"{watch.steady} steady beats"
        return _tell(beat.node, watch, heard_ms, NodeHealth.HEALTHY, detail)
    return None


def fold_report(cell: Cell, report: NodeHealthReported, heard_ms: int) -> None:
    """Take in what somebody else says about a node's health."""
    watch = cell.nodes.setdefault(report.node, NodeWatch())
    if report.sequence <= watch.told:
        return
    watch.told, watch.noted_ms = report.sequence, heard_ms
    watch.held = report.health is not NodeHealth.HEALTHY
    watch.unwell = watch.suspected = False


def forget_node(cell: Cell, removed: NodeRemoved) -> None:
    """Stop watching a node that left the pool."""
    cell.nodes.pop(removed.name, None)


def fell_silent(
    cell: Cell, clock_ms: int, watched_ms: int, rules: FoldRules
) -> Iterator[NodeHealthReported]:
    """Yield a suspicion of each node whose silence is new, as of `clock_ms`.

    Silence counts from the last beat, but not from before `watched_ms`: nobody listened then.
    """
    limit_ms = clock_ms - rules.suspect_after_ms
    if watched_ms >= limit_ms:
        return
    for name, watch in cell.nodes.items():
        if 0 < watch.heard_ms < limit_ms and not watch.suspected:
            watch.suspected = watch.unwell = True
            watch.steady = 0
            due_ms = max(watch.heard_ms, watched_ms) + rules.suspect_after_ms
            detail = f"no beat for {rules.suspect_after_ms} ms"
            told = _tell(NodeName(name), watch, due_ms, NodeHealth.SUSPECT, detail)
            if told is not None:
                yield told


def forget_old_nodes(cell: Cell, clock_ms: int, rules: FoldRules) -> bool:
    """Drop nodes that nothing was heard of for long; return whether there were any."""
    limit_ms = clock_ms - rules.forget_ms
    old = [name for name, watch in cell.nodes.items() if watch.noted_ms < limit_ms]
    for name in old:
        del cell.nodes[name]
    return bool(old)


def _tell(
    node: NodeName, watch: NodeWatch, at_ms: int, health: NodeHealth, detail: str
) -> NodeHealthReported | None:
    if watch.held:
        return None
    watch.told = max(at_ms, watch.told + 1)
    return NodeHealthReported(node, watch.told, health, detail)
