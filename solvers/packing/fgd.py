# SPDX-License-Identifier: Apache-2.0
"""Fragmentation gradient descent: the published policy that ours is compared with.

Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient
Descent", USENIX ATC 2023. Its rating is a kernel in `solvers.packing.potential`; here is the table
that it reads. All observed pods are typical ones, as in the published results: with the commonest
95 % alone, pods of eight GPUs are forgotten and twice as much stays unallocated.
"""

import numpy as np

from solvers.packing.nodes import BoolArray, IntArray
from solvers.packing.potential import Typical


def typical_pods(asked: IntArray, allowed: BoolArray, counts: IntArray) -> Typical:
    """Return the observed pods in G groups of equal device demand and models.

    `asked` is int64[T, 4] (devices, thousandths of each, CPU, memory, the last of which is not
    looked at), `allowed` bool[T, K], `counts` int64[T]. In order: int64[G, 2] devices and
    thousandths; bool[G, K] models; int64[G + 1] where each group starts in the two that follow;
    their CPU demands, rising in a group; and how many pods of the group ask for no more.
    """
    groups: dict[tuple[int, int, bytes], dict[int, int]] = {}
    for at, count in enumerate(counts.tolist()):
        devices, milli, cpu_milli, _ = asked[at].tolist()
        group = groups.setdefault((devices, milli, allowed[at].tobytes()), {})
        group[cpu_milli] = group.get(cpu_milli, 0) + count
    heads = sorted(groups)
    starts: list[int] = [0]
    cpu: list[int] = []
    within: list[int] = []
    for head in heads:
        inside = sorted(groups[head].items())
        starts.append(starts[-1] + len(inside))
        cpu.extend(cpu_milli for cpu_milli, _ in inside)
        within.extend(np.cumsum([count for _, count in inside]).tolist())
    models = np.frombuffer(b"".join(flags for _, _, flags in heads), np.bool_)
    return (
        np.array([(devices, milli) for devices, milli, _ in heads], np.int64).reshape(-1, 2),
        models.reshape(len(heads), allowed.shape[1]).copy(),
        np.array(starts, np.int64),
        np.array(cpu, np.int64),
        np.array(within, np.int64),
    )
