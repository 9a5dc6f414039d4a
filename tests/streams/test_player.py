# SPDX-License-Identifier: Apache-2.0
"""The trace player is a function of its workload and the ledger prefix, and keeps every account."""

from collections.abc import Sequence
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from engine import world
from engine.world import WorldParameters
from schemas import jobs
from schemas.decisions import Slice
from schemas.directives import (
    LaunchDirective,
    ResizeDirective,
    StopDirective,
    SuspendDirective,
)
from schemas.ids import JobId
from streams.player import TracePlayer
from streams.traces.workload import Arrival, Workload
from tests.streams.small import (
    FOREVER_MS,
    NODES,
    SPEEDS,
    START_MS,
    Entry,
    Game,
    decode,
    genesis,
    job,
    workload,
)

PARAMETERS = WorldParameters()
FAST, SLOW, _ = NODES
ONE = JobId("t/one@1")


def drawn(jobs_drawn: Sequence[tuple[int, int, int, int]]) -> Workload:
    """Jobs of (submitted after ms, workers, device-ms of work, checkpoint MiB)."""
    return workload(
        *(
            Arrival(START_MS + at_ms, job(f"j{i}", workers, mib), work)
            for i, (at_ms, workers, work, mib) in enumerate(jobs_drawn)
        )
    )


arrivals = st.lists(
    st.tuples(
        st.integers(0, 60_000),
        st.integers(2, 6),
        st.integers(1, 200_000),
        st.sampled_from((0, 512, 20_000)),
    ),
    min_size=1,
    max_size=4,
).map(drawn)
choices = st.lists(st.integers(0, 5), min_size=40, max_size=80)


def begun(source: Workload) -> tuple[TracePlayer, int]:
    """A player whose genesis and submissions are all on the ledger, and the last of their times."""
    player = TracePlayer(source)
    last_ms = source.arrivals[-1].submit_ms
    for published in player.due(last_ms):
        player.recall(decode(published), last_ms)
    return player, last_ms


def launch(
    attempt: int = 1, node: str = SLOW, checkpoint: int = 0, position: int = 10
) -> LaunchDirective:
    pieces = (Slice(NODES[NODES.index(node)], (0, 1), 1_000, 2),)
    return LaunchDirective(ONE, attempt, 2, pieces, checkpoint > 0, checkpoint, position)


def only(player: TracePlayer) -> tuple[int, jobs.JobReport]:
    """The one pending report and its time."""
    (published,) = player.due(FOREVER_MS)
    event = decode(published)
    assert isinstance(event, jobs.JobReport)
    time_ms = player.next_ms()
    assert time_ms is not None
    return time_ms, event


def test_a_job_that_is_left_alone_ends_when_its_work_is_done() -> None:
    """Submitted at 0, launched at once: start takes 10 s, 120 device-seconds on 2 devices 60 s."""
    player, now_ms = begun(workload(Arrival(START_MS, job("one"), 120_000)))
    player.observe(launch(), now_ms)
    assert only(player) == (START_MS + 10_000, jobs.JobStarted(ONE, 1))
    player.recall(jobs.JobStarted(ONE, 1), START_MS + 10_000)
    assert only(player) == (START_MS + 70_000, jobs.JobFinished(ONE, 1))
    player.recall(jobs.JobFinished(ONE, 1), START_MS + 70_000)
    assert player.next_ms() is None


def test_a_move_to_a_faster_cluster_takes_what_its_checkpoint_takes() -> None:
    """By hand: 8 GiB written at 600 MB/s, carried at 500, read at 1,000; then twice the speed."""
    player, now_ms = begun(workload(Arrival(START_MS, job("one"), 120_000)))
    player.observe(launch(), now_ms)
    player.recall(jobs.JobStarted(ONE, 1), now_ms + 10_000)
    player.observe(SuspendDirective(ONE, 1, 20), now_ms + 40_000)  # half the work is done
    saved_ms = now_ms + 40_000 + 14_317  # 8,192 x 1,048,576 / 600,000
    assert only(player) == (saved_ms, jobs.JobSuspended(ONE, 1, 1))
    player.recall(jobs.JobSuspended(ONE, 1, 1), saved_ms)
    assert player.next_ms() is None
    player.observe(launch(2, FAST, checkpoint=1, position=30), saved_ms)
    resumed_ms = saved_ms + 10_000 + 17_180 + 8_590
    assert only(player) == (resumed_ms, jobs.JobResumed(ONE, 2, 1))
    player.recall(jobs.JobResumed(ONE, 2, 1), resumed_ms)
    assert only(player) == (resumed_ms + 15_000, jobs.JobFinished(ONE, 2))


def test_a_resize_pauses_and_goes_on_at_the_new_pace() -> None:
    """60 of 120 device-seconds done by two workers; ten seconds later one worker takes 60 s."""
    player, now_ms = begun(workload(Arrival(START_MS, job("one"), 120_000)))
    player.observe(launch(), now_ms)
    player.recall(jobs.JobStarted(ONE, 1), now_ms + 10_000)
    pieces = (Slice(SLOW, (0,), 1_000, 1),)
    player.observe(ResizeDirective(ONE, 1, 1, 1, pieces, 20), now_ms + 40_000)
    resized_ms = now_ms + 50_000
    assert only(player) == (resized_ms, jobs.JobResized(ONE, 1, 1, 1))
    player.recall(jobs.JobResized(ONE, 1, 1, 1), resized_ms)
    assert only(player) == (resized_ms + 60_000, jobs.JobFinished(ONE, 1))


def test_a_stop_loses_what_was_not_saved() -> None:
    """Stopped half-way without a checkpoint, the work begins again."""
    player, now_ms = begun(workload(Arrival(START_MS, job("one"), 120_000)))
    player.observe(launch(), now_ms)
    player.recall(jobs.JobStarted(ONE, 1), now_ms + 10_000)
    player.observe(StopDirective(ONE, 1, 20), now_ms + 40_000)
    stopped_ms = now_ms + 40_000 + PARAMETERS.stop_ms
    assert only(player) == (stopped_ms, jobs.JobStopped(ONE, 1))
    player.recall(jobs.JobStopped(ONE, 1), stopped_ms)
    assert player.next_ms() is None
    player.observe(launch(2, position=30), stopped_ms)
    started_ms, report = only(player)
    player.recall(report, started_ms)
    assert only(player) == (started_ms + 60_000, jobs.JobFinished(ONE, 2))


def test_a_stop_while_saving_or_resizing_loses_it_too() -> None:
    """What was neither saved nor goes on is lost: a checkpoint half written is none."""
    for order in (
        SuspendDirective(ONE, 1, 20),
        ResizeDirective(ONE, 1, 1, 1, (Slice(SLOW, (0,), 1_000, 1),), 20),
    ):
        player, now_ms = begun(workload(Arrival(START_MS, job("one"), 120_000)))
        player.observe(launch(), now_ms)
        player.recall(jobs.JobStarted(ONE, 1), now_ms + 10_000)
        player.observe(order, now_ms + 40_000)
        player.observe(StopDirective(ONE, 1, 21), now_ms + 41_000)
        stopped_ms, stopped = only(player)
        assert stopped == jobs.JobStopped(ONE, 1)
        player.recall(stopped, stopped_ms)
        player.observe(launch(2, position=30), stopped_ms)
        started_ms, started = only(player)
        assert started_ms == stopped_ms + PARAMETERS.start_ms  # there is nothing to restore
        player.recall(started, started_ms)
        assert only(player) == (started_ms + 60_000, jobs.JobFinished(ONE, 2))


def test_each_resize_of_an_attempt_is_reported_under_its_own_id() -> None:
    """The second resize is another event than the first."""
    player, now_ms = begun(workload(Arrival(START_MS, job("one"), 120_000)))
    player.observe(launch(), now_ms)
    player.recall(jobs.JobStarted(ONE, 1), now_ms + 10_000)
    ids: list[str] = []
    for resize in (1, 2):
        pieces = (Slice(SLOW, (0,), 1_000, 1),)
        player.observe(ResizeDirective(ONE, 1, resize, 1, pieces, 20 + resize), now_ms + 20_000)
        ids += [published.origin.ce_id for published in player.due(FOREVER_MS)]
        player.recall(only(player)[1], now_ms + 30_000)
    assert ids == ["t/one@1.1.1.resized", "t/one@1.1.2.resized"]


def test_a_gang_that_cannot_be_saved_reports_a_failure_when_suspended() -> None:
    """It does not pretend to have a checkpoint."""
    player, now_ms = begun(workload(Arrival(START_MS, job("one", checkpoint_mib=0), 120_000)))
    player.observe(launch(), now_ms)
    player.recall(jobs.JobStarted(ONE, 1), now_ms + 10_000)
    player.observe(SuspendDirective(ONE, 1, 20), now_ms + 40_000)
    time_ms, report = only(player)
    assert time_ms == now_ms + 40_000 + PARAMETERS.stop_ms
    assert isinstance(report, jobs.JobFailed)
    assert report.retryable


def test_a_directive_that_is_not_newer_is_ignored() -> None:
    """An agent acts on a job's directive once, and on nothing about an attempt that is over."""
    player, now_ms = begun(workload(Arrival(START_MS, job("one"), 120_000)))
    player.observe(launch(position=10), now_ms)
    expected = only(player)
    player.observe(SuspendDirective(ONE, 1, 10), now_ms + 5)
    player.observe(SuspendDirective(ONE, 0, 11), now_ms + 5)
    player.observe(launch(2, position=12), now_ms + 5)
    player.observe(SuspendDirective(JobId("t/other@1"), 1, 13), now_ms + 5)
    assert only(player) == expected


def test_due_changes_nothing_and_a_dropped_event_is_not_due_again() -> None:
    """Only `recall` and `dropped` end what is pending."""
    source = workload(Arrival(START_MS, job("one"), 120_000))
    player = TracePlayer(source)
    everything = player.due(FOREVER_MS)
    assert player.due(FOREVER_MS) == everything
    assert len(everything) == len(genesis()) + 1
    for published in everything:
        player.dropped(published)
    assert player.due(FOREVER_MS) == []
    assert player.next_ms() is None

    player, now_ms = begun(source)
    player.observe(launch(), now_ms)
    (started,) = player.due(FOREVER_MS)
    player.dropped(everything[-1])  # an older event of the same job
    assert player.due(FOREVER_MS) == [started]
    player.dropped(started)
    assert player.next_ms() is None


def test_a_dropped_submission_that_is_admitted_later_is_played() -> None:
    """An event the engine parked counts when its fact appears on the ledger."""
    player = TracePlayer(workload(Arrival(START_MS, job("one"), 120_000)))
    *declared, submitted = player.due(START_MS)
    for published in declared:
        player.recall(decode(published), START_MS)
    player.dropped(submitted)
    player.recall(decode(submitted), START_MS + 500)
    player.observe(launch(), START_MS + 500)
    assert only(player) == (START_MS + 10_500, jobs.JobStarted(ONE, 1))


def test_what_was_passed_over_stays_due_when_a_later_event_is_admitted() -> None:
    """The ledger may take events in another order than they were offered."""
    player = TracePlayer(workload(Arrival(START_MS, job("one"), 120_000)))
    offered = player.due(START_MS)
    for taken in (2, 5):
        player.recall(decode(offered[taken]), START_MS)
    rest = [published for i, published in enumerate(offered) if i not in {2, 5}]
    assert player.due(START_MS) == rest
    assert player.next_ms() == START_MS


def test_events_of_one_time_come_in_order_of_entity_genesis_first() -> None:
    """(time, entity, sequence): declarations as listed, then jobs by id whatever they say."""
    both = [Arrival(START_MS, job(name), 2_000) for name in ("b", "a")]
    late = Arrival(START_MS + 10_000, job("aa"), 1_000)
    player = TracePlayer(workload(*both, late))
    first = [decode(published) for published in player.due(START_MS)]
    assert first[: len(genesis())] == list(genesis())
    assert [e.job.name for e in first if isinstance(e, jobs.JobSubmitted)] == ["a", "b"]
    for event in first:
        player.recall(event, START_MS)
    for position, name in enumerate("ba", 50):
        pieces = (Slice(SLOW, (0, 1), 1_000, 2),)
        order = LaunchDirective(JobId(f"t/{name}@1"), 1, 2, pieces, False, 0, position)  # noqa: FBT003  # a field
        player.observe(order, START_MS)
    last = player.due(START_MS + 10_000)
    assert [p.origin.ce_subject for p in last] == ["t/a@1", "t/aa@1", "t/b@1"]


def test_an_event_says_who_published_it_and_why() -> None:
    """Origin is a function of the event: ids never change, time is RFC 3339, cause a position."""
    player, now_ms = begun(workload(Arrival(START_MS, job("one"), 120_000)))
    player.observe(launch(position=77), now_ms)
    (published,) = player.due(FOREVER_MS)
    origin = published.origin
    assert (origin.ce_id, origin.ce_source) == ("t/one@1.1.started", "agent/slow-0")
    assert (origin.ce_subject, origin.correlation_id) == ("t/one@1", "t/one@1")
    assert (origin.ce_time, origin.causation_id) == ("1970-01-01T00:16:50.000Z", "ledger/77")


@given(source=arrivals, chosen=choices)
def test_an_id_is_never_given_twice(source: Workload, chosen: list[int]) -> None:
    """(source, id) names one event, over suspensions, resizes and stops."""
    game = Game(source, chosen)
    game.play()
    names = [(p.origin.ce_source, p.origin.ce_id) for p in game.published]
    assert len(set(names)) == len(names)


@given(source=arrivals, chosen=choices)
def test_a_player_made_again_from_any_prefix_goes_on_as_if_nothing_had_been(
    source: Workload, chosen: list[int]
) -> None:
    """At every prefix: the same events pending, and the same ledger in the end."""
    whole = Game(source, chosen).play()
    live = Game(source, chosen)
    for length, entry in enumerate(whole):
        again = Game(source, chosen, whole[:length])
        assert again.pending() == live.pending()
        live.append(entry)
    for length in range(0, len(whole), 7):
        if _between_steps(whole, length):
            assert Game(source, chosen, whole[:length]).play() == whole


def _between_steps(ledger: Sequence[Entry], length: int) -> bool:
    """Whether a step's whole batch ends here; a batch is appended whole or not at all."""
    return length in (0, len(ledger)) or (
        ledger[length - 1].recorded_ms < ledger[length].recorded_ms
    )


@given(source=arrivals, chosen=choices)
def test_the_order_of_different_jobs_within_a_step_does_not_matter(
    source: Workload, chosen: list[int]
) -> None:
    """A live step shows facts before directives, a replay shows them as recorded: all the same."""
    whole = Game(source, chosen).play()
    live, shuffled = Game(source, chosen), Game(source, chosen)
    for _, step in groupby(whole, key=lambda entry: entry.recorded_ms):
        entries = list(step)
        for entry in entries:
            live.append(entry)
        for entry in sorted(entries, key=_job_of, reverse=True):  # each job's own order is kept
            shuffled.append(entry)
        assert shuffled.pending() == live.pending()


def _job_of(entry: Entry) -> str:
    if isinstance(entry.what, jobs.JobSubmitted):
        return entry.what.job.id
    return getattr(entry.what, "job", "~")  # the fleet sorts after every job, so it comes first


@given(source=arrivals, chosen=choices)
def test_work_is_conserved_whatever_the_engine_orders(source: Workload, chosen: list[int]) -> None:
    """Counted from the ledger alone: progress that was kept is the job's work, to the unit."""
    ledger = Game(source, chosen).play()
    for arrival in source.arrivals:
        kept, last_pace = _kept(ledger, arrival.job.id)
        surplus = kept - arrival.work_device_ms * world.MICRO
        assert 0 <= surplus < last_pace  # the rest of the last millisecond is idling


def _kept(ledger: Sequence[Entry], name: JobId) -> tuple[int, int]:
    """Return the work that was done and kept, and the last pace."""
    total = saved = pace = since_ms = next_pace = 0
    for entry in ledger:
        what = entry.what
        if getattr(what, "job", None) != name:
            continue
        total += pace * (entry.recorded_ms - since_ms)
        since_ms = entry.recorded_ms
        match what:
            case LaunchDirective() | ResizeDirective():
                pace, next_pace = 0, what.workers * 1_000 * SPEEDS[what.slices[0].node]
            case jobs.JobStarted() | jobs.JobResumed() | jobs.JobResized():
                pace = next_pace
            case SuspendDirective():
                pace = 0
            case jobs.JobSuspended():
                saved = total
            case StopDirective() | jobs.JobFailed():
                total, pace = saved, 0
            case jobs.JobFinished():
                return total, pace
            case _:
                pass
    msg = f"{name} never finished"
    raise AssertionError(msg)
