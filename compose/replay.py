# SPDX-License-Identifier: Apache-2.0
"""Commands that hold a run against itself: fold it again, plan again, check every byte."""

from typing import Annotated

from cyclopts import App, Parameter

from analytics.audit import verify as verify_archive
from analytics.tables import Grid, Output
from compose.answers import answer, answer_object, tell
from compose.arguments import At, Home, OneIn, Shown
from compose.exits import Exit, UsageError
from compose.folding import archived, fold
from compose.moments import Moment, written
from compose.places import POOL_OF_DEMO, RunFolder
from compose.progress import progress
from compose.run import verify as verify_plans
from engine.digest import Digest
from engine.verify import Verification

archive = App(name="archive", help="The archive of a run's ledger.")
archive.command(  # imported only when called: questions to an archive need no broker's client
    "compose.restoring:restore", name="restore", help="Append it to a ledger on a broker."
)


def replay(
    *,
    home: Home = POOL_OF_DEMO,
    to: At = None,
    verify: Annotated[bool, Parameter(help="plan again, and name the first that differs")] = False,
    one_in: OneIn | None = None,
    output: Shown = Output.TABLE,
) -> int:
    """Fold a run's archive again, to the end or to a moment, and plan again.

    Example: singlepool replay --to 2017-10-01T12:00:00Z
    """
    if one_in is not None and not verify:
        msg = "--one-in says how many plans to check, which is asked for by --verify"
        raise UsageError(msg)
    folder = RunFolder(home).with_archive()
    if verify:
        return _verify(folder, to, 1 if one_in is None else one_in, output)
    state = fold(folder.archive, to)
    found = {
        "position": state.head,
        "recorded_at": written(state.now_ms),
        "recorded_ms": state.now_ms,
        "nodes": sum(not node.gone for node in state.nodes.values()),
        "jobs": len(state.jobs),
        "live_jobs": len(state.live),
        "cycles": state.memory.cycle,
        "rules": state.rules.version,
        "digest": Digest().update(state).hex(),
    }
    answer_object(found, output)
    return Exit.DONE


def _verify(folder: RunFolder, to: Moment | None, one_in: int, output: Output) -> int:
    with progress("planning again", archived(folder.archive), "records") as watch:
        checked = verify_plans(folder.archive, one_in, to, watch)
    answer_object(_proved(checked), output)
    if checked.diverged and output is Output.TABLE:
        tell(f"{checked.diverged} plans came out otherwise than recorded")
    return Exit.DIVERGED if checked.diverged else Exit.DONE


def _proved(checked: Verification) -> dict[str, object]:
    first = checked.first
    return {
        "records": checked.records,
        "cycles": checked.cycles,
        "plans_checked": checked.same_build + checked.other_build,
        "of_this_build": checked.same_build,
        "of_other_builds": checked.other_build,
        "plans_diverged": checked.diverged,
        "first_position": first.position if first else None,
        "first_cycle": first.cycle if first else None,
        "first_recorded": first.recorded if first else None,
        "first_derived": first.derived if first else None,
        "digest": checked.digest.hex(),
    }


@archive.command(name="verify")
def archive_verify(*, home: Home = POOL_OF_DEMO, output: Shown = Output.TABLE) -> int:
    """Check every byte of a run's archive against its hash chain.

    Example: singlepool archive verify --home out/demo/fenced
    """
    folder = RunFolder(home).with_archive()
    with progress("checking", archived(folder.archive), "records") as watch:
        report = verify_archive(folder.archive, watch=watch)
    if not report.sound:
        rows = tuple((str(f.damage), f.name, f.detail) for f in report.findings)
        answer(Grid(("damage", "where", "what"), rows), output)
        tell(f"{len(rows)} damages in {folder.archive}; archive it again from its ledger")
        return Exit.DIVERGED
    sound = {
        "segments": report.segments,
        "records": report.records,
        "size_bytes": report.size_bytes,
        "seal": report.seal,
    }
    answer_object(sound, output)
    return Exit.DONE
