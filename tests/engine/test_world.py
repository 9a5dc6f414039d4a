# SPDX-License-Identifier: Apache-2.0
"""The model of the world outside: times by hand, and work that is never lost or made."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine import world
from engine.world import NOWHERE, GangPhase, NodeRates, Site, WorldParameters
from schemas.ids import ClusterName
from schemas.kinds import IoProfile

PARAMETERS = WorldParameters()
HERE = Site(ClusterName("here"), 2_000, 10_000, 1_000, 1_000)
THERE = Site(ClusterName("there"), 1_000, 400, 500, 2_000)


def rates(io: IoProfile, speed_milli: int = 1_000) -> NodeRates:
    return NodeRates(ClusterName("here"), 2_000, 10_000, io, 1_000, speed_milli)


def test_a_checkpoint_is_carried_at_the_stated_rate_rounded_up() -> None:
    """1,024 MiB at 1,000 MB/s take 1,073.74 ms, so 1,074; nothing takes no time."""
    assert world.carry_ms(1_024, 1_000) == 1_074
    assert world.carry_ms(0, 1_000) == 0
    assert world.checkpoint_ms(1_024, 1_000) == world.restore_ms(1_024, 1_000) == 1_074


def test_a_transfer_goes_at_the_slower_of_interconnect_and_network() -> None:
    """What the narrowest link lets through is what counts."""
    assert world.transfer_ms(1_024, 500, 400) == world.carry_ms(1_024, 400)
    assert world.transfer_ms(1_024, 300, 400) == world.carry_ms(1_024, 300)


def test_an_offload_card_leaves_all_bandwidth_and_a_host_a_part() -> None:
    """Bandwidth is summed over the nodes, after what the I/O profile takes."""
    offload = world.site_of((rates(IoProfile.OFFLOAD),) * 2, PARAMETERS)
    host = world.site_of((rates(IoProfile.HOST),) * 2, PARAMETERS)
    assert (offload.storage_mbps, offload.network_mbps) == (4_000, 20_000)
    assert (host.storage_mbps, host.network_mbps) == (2_400, 12_000)


def test_a_gang_is_as_fast_as_its_slowest_device() -> None:
    """Workers go in step; one device that cannot be checkpointed decides for all."""
    mixed = (rates(IoProfile.HOST, 3_000), rates(IoProfile.HOST, 1_500))
    assert world.site_of(mixed, PARAMETERS).speed_milli == 1_500
    assert world.site_of(mixed, PARAMETERS).checkpointable
    odd = (mixed[0], replace(mixed[1], checkpointable=False))
    assert not world.site_of(odd, PARAMETERS).checkpointable


def test_a_launch_starts_then_transfers_then_restores() -> None:
    """Each step is added only where it is needed."""
    start = PARAMETERS.start_ms
    restore = world.carry_ms(4_096, 1_000)
    transfer = world.carry_ms(4_096, 400)
    assert world.launch_ms(4_096, THERE, NOWHERE, PARAMETERS) == start
    assert world.launch_ms(4_096, THERE, THERE, PARAMETERS) == start + restore
    assert world.launch_ms(4_096, THERE, HERE, PARAMETERS) == start + transfer + restore


def test_work_ends_on_the_first_millisecond_with_nothing_left() -> None:
    """10 device-ms at 3 devices end after 4 ms, at 5 devices after 2."""
    gang = world.launched(world.awaiting(10), HERE, 0)
    three = world.began(gang, 100, world.pace_micro(3, 1, 1_000, 1_000))
    five = world.began(gang, 100, world.pace_micro(5, 1, 1_000, 1_000))
    assert world.finish_ms(three) == 104
    assert world.finish_ms(five) == 102
    assert world.left_at(three, 104) == 0


def test_a_fast_device_does_more_and_a_share_less() -> None:
    """Pace is workers x devices x share x speed; a worker without devices counts as one."""
    assert world.pace_micro(2, 4, 1_000, 1_500) == 12 * world.MICRO
    assert world.pace_micro(1, 1, 250, 1_000) == world.MICRO // 4
    assert world.pace_micro(3, 0, 1_000, 1_000) == 3 * world.MICRO


def test_a_job_without_end_never_finishes() -> None:
    """It makes progress, and has no finish."""
    gang = world.began(world.launched(world.awaiting(0), HERE, 0), 0, world.MICRO)
    assert gang.endless
    assert world.finish_ms(gang) is None


def test_a_failure_goes_back_to_the_last_checkpoint() -> None:
    """What was done since is lost, what was saved before is not."""
    running = world.began(world.launched(world.awaiting(100), HERE, 0), 0, world.MICRO)
    saved = world.checkpointed(running, 30, 1)
    failed = world.rolled_back(saved, GangPhase.STOPPING)
    assert world.left_at(saved, 50) == 50 * world.MICRO
    assert failed.left == 70 * world.MICRO
    assert world.rolled_back(running, GangPhase.STOPPING).left == 100 * world.MICRO


def test_a_suspension_saves_and_says_where() -> None:
    """The checkpoint lies where the gang ran; with nothing new it stays where it was."""
    running = world.began(world.launched(world.awaiting(100), HERE, 0), 0, world.MICRO)
    saving = world.paused(running, 40, GangPhase.SAVING)
    assert world.save_ms(saving, 1_024, PARAMETERS) == world.carry_ms(1_024, 2_000)
    away = world.suspended(saving, 1)
    assert (away.left, away.saved) == (60 * world.MICRO, 60 * world.MICRO)
    assert (away.home, away.site, away.checkpoint) == (HERE, NOWHERE, 1)
    elsewhere = world.paused(world.launched(away, THERE, 1), 60, GangPhase.SAVING)
    assert world.save_ms(elsewhere, 1_024, PARAMETERS) == PARAMETERS.stop_ms
    assert world.suspended(elsewhere, 2).home == HERE
    assert world.began(world.launched(away, THERE, 1), 80, world.MICRO).home == THERE


spans = st.lists(
    st.tuples(st.integers(1, 64), st.integers(1, 2_000), st.integers(0, 5_000)), max_size=12
)


@given(work=st.integers(1, 10**6), spans=spans)
def test_work_is_conserved_over_any_stops_and_sizes(
    work: int, spans: list[tuple[int, int, int]]
) -> None:
    """However a gang is stopped, moved and resized, done plus left is all the work."""
    gang, now_ms, done = world.awaiting(work), 0, 0
    for number, (workers, speed_milli, span_ms) in enumerate(spans, 1):
        pace = world.pace_micro(workers, 1, 1_000, speed_milli)
        gang = world.began(world.launched(gang, HERE, number - 1), now_ms, pace)
        end_ms = world.finish_ms(gang)
        assert end_ms is not None
        now_ms = min(now_ms + span_ms, end_ms)
        done += min(pace * (now_ms - gang.since_ms), gang.left)
        gang = world.suspended(world.paused(gang, now_ms, GangPhase.SAVING), number)
    assert done + gang.left == work * world.MICRO
    assert gang.saved == gang.left


@given(work=st.integers(1, 10**9), pace=st.integers(1, 10**9), cut=st.integers(0, 100))
def test_a_pause_without_length_changes_no_finish(work: int, pace: int, cut: int) -> None:
    """Stopping and going on at once, at any moment, ends at the same millisecond."""
    gang = world.began(world.launched(world.awaiting(work), HERE, 0), 0, pace)
    end_ms = world.finish_ms(gang)
    assert end_ms is not None
    at_ms = end_ms * cut // 100
    again = world.resized(world.paused(gang, at_ms, GangPhase.RESIZING), at_ms, pace, HERE)
    assert world.finish_ms(again) == end_ms
