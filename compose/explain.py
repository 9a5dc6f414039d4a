# SPDX-License-Identifier: Apache-2.0
"""`singlepool explain`: why a job stands where it does, in a sentence and then in evidence."""

import sys

from msgspec import to_builtins

from analytics.evidence import Evidence, gather
from analytics.explain import WAITING, Explanation, NoSuchJobError, standing
from analytics.explain import explain as explain_job
from analytics.tables import Grid, Output
from compose.answers import answer, answer_object
from compose.arguments import At, Home, Shown
from compose.folding import fold
from compose.look import JobName, cut_of, no_such_job, open_run
from compose.moments import Position
from compose.places import POOL_OF_DEMO, RunFolder
from schemas.ids import JobId


def explain(
    name: JobName, *, home: Home = POOL_OF_DEMO, at: At = None, output: Shown = Output.TABLE
) -> None:
    """Say why a job runs or waits at a moment, since when, and what would let it run.

    Example: singlepool explain philly/job-04111@1 --at 2017-10-03T02:00:00Z
    """
    history = open_run(home)
    cut = cut_of(history, at)
    try:
        stands = standing(history, name, cut)
    except NoSuchJobError as error:
        raise no_such_job(history, name, home) from error
    evidence = None
    if stands.phase in WAITING:
        state = fold(RunFolder(home).archive, Position(cut))
        evidence = gather(state, JobId(name))
    _show(explain_job(history, name, cut, stands, evidence), output)


def _show(found: Explanation, output: Output) -> None:
    if output is not Output.TABLE:
        answer_object(to_builtins(found), output)
        return
    sys.stdout.write(f"{found.sentence}\n\n")
    rows = [*_cause_rows(found), *_evidence_rows(found.evidence)]
    rows.extend(("would help", sentence) for sentence in found.unblocks)
    answer(Grid(("what", "says"), tuple(rows)), output)


def _cause_rows(found: Explanation) -> list[tuple[object, ...]]:
    stands = found.standing
    rows: list[tuple[object, ...]] = [
        ("job", f"{found.job}, {stands.tier} work of {stands.team}"),
        ("phase", f"{stands.phase} since {stands.since_at} UTC"),
    ]
    if stands.verdict_position is not None:
        said = f"at position {stands.verdict_position}, {stands.verdict_at} UTC"
        rows.append(("verdict", f"{stands.reason} {said}"))
    elif stands.reason and found.evidence:
        rows.append(("verdict", f"{stands.reason}, as at its submission"))
    if found.waits_for:
        rows.append(("waits for", ", ".join(found.waits_for)))
    if found.displaced_by:
        rows.append(("displaced by", found.displaced_by))
    if found.overtaken:
        named = ", ".join(found.overtaken_by)
        rows.append(("placed since", f"{found.overtaken} jobs; the largest: {named}"))
    return rows


def _evidence_rows(evidence: Evidence | None) -> list[tuple[object, ...]]:
    if evidence is None:
        return []
    needs = f"{evidence.needs_devices:g} devices in one {evidence.span}"
    workers = "worker" if evidence.needs_workers == 1 else "workers"
    rows: list[tuple[object, ...]] = [
        ("needs", f"{needs}, for {evidence.needs_workers} {workers}"),
        ("nodes", f"{evidence.nodes} in the pool"),
    ]
    rows.extend((f"  - {e.nodes}", e.meaning) for e in evidence.excluded)
    free = f"{evidence.eligible_nodes} nodes pass, with {evidence.free_devices} devices free"
    rows.append(("eligible", free))
    rows.extend((f"  - {lack.nodes}", f"without enough {lack.what}") for lack in evidence.lacking)
    if evidence.roomiest and evidence.fits_workers:
        takes = f"{evidence.fits_workers} of {evidence.needs_workers} {workers}"
        rows.append(("most room", f"{evidence.roomiest} takes {takes} now"))
    return rows
