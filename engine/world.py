# SPDX-License-Identifier: Apache-2.0
"""The world outside, as a pure model: how long moves take, and how a gang's work gets done.

The trace player runs on it now, what-if will later. The engine never reads a gang's state, since it
only knows what is reported; the planner may use the estimating functions (`checkpoint_ms`,
`restore_ms`, `transfer_ms`) for its costs.

Time is in milliseconds, amounts are integers. Work is counted in *micro-device-milliseconds*: a
millionth of what one reference device does in a millisecond. A gang's pace is workers x
milli-devices x speed in thousandths, so the work done in a span is a product of integers: nothing
is rounded, lost or made, however often a gang is stopped. Only times are rounded, always up: a
finish falls on the first millisecond at which no work is left, a move takes whole milliseconds.
"""

from enum import IntEnum

from msgspec import Struct
from msgspec.structs import replace

from schemas.ids import ClusterName
from schemas.kinds import IoProfile

MICRO = 1_000_000
_BYTES_PER_MIB = 1_048_576
_BYTES_PER_MS_AT_1_MBPS = 1_000


class WorldParameters(Struct, frozen=True):
    """What the model takes as given.

    start_ms: from a launch directive to a gang that computes or reads its checkpoint. Image cached
        on the node, containers started in parallel, ranks joined: 10 s.
    resize_ms: pause in which an elastic gang re-forms with other workers and shards its state anew
        over the network: 10 s.
    stop_ms: ending a gang that has nothing to save: signal, grace, device reset: 2 s.
    host_io_milli: what is left of a node's declared storage and network bandwidth where the host's
        own cores process it, in thousandths; an offload card leaves all of it. 600: a kernel
        storage stack beside busy input pipelines.
    """

    start_ms: int = 10_000
    resize_ms: int = 10_000
    stop_ms: int = 2_000
    host_io_milli: int = 600


class NodeRates(Struct, frozen=True):
    """What one node offers: its cluster, its bandwidths as declared in MB/s, what its SKU can."""

    cluster: ClusterName
    storage_mbps: int
    network_mbps: int
    io: IoProfile
    interconnect_mbps: int
    speed_milli: int
    checkpointable: bool = True


class Site(Struct, frozen=True):
    """Where a gang runs: usable MB/s summed over its nodes, and the speed of its slowest device."""

    cluster: ClusterName
    storage_mbps: int
    network_mbps: int
    interconnect_mbps: int
    speed_milli: int
    checkpointable: bool = True


NOWHERE = Site(ClusterName(""), 0, 0, 0, 0)
"""The site of a gang that holds no devices, and of a checkpoint that was never written."""


def site_of(nodes: tuple[NodeRates, ...], parameters: WorldParameters) -> Site:
    """Return the site that these nodes make together; all are in one cluster, as every gang is.

    Workers go in step, so the gang is as fast as its slowest device, and it can be checkpointed if
    every device can. A node's bandwidth counts in
    full however few of its devices the gang has: two gangs that save at once on one node are both
    taken to get all of it.
    """
    share = parameters.host_io_milli
    return Site(
        cluster=nodes[0].cluster,
        storage_mbps=sum(usable_mbps(n.storage_mbps, n.io, share) for n in nodes),
        network_mbps=sum(usable_mbps(n.network_mbps, n.io, share) for n in nodes),
        interconnect_mbps=nodes[0].interconnect_mbps,
        speed_milli=min(n.speed_milli for n in nodes),
        checkpointable=all(n.checkpointable for n in nodes),
    )


# --- how long things take ---------------------------------------------------------------------


def usable_mbps(declared_mbps: int, io: IoProfile, host_io_milli: int) -> int:
    """Return the bandwidth of a node that checkpoints get, in MB/s, rounded down."""
    if io is IoProfile.OFFLOAD:
        return declared_mbps
    return declared_mbps * host_io_milli // 1_000


def carry_ms(size_mib: int, rate_mbps: int) -> int:
    """Return how long `size_mib` MiB take at `rate_mbps` MB/s (at least 1), rounded up."""
    return -(-size_mib * _BYTES_PER_MIB // (max(rate_mbps, 1) * _BYTES_PER_MS_AT_1_MBPS))


def checkpoint_ms(checkpoint_mib: int, storage_mbps: int) -> int:
    """Return how long a gang writes its checkpoint, at usable MB/s summed over its nodes."""
    return carry_ms(checkpoint_mib, storage_mbps)


def restore_ms(checkpoint_mib: int, storage_mbps: int) -> int:
    """Return how long a gang reads its checkpoint, at usable MB/s summed over its nodes."""
    return carry_ms(checkpoint_mib, storage_mbps)


def transfer_ms(checkpoint_mib: int, interconnect_mbps: int, network_mbps: int) -> int:
    """Return how long a checkpoint travels to another cluster.

    `interconnect_mbps` is the slower one of both clusters; `network_mbps` is usable and summed over
    the nodes that take the checkpoint in.
    """
    return carry_ms(checkpoint_mib, min(interconnect_mbps, network_mbps))


def launch_ms(checkpoint_mib: int, site: Site, home: Site, parameters: WorldParameters) -> int:
    """Return the time from a launch directive to progress.

    `home` is where the checkpoint was written or last read, `NOWHERE` if there is none. Start,
    transfer and restore follow each other: nothing is fetched while containers start.
    """
    if not home.cluster:
        return parameters.start_ms
    moved_ms = 0
    if home.cluster != site.cluster:
        slower = min(home.interconnect_mbps, site.interconnect_mbps)
        moved_ms = transfer_ms(checkpoint_mib, slower, site.network_mbps)
    return parameters.start_ms + moved_ms + restore_ms(checkpoint_mib, site.storage_mbps)


def pace_micro(workers: int, devices: int, device_milli: int, speed_milli: int) -> int:
    """Return the work a gang does in a millisecond, in micro-device-milliseconds.

    A worker without accelerators counts as one device, so that its work is worker time.
    """
    return workers * (devices * device_milli or 1_000) * speed_milli


# --- one gang ---------------------------------------------------------------------------------


class GangPhase(IntEnum):
    """What a gang is doing out there."""

    WAITING = 1
    STARTING = 2
    RUNNING = 3
    RESIZING = 4
    SAVING = 5
    STOPPING = 6


class GangState(Struct, frozen=True):
    """One job's work and gang.

    left, saved: the work still to do, as of `since_ms` and at the last checkpoint, in
        micro-device-milliseconds. An endless job's `left` falls below zero.
    pace: work done per millisecond, in micro-device-milliseconds; 0 unless running.
    checkpoint: number of the last checkpoint, 0 before the first.
    site: where the gang holds devices.
    home: where the last checkpoint was written or last read.
    """

    left: int
    saved: int
    endless: bool = False
    phase: GangPhase = GangPhase.WAITING
    pace: int = 0
    since_ms: int = 0
    checkpoint: int = 0
    site: Site = NOWHERE
    home: Site = NOWHERE


def awaiting(work_device_ms: int) -> GangState:
    """Return a job that has all its work before it, in device-milliseconds; 0 never ends."""
    work = work_device_ms * MICRO
    return GangState(left=work, saved=work, endless=work_device_ms == 0)


def launched(gang: GangState, site: Site, checkpoint: int) -> GangState:
    """A launch was ordered; `checkpoint` is the number that the directive names."""
    number = max(gang.checkpoint, checkpoint)
    return replace(gang, phase=GangPhase.STARTING, site=site, checkpoint=number)


def began(gang: GangState, now_ms: int, pace: int) -> GangState:
    """The gang makes progress from now on; a checkpoint that it read is now at its site."""
    home = gang.site if gang.home.cluster else NOWHERE
    return replace(gang, phase=GangPhase.RUNNING, pace=pace, since_ms=now_ms, home=home)


def resized(gang: GangState, now_ms: int, pace: int, site: Site) -> GangState:
    """The gang goes on with other workers at `site`."""
    return replace(gang, phase=GangPhase.RUNNING, pace=pace, since_ms=now_ms, site=site)


def paused(gang: GangState, now_ms: int, phase: GangPhase) -> GangState:
    """Progress stops now, for a resize or a suspension; all that was done counts."""
    return replace(gang, phase=phase, left=left_at(gang, now_ms), pace=0, since_ms=now_ms)


def checkpointed(gang: GangState, now_ms: int, checkpoint: int) -> GangState:
    """The work done up to now is safe, and the gang goes on."""
    left = left_at(gang, now_ms)
    number = max(gang.checkpoint, checkpoint)
    return replace(gang, left=left, saved=left, since_ms=now_ms, checkpoint=number, home=gang.site)


def suspended(gang: GangState, checkpoint: int) -> GangState:
    """The work done is safe as checkpoint number `checkpoint`, and the devices are released.

    A gang that had nothing new to save leaves its checkpoint where it was.
    """
    return replace(
        gang,
        phase=GangPhase.WAITING,
        saved=gang.left,
        checkpoint=max(gang.checkpoint, checkpoint),
        home=gang.site if unsaved(gang) else gang.home,
        site=NOWHERE,
    )


def rolled_back(gang: GangState, phase: GangPhase) -> GangState:
    """The gang failed, or is stopped as it is: what was done since the last checkpoint is lost."""
    return replace(gang, phase=phase, left=gang.saved, pace=0)


def released(gang: GangState) -> GangState:
    """The devices are released; the job waits for its next attempt."""
    return replace(gang, phase=GangPhase.WAITING, site=NOWHERE)


def left_at(gang: GangState, now_ms: int) -> int:
    """Return the work left at `now_ms`, in micro-device-milliseconds.

    Never below zero unless the job is endless: what a gang does in the rest of its last
    millisecond is idling, not work.
    """
    left = gang.left - gang.pace * (now_ms - gang.since_ms)
    return left if gang.endless else max(left, 0)


def finish_ms(gang: GangState) -> int | None:
    """Return the first millisecond at which no work is left.

    None for a gang that makes no progress and for a job that never ends.
    """
    if gang.endless or not gang.pace:
        return None
    return gang.since_ms - (-gang.left // gang.pace)


def unsaved(gang: GangState) -> bool:
    """Whether work was done since the last checkpoint."""
    return gang.left != gang.saved


def save_ms(gang: GangState, checkpoint_mib: int, parameters: WorldParameters) -> int:
    """Return how long a suspended gang takes to release its devices.

    That is its checkpoint's writing, or a plain stop where nothing is new.
    """
    if not unsaved(gang):
        return parameters.stop_ms
    return checkpoint_ms(checkpoint_mib, gang.site.storage_mbps)
