# SPDX-License-Identifier: Apache-2.0
"""`singlepool demo --trace openb`: how full a mixed fleet with shared devices gets, by policy.

Pods arrive one a second until they have asked for 130 % of the fleet, and none departs. They go
through the whole loop once; other policies get the same arrivals, each pod placed or lost at once.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from msgspec import structs, to_builtins

from analytics.database import open_history
from analytics.query import ask
from analytics.tables import Grid, Output
from compose.answers import answer, answer_object, tell
from compose.exits import Exit
from compose.fill import ARRIVED_PERCENTS, Fill, fill_of_history, fill_of_policy, published
from compose.places import RunFolder
from compose.progress import progress
from compose.run import LoopReport, through_the_loop
from engine.policies import POOL
from solvers.packing import FillPolicy
from streams.play import Progress
from streams.traces.openb import ARRIVAL_GAP_MS, Variant, openb
from streams.traces.workload import Workload

LOOP = "singlepool"
"""The whole loop as it stands: events, ledger, plans, archive."""

POLICIES: Mapping[str, FillPolicy] = {
    "node potential": FillPolicy.NODE_POTENTIAL,
    "FGD": FillPolicy.FGD,
    "best fit": FillPolicy.BEST_FIT,
    "random": FillPolicy.RANDOM,
}
"""Rules of placement alone: each pod by itself, as it comes, without a ledger."""


def play_openb(variant: Variant, seed: int, home: Path, verify_one_in: int, output: Output) -> int:
    """Play the trace, fill the fleet by the other policies, and show all figures."""
    workload = openb(variant, seed)
    folder = RunFolder(home).emptied()
    loop = _played(workload, folder, verify_one_in)
    history = open_history(folder.archive)
    (counts,) = ask(history, "SELECT records, (SELECT count(*) FROM plans) FROM history").rows
    fills = {LOOP: fill_of_history(history, workload, loop.seconds)}
    with progress("other policies", len(POLICIES), "filled") as watch:
        for number, (name, policy) in enumerate(POLICIES.items()):
            watch(number)
            fills[name] = fill_of_policy(workload, seed, policy)
    made = {"events": counts[0], "cycles": counts[1], **structs.asdict(loop)}
    _show(fills, made, variant, output)
    if loop.plans_diverged:
        tell(f"{loop.plans_diverged} plans diverged: {loop.first_divergence}")
        return Exit.DIVERGED
    return Exit.DONE


def _played(workload: Workload, folder: RunFolder, verify_one_in: int) -> LoopReport:
    with progress(workload.name, len(workload.arrivals), "pods arrived") as bar:

        def watch(now: Progress) -> None:
            bar(min((now.now_ms - workload.start_ms) // ARRIVAL_GAP_MS, now.jobs))

        return through_the_loop(workload, POOL, folder, verify_one_in, watch=watch)


# --- what it shows ------------------------------------------------------------------------------


def _show(
    fills: Mapping[str, Fill], made: Mapping[str, object], variant: Variant, output: Output
) -> None:
    match output:
        case Output.JSON:
            found = {
                "trace": "openb",
                "variant": variant.value,
                "policies": to_builtins(fills, str_keys=True),
                "published": to_builtins(published(variant), str_keys=True),
                "loop": made,
            }
            answer_object(found, output)
        case Output.TABLE:
            _tell(fills, made, variant)
        case _:
            answer(_flat(fills), output)


def _flat(fills: Mapping[str, Fill]) -> Grid:
    """Return one row for each figure: policy, what it is about, value."""
    rows: list[tuple[object, ...]] = []
    for policy, fill in fills.items():
        for percent, left in fill.unallocated_percent.items():
            rows.append((policy, f"unallocated_percent_at_{percent}", left))
        rows.extend(
            (policy, f"placed_percent, {t}", p.placed_percent) for t, p in fill.by_type.items()
        )
        rows.extend(
            (policy, f"allocated_percent, {m}", h.allocated_percent)
            for m, h in fill.by_model.items()
        )
        rows.append((policy, "seconds", fill.seconds))
    return Grid(("policy", "figure", "value"), tuple(rows))


def _tell(fills: Mapping[str, Fill], made: Mapping[str, object], variant: Variant) -> None:
    say = sys.stdout.write
    say(f"openb, {variant} list: devices left when so much of the fleet was asked for, %\n\n")
    answer(_left(fills, variant), Output.TABLE)
    say("\nPlaced of each type of job, %\n\n")
    answer(_side_by_side(fills, "type"), Output.TABLE)
    say("\nAllocated of each GPU model, %\n\n")
    answer(_side_by_side(fills, "model"), Output.TABLE)
    say(
        f"\n{LOOP} is the whole loop: {made['events']:,} events, {made['cycles']:,} cycles, "
        f"{made['cpu_seconds']:.1f} CPU seconds,\n{made['plans_verified']:,} plans made again, "
        f"{made['plans_diverged']:,} diverged. The others place pods without a ledger.\n"
        f"archive  {made['archive']}\n"
    )


def _left(fills: Mapping[str, Fill], variant: Variant) -> Grid:
    rows: list[tuple[object, ...]] = [
        (
            name,
            *(f"{fill.unallocated_percent[p]:.2f}" for p in ARRIVED_PERCENTS),
            f"{fill.seconds:.1f}",
        )
        for name, fill in fills.items()
    ]
    rows.extend(
        (f"published: {name}", *(f"{left[p]:.2f}" for p in ARRIVED_PERCENTS), "")
        for name, left in published(variant).items()
    )
    arrived = (f"{percent} % asked for" for percent in ARRIVED_PERCENTS)
    return Grid(("policy", *arrived, "seconds"), tuple(rows))


def _side_by_side(fills: Mapping[str, Fill], by: str) -> Grid:
    """Return a row for each type of job or model of GPU, a column for each policy."""
    first = next(iter(fills.values()))
    if by == "type":
        sizes = {name: f"{p.arrived:,}" for name, p in first.by_type.items()}
        figure = {n: {t: p.placed_percent for t, p in f.by_type.items()} for n, f in fills.items()}
    else:
        sizes = {name: f"{h.devices:,}" for name, h in first.by_model.items()}
        figure = {
            n: {m: h.allocated_percent for m, h in f.by_model.items()} for n, f in fills.items()
        }
    rows = tuple(
        (name, size, *(f"{of[name]:.1f}" for of in figure.values())) for name, size in sizes.items()
    )
    return Grid((by, "jobs" if by == "type" else "GPUs", *figure), rows)
