# SPDX-License-Identifier: Apache-2.0
"""Each promise of the design, how to break it, and the test that has to notice.

A break is an edit of a copy of the project: text that stands in a file, and what stands there
instead. `test_promises_break.py` makes each edit and runs the test.
"""

from msgspec import Struct


class Edit(Struct, frozen=True):
    """In a file, text that stands there once, and what stands there instead."""

    file: str
    text: str
    instead: str


class Break(Struct, frozen=True):
    """A way to break a promise, and the test that fails when it is broken so."""

    promise: str
    how: str
    test: str
    edits: tuple[Edit, ...]


BREAKS = (
    Break(
        "1 replay is exact",
        "the order of a set of names reaches the state",
        "tests/engine/test_replay.py::"
        "test_the_digest_is_the_same_in_a_process_with_another_hash_seed",
        (
            Edit(
                "engine/fold_jobs.py",
                "    job.work_since_ms = job.time.since_ms = record.recorded_ms\n",
                "    job.work_since_ms = job.time.since_ms = record.recorded_ms\n"
                "    job.failures = len(next(iter({spec.name, spec.team + spec.name})))\n",
            ),
        ),
    ),
    Break(
        "1 replay is exact",
        "a snapshot forgets who waits for whom",
        "tests/engine/test_stored.py::"
        "test_at_every_cut_of_a_busy_history_a_restored_state_goes_on_alike",
        (
            Edit(
                "engine/stored.py",
                "waiters={holder: tuple(waiting) for holder, waiting in state.waiters.items()},",
                "waiters={},",
            ),
        ),
    ),
    Break(
        "1 replay is exact",
        "an old version of the rules is given another meaning",
        "tests/engine/test_rules.py::test_a_recorded_history_folds_to_its_old_digest",
        (
            Edit(
                "engine/rules.py",
                "1: Rules(1, resize_counts_as_progress=True,",
                "1: Rules(1, resize_counts_as_progress=False,",
            ),
        ),
    ),
    Break(
        "2 decisions are reproducible",
        "the planner remembers outside the state",
        "tests/engine/test_replay.py::test_verify_replans_every_cycle_and_finds_nothing",
        (
            Edit(
                "engine/planning/cycle.py",
                "from solvers import allocation\n",
                "from solvers import allocation\n\n_SEEN = []\n",
            ),
            Edit(
                "engine/planning/cycle.py",
                "    seen = view(snapshot)\n    draft",
                "    _SEEN.append(snapshot.position)\n"
                "    seen = view(snapshot)\n"
                "    seen.weight[:] += len(_SEEN)\n"
                "    draft",
            ),
        ),
    ),
    Break(
        "2 decisions are reproducible",
        "another build's false bound passes",
        "tests/engine/test_verify_cuts.py::test_another_builds_false_certificate_is_found",
        (
            Edit(
                "engine/verify.py",
                "said = Rederived(commit.problem_digest, commit.objective, commit.bound)",
                "said = Rederived(commit.problem_digest, commit.objective, again.bound)",
            ),
        ),
    ),
    Break(
        "3 nothing counts twice",
        "a report of an attempt that is over counts",
        "tests/engine/test_promises.py::test_a_report_of_an_attempt_that_is_over_changes_nothing",
        (
            Edit(
                "engine/decide_jobs.py",
                "    if event.attempt < job.attempt or job.ended or not job.slices:\n",
                "    if job.ended:\n",
            ),
        ),
    ),
    Break(
        "3 nothing is lost",
        "an input is accounted for, its records come in a transaction of their own",
        "tests/streams/test_embedded.py",
        (
            Edit(
                "streams/embedded/ledger.py",
                "            self._account(batch)\n",
                "            self._db.execute('COMMIT')\n"
                "            self._db.execute('BEGIN IMMEDIATE')\n"
                "            self._account(batch)\n",
            ),
        ),
    ),
    Break(
        "3 nothing is lost",
        "a killed run goes on from what it remembers, not from what is pending in the ledger",
        "tests/streams/test_crash.py::test_a_killed_run_goes_on_to_the_same_digest",
        (
            Edit(
                "streams/play.py",
                "                self._player.observe(directive, record.recorded_ms)\n",
                "                pass\n",
            ),
        ),
    ),
    Break(
        "4 one writer",
        "an older epoch may append",
        "tests/streams/test_embedded.py",
        (
            Edit(
                "streams/embedded/ledger.py", "if epoch != lease.epoch:", "if epoch < lease.epoch:"
            ),
        ),
    ),
    Break(
        "5 plans are rebased",
        "a launch stays though its job is gone",
        "tests/engine/test_rebase.py",
        (
            Edit(
                "engine/rebase.py",
                "return _still_waits(job) and action.attempt == job.attempt + 1",
                "return True",
            ),
        ),
    ),
    Break(
        "5 plans are rebased",
        "a launch stays though the move that makes its room was dropped",
        "tests/engine/test_rebase.py::test_a_launch_falls_with_the_suspension_that_made_its_room",
        (
            Edit(
                "engine/rebase.py",
                "if any(holder in dropped for holder in action.waits_for):",
                "if False:",
            ),
        ),
    ),
    Break(
        "6 no device is promised twice",
        "a claim does not put its devices aside",
        "tests/engine/test_promises.py",
        (
            Edit(
                "engine/holdings.py",
                "    for piece in claim.slices:\n"
                "        account(state, piece, job.spec.worker, -1)\n",
                "    for piece in claim.slices:\n",
            ),
        ),
    ),
    Break(
        "6 a launch waits for the holder's report",
        "a claim waits for nobody",
        "tests/engine/test_promises.py::test_a_launch_waits_for_the_release_report",
        (
            Edit(
                "engine/fold_decisions.py",
                "waits = tuple(holder for holder in waits_for if state.jobs[holder].releasing)",
                "waits: tuple[JobId, ...] = ()",
            ),
        ),
    ),
    Break(
        "6 no gang is half placed",
        "a gang starts with what there is",
        "tests/engine/test_promises.py::test_a_gang_is_never_half_placed",
        (
            Edit(
                "engine/planning/placing.py",
                "return workers >= least and draft.launch(job, group, workers)",
                "return workers >= 1 and draft.launch(job, group, workers)",
            ),
            Edit(
                "engine/planning/placing.py",
                "        if draft.ground.most(draft.kind(job)) < least:\n"
                "            return False\n",
                "",
            ),
            Edit(
                "engine/planning/placing.py",
                "return self._least <= most[kinds]",
                "return most[kinds] > 0",
            ),
        ),
    ),
    Break(
        "6 no confidential work on unattested hardware",
        "nobody looks at the end of an attestation",
        "tests/engine/test_leaving.py",
        (
            Edit(
                "engine/planning/leaving.py",
                "(fleet.attested_until_ms > snapshot.now_ms)",
                "(fleet.attested_until_ms > 0)",
            ),
        ),
    ),
    Break(
        "6 premium inside its reservation claims in the first cycle",
        "a reservation's owner waits like everybody",
        "tests/engine/test_promises.py::"
        "test_every_claim_is_met_at_once_however_soon_after_the_last",
        (
            Edit(
                "engine/planning/placing.py",
                "return (self._view.rank <= Rank.FRESH) & self._snapshot.policy.moves",
                "return (self._view.rank == Rank.FRESH) & self._snapshot.policy.moves",
            ),
        ),
    ),
    Break(
        "6 the judge checks every plan",
        "the judge does not look for devices promised twice",
        "tests/solvers/test_judge_properties.py",
        (Edit("solvers/judge/ruling.py", "    devices.promised_twice,\n", ""),),
    ),
    Break(
        "7 every job has a verdict",
        "a plan says nothing of who waits",
        "tests/engine/test_promises.py::test_every_job_has_a_verdict_and_every_action_a_cause",
        (
            Edit(
                "engine/planning/cycle.py",
                "    verdicts = Verdicts(draft).changed()\n",
                "    verdicts = Verdicts(draft).changed()[:0]\n",
            ),
        ),
    ),
    Break(
        "7 every action names its cause",
        "an action is recorded without one",
        "tests/engine/test_promises.py::test_every_job_has_a_verdict_and_every_action_a_cause",
        (
            Edit(
                "engine/minutes.py",
                "Entry(action, _cause(state, action)) for action",
                "Entry(action) for action",
            ),
        ),
    ),
    Break(
        "7 every refused event has a reason",
        "a refused event is not kept",
        "tests/streams/test_bad_input.py",
        (
            Edit(
                "streams/host.py",
                "                self._batch.refused.append(Refusal(published, outcome))\n"
                "\n    def _record(",
                "                pass\n\n    def _record(",
            ),
        ),
    ),
    Break(
        "8 an unknown event stops the fold",
        "what is not known is passed over",
        "tests/engine/test_replay.py::"
        "test_an_unknown_event_stops_the_fold_unless_it_may_be_skipped",
        (
            Edit(
                "schemas/codec.py",
                "elif ce_type not in upcasters and envelope.skippable:",
                "elif ce_type not in upcasters:",
            ),
        ),
    ),
)
