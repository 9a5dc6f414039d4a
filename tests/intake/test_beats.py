# SPDX-License-Identifier: Apache-2.0
"""Beats become health reports: by silence, by errors, and back by steady beats."""

from schemas.fleet import NodeHealthReported, NodeRemoved
from schemas.ids import NodeName
from schemas.kinds import NodeHealth
from tests.intake.partition import START_MS, Partition, beat, events, healths

N = NodeName("n-1")
EVERY_MS = 10_000


def beating(count: int, *nodes: str) -> Partition:
    """A partition whose nodes have beaten steadily, at 0, 10 s and so on."""
    partition = Partition()
    for number in range(count):
        for node in nodes:
            partition.arrives(beat(node, number + 1), number * EVERY_MS)
    return partition


def test_steady_beats_say_nothing() -> None:
    """A node that is well costs the ledger nothing, however often it beats."""
    partition = beating(100, "n-1", "n-2")
    assert partition.outputs == []


def test_a_silent_node_is_suspect_by_the_times_of_the_others() -> None:
    """Silence shows in the partition's own records, at the moment at which it fell due."""
    partition = beating(3, "n-1", "n-2")
    for number in range(3, 7):
        partition.arrives(beat("n-2", number + 1), number * EVERY_MS)
    assert healths(partition.outputs) == [("n-1", "SUSPECT", 2 * EVERY_MS + 30_000)]


def test_silence_of_all_shows_by_the_clock_once_nothing_waits() -> None:
    """With no record at all, the host's clock tells, where it says that it has read everything."""
    partition = beating(3, "n-1", "n-2")
    for at_ms in range(21_000, 52_000, 1_000):
        partition.quiet(at_ms)
    due_ms = 2 * EVERY_MS + 30_000
    assert sorted(healths(partition.outputs)) == [
        ("n-1", "SUSPECT", due_ms),
        ("n-2", "SUSPECT", due_ms),
    ]
    assert partition.quiet(52_000) == ()


def test_a_reader_that_is_late_suspects_nobody() -> None:
    """Hours of backlog are read by its own times: the reader's clock does not age the nodes."""
    partition = beating(500, "n-1")
    assert partition.outputs == []
    assert partition.quiet(499 * EVERY_MS + 7_200_000) == ()


def test_a_hole_in_the_watching_is_nobodys_silence() -> None:
    """After an outage of intake or broker, nodes have the whole time to be heard again."""
    partition = beating(3, "n-1", "n-2")
    back_ms = 600_000
    partition.arrives(beat("n-2", 4), back_ms)
    partition.wait(back_ms + 29_000)
    assert healths(partition.outputs) == []
    partition.wait(back_ms + 31_000)
    assert sorted(healths(partition.outputs)) == [
        ("n-1", "SUSPECT", back_ms + 30_000),
        ("n-2", "SUSPECT", back_ms + 30_000),
    ]


def test_a_node_is_well_again_after_steady_beats() -> None:
    """The beat that ends a gap is not enough; three that follow closely are, and say so once."""
    partition = beating(3, "n-1")
    partition.wait(55_000)
    for number, at_ms in enumerate((60_000, 70_000, 80_000, 90_000, 100_000)):
        partition.arrives(beat("n-1", 4 + number), at_ms)
    assert healths(partition.outputs) == [("n-1", "SUSPECT", 50_000), ("n-1", "HEALTHY", 90_000)]


def test_new_device_errors_are_suspect_at_once() -> None:
    """A count that rises is suspect, one that stays is steady; another boot counts from zero."""
    partition = beating(2, "n-1")
    partition.arrives(beat("n-1", 3, errors=2), 20_000)
    partition.arrives(beat("n-1", 4, errors=3), 30_000)
    assert healths(partition.outputs) == [("n-1", "SUSPECT", 20_000)]
    (report,) = events(partition.outputs)
    assert isinstance(report, NodeHealthReported)
    assert report.detail == "2 new device errors"
    for number in range(3):
        partition.arrives(beat("n-1", 1 + number, boot=2), 40_000 + number * EVERY_MS)
    assert healths(partition.outputs)[1:] == [("n-1", "HEALTHY", 60_000)]


def test_errors_from_before_the_first_beat_are_no_news() -> None:
    """Whoever is heard for the first time is taken as it is."""
    partition = Partition()
    partition.arrives(beat("n-1", 900, errors=7), 0)
    partition.arrives(beat("n-1", 901, errors=7), EVERY_MS)
    assert partition.outputs == []


def test_a_beat_counts_once_in_the_order_of_boot_and_sequence() -> None:
    """A duplicate, or a beat of an earlier boot, is no sign of life."""
    partition = beating(3, "n-1", "n-2")
    partition.arrives(beat("n-1", 1, boot=2), 22_000)
    for at_ms in range(25_000, 60_000, 5_000):
        partition.arrives(beat("n-1", 1, boot=2), at_ms)
        partition.arrives(beat("n-1", 99, boot=1), at_ms)
        partition.quiet(at_ms)
    assert ("n-1", "SUSPECT", 52_000) in healths(partition.outputs)


def test_beats_never_lift_what_somebody_else_has_said() -> None:
    """A node in quarantine beats on; neither its silence nor its beats change that."""
    partition = beating(3, "n-1")
    quarantined = NodeHealthReported(N, START_MS + 25_000, NodeHealth.QUARANTINED)
    assert events(partition.arrives(quarantined, 25_000)) == [quarantined]
    partition.wait(56_000)
    for number in range(5):
        partition.arrives(beat("n-1", 4 + number), 60_000 + number * EVERY_MS)
    assert healths(partition.outputs) == [("n-1", "QUARANTINED", 25_000)]


def test_beats_count_again_once_a_node_was_told_healthy() -> None:
    """Whoever held the node gives it back; intake's next report follows theirs in sequence."""
    partition = beating(3, "n-1")
    ahead = START_MS + 10_000_000
    partition.arrives(NodeHealthReported(N, ahead, NodeHealth.DRAINING), 21_000)
    partition.arrives(NodeHealthReported(N, ahead + 5, NodeHealth.HEALTHY), 22_000)
    partition.arrives(NodeHealthReported(N, ahead + 4, NodeHealth.REPAIRING), 23_000)  # late
    partition.wait(55_000)
    assert healths(partition.outputs)[-1] == ("n-1", "SUSPECT", ahead + 6 - START_MS)


def test_a_removed_node_is_not_missed() -> None:
    """Who left the pool may be silent."""
    partition = beating(3, "n-1")
    partition.arrives(NodeRemoved(N, 1), 21_000)
    partition.wait(70_000)
    assert healths(partition.outputs) == []


def test_a_suspicion_that_died_with_its_worker_is_lifted() -> None:
    """The clock's word is not in the records; what beats say afterwards does not need it."""
    partition = beating(3, "n-1")
    kept = partition.restarted()  # as kept before the suspicion
    assert healths(partition.wait(55_000)) == [("n-1", "SUSPECT", 50_000)]
    for number in range(4):
        kept.arrives(beat("n-1", 4 + number), 60_000 + number * EVERY_MS)
    assert healths(kept.outputs) == [("n-1", "HEALTHY", 90_000)]


def test_a_suspicion_found_again_is_the_same() -> None:
    """Whichever worker notices a silence, and when: the report is the same, to the byte."""
    partition = beating(3, "n-1")
    late = beating(3, "n-1")
    early_report = partition.wait(50_001)
    late_report = [*late.wait(49_999), *late.quiet(64_000)]
    assert early_report == late_report != []


def test_a_node_unheard_of_for_a_week_is_forgotten() -> None:
    """State does not grow with names that are gone."""
    partition = beating(3, "n-1")
    week_ms = 7 * 86_400_000
    partition.quiet(week_ms)
    assert any(cell.nodes for cell in partition.state.cells)
    partition.quiet(week_ms + 40_000)
    assert not any(cell.nodes for cell in partition.state.cells)
