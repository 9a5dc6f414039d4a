# SPDX-License-Identifier: Apache-2.0
"""One run from end to end.

Play a workload on an embedded ledger, archive it, verify it, and say how it went.
"""

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import structlog
from msgspec import Struct, structs
from structlog.typing import FilteringBoundLogger

from analytics.archive import Archiver
from analytics.database import open_history
from compose.folding import records_until
from compose.moments import Moment
from compose.places import RunFolder
from compose.progress import Watch
from compose.scorecard import RunFigures, Window, figures
from engine.policies import BY_NAME
from engine.verify import Verification, Verifier
from schemas.decisions import Policy
from streams.build import fingerprint
from streams.embedded import EmbeddedLedger
from streams.play import Play, Progress
from streams.traces.philly import Mode, philly
from streams.traces.workload import Workload

_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What to run.

    The trace's days, how the teams share, where it goes, and how many cycles to verify (one in
    so many).
    """

    mode: Mode
    days: range
    folder: Path
    verify_one_in: int
    resume: bool = False
    log: bool = False


class LoopReport(Struct, frozen=True):
    """How a workload went through the whole loop.

    `cpu_seconds` are those of the play alone: cycles, fold, ledger and player.
    """

    seconds: float
    cpu_seconds: float
    archive_seconds: float
    verify_seconds: float
    digest: str
    plans_verified: int
    plans_diverged: int
    first_divergence: str
    archive: str


class RunReport(Struct, frozen=True):
    """How a run went: the figures of its history, and those of the loop that made it."""

    figures: RunFigures
    loop: LoopReport

    def flat(self) -> dict[str, object]:
        """Return all figures as one flat object."""
        return {**structs.asdict(self.figures), **structs.asdict(self.loop)}


Watching = Callable[[Progress], None]


def perform(spec: RunSpec, watch: Watching | None = None) -> RunReport:
    """Run from end to end. An earlier run in the same folder is replaced unless `resume` is set."""
    folder = RunFolder(spec.folder)
    if not spec.resume:
        folder.emptied()
    folder.path.mkdir(parents=True, exist_ok=True)
    workload = philly(spec.days, spec.mode)
    policy = BY_NAME[spec.mode]
    log = cycle_log() if spec.log else None
    loop = through_the_loop(workload, policy, folder, spec.verify_one_in, watch=watch, log=log)
    window = Window(workload.start_ms, workload.end_ms)
    return RunReport(figures(open_history(folder.archive), window, promises(policy)), loop)


def through_the_loop(
    workload: Workload,
    policy: Policy,
    folder: RunFolder,
    verify_one_in: int,
    *,
    watch: Watching | None = None,
    log: FilteringBoundLogger | None = None,
) -> LoopReport:
    """Play a workload on the folder's ledger, archive it, and verify it from the archive alone."""
    # 1. Play.
    started, cpu = time.perf_counter(), time.process_time()
    with EmbeddedLedger(folder.ledger) as ledger:
        played = Play(ledger, workload, policy, log).run(watch)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        # 2. Archive.
        started = time.perf_counter()
        with closing(Archiver(folder.archive)) as archiver:
            archiver.seal(ledger)
    archive_seconds = time.perf_counter() - started
    # 3. Verify.
    started = time.perf_counter()
    checked = verify(folder.archive, verify_one_in)
    return LoopReport(
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        archive_seconds=archive_seconds,
        verify_seconds=time.perf_counter() - started,
        digest=played.digest.hex(),
        plans_verified=checked.same_build + checked.other_build,
        plans_diverged=checked.diverged + (checked.digest != played.digest),
        first_divergence="" if checked.first is None else str(checked.first),
        archive=str(folder.archive),
    )


def cycle_log() -> FilteringBoundLogger:
    """Return a logger that writes one JSON line per cycle to standard error."""
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    log: FilteringBoundLogger = structlog.get_logger()
    return log


def promises(policy: Policy) -> Mapping[str, float]:
    """Return the device fraction that a policy promises to each tier."""
    return {tier.tier.name.lower(): tier.promise_ppm / _PPM for tier in policy.tiers}


def verify(
    archive: Path, one_in: int, until: Moment | None = None, watch: Watch | None = None
) -> Verification:
    """Fold an archive and plan again one cycle in so many, chosen by a fixed seed."""
    verifier = Verifier(fingerprint(), lambda cycle: sampled(cycle, one_in))
    return verifier.run(records_until(archive, until, watch))


def sampled(cycle: int, one_in: int) -> bool:
    """Whether a cycle is in the sample: a multiplicative hash spreads the choice over the run."""
    return one_in > 0 and (cycle * 2_654_435_761) % 2**32 < 2**32 // one_in
