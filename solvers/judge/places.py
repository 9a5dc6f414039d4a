# SPDX-License-Identifier: Apache-2.0
"""Rules on where a gang goes: each node it newly takes suits the job, all its nodes its span."""

from collections.abc import Iterator

from schemas.fleet import Label
from schemas.kinds import Span
from solvers.judge.facts import DEVICE_MILLI, NodeFacts
from solvers.judge.touched import Act, Touched
from solvers.judge.violation import PlanRule, Violation


def node_health(seen: Touched) -> Iterator[Violation]:
    """New work goes to nodes fit for it."""
    for act, _ in seen.placements:
        for _, node in act.taken:
            if not node.healthy_for_new_work:
                yield _unsuited(PlanRule.NODE_HEALTH, act, node, "which takes no new work")


def wrong_sku(seen: Touched) -> Iterator[Violation]:
    """A job that names SKUs runs on those."""
    for act, _ in seen.placements:
        skus = act.job.spec.constraints.skus
        for _, node in act.taken if skus else ():
            if node.sku not in skus:
                why = f"of SKU {node.sku!r}; asked is {', '.join(skus)}"
                yield _unsuited(PlanRule.WRONG_SKU, act, node, why)


def wrong_region(seen: Touched) -> Iterator[Violation]:
    """A job that names regions runs in those."""
    for act, _ in seen.placements:
        regions = act.job.spec.constraints.regions
        for _, node in act.taken if regions else ():
            if node.region not in regions:
                why = f"in region {node.region}; asked is {', '.join(regions)}"
                yield _unsuited(PlanRule.WRONG_REGION, act, node, why)


def wrong_labels(seen: Touched) -> Iterator[Violation]:
    """A job that names labels runs on nodes that carry all of them."""
    for act, _ in seen.placements:
        labels = act.job.spec.constraints.labels
        for _, node in act.taken if labels else ():
            missing = [label for label in labels if label not in node.labels]
            if missing:
                why = f"without {', '.join(map(_label, missing))}"
                yield _unsuited(PlanRule.WRONG_LABELS, act, node, why)


def not_shareable(seen: Touched) -> Iterator[Violation]:
    """A device is shared only where its SKU allows it."""
    for act, _ in seen.placements:
        shape = act.job.spec.worker
        shares = shape.devices > 0 and shape.device_milli < DEVICE_MILLI
        for _, node in act.taken if shares else ():
            if not node.sku_shareable:
                why = f"for {shape.device_milli} milli; SKU {node.sku!r} cannot be shared"
                yield _unsuited(PlanRule.NOT_SHAREABLE, act, node, why)


def not_confidential(seen: Touched) -> Iterator[Violation]:
    """Confidential work runs on SKUs that support it."""
    for act, _ in seen.placements:
        asked = act.job.spec.constraints.confidential
        for _, node in act.taken if asked else ():
            if not node.sku_confidential:
                why = f"of SKU {node.sku!r}, which is not confidential"
                yield _unsuited(PlanRule.NOT_CONFIDENTIAL, act, node, why)


def not_attested(seen: Touched) -> Iterator[Violation]:
    """Confidential work runs on nodes whose attestation is current."""
    now_ms = seen.snapshot.now_ms
    for act, _ in seen.placements:
        asked = act.job.spec.constraints.confidential
        for _, node in act.taken if asked else ():
            if node.attested_until_ms <= now_ms:
                why = f"attested until {node.attested_until_ms} ms; it is {now_ms} ms"
                yield _unsuited(PlanRule.NOT_ATTESTED, act, node, why)


def gang_span(seen: Touched) -> Iterator[Violation]:
    """All workers of a gang are in one cluster, domain or node, as it asks."""
    for act, _ in seen.placements:
        span = act.job.spec.constraints.span
        places = dict.fromkeys([_place(node, span) for node in act.nodes])
        if len(places) > 1:
            job = act.action.job
            sentence = f"{job} asks for one {span.name.lower()} and gets {', '.join(places)}"
            yield Violation(PlanRule.GANG_SPAN, act.index, job, sentence)


def _place(node: NodeFacts, span: Span) -> str:
    match span:
        case Span.CLUSTER:
            return node.cluster
        case Span.DOMAIN:
            return node.domain
        case Span.NODE:
            return node.name


def _unsuited(rule: PlanRule, act: Act, node: NodeFacts, why: str) -> Violation:
    return Violation(rule, act.index, node.name, f"{act.action.job} goes to {node.name}, {why}")


def _label(label: Label) -> str:
    return f"{label.key}={label.value}"
