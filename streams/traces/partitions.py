# SPDX-License-Identifier: Apache-2.0
"""Fences: whole nodes for each team, and where they lie.

A partition's size is the team's share of the nodes by largest remainder, but never fewer than its
largest gang needs; what that costs is taken from the largest partitions. Partitions are then laid
out largest first: whole into the cluster with the least room that still holds it, otherwise in
parts, the largest free cluster first. Within a cluster the nodes of a part are neighbours.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from streams.traces.workload import largest_remainder


class Part(Struct, frozen=True):
    """Neighbouring nodes `first .. first + nodes - 1` of one cluster."""

    cluster: str
    first: int
    nodes: int


def sizes(weights: Mapping[str, int], needs: Mapping[str, int], total: int) -> dict[str, int]:
    """Return each team's nodes: by largest remainder, raised to what its largest gang needs.

    `needs` are in nodes. A raise takes one node at a time from the partition that has most beyond
    its own need, ties by name. Where all needs together exceed `total`, the last teams by name stay
    below theirs.
    """
    shares = largest_remainder(weights, total)
    for team in sorted(shares):
        while shares[team] < needs.get(team, 0):
            spare = {t: n - needs.get(t, 0) for t, n in shares.items() if t != team}
            giver = min(spare, key=lambda t: (-spare[t], t))
            if spare[giver] <= 0:
                return shares
            shares[giver] -= 1
            shares[team] += 1
    return shares


def lay_out(
    nodes: Mapping[str, int], needs: Mapping[str, int], clusters: Sequence[tuple[str, int]]
) -> dict[str, tuple[Part, ...]]:
    """Return where each partition lies; `clusters` are (name, nodes).

    Order: most nodes first, then the largest gang, then the name. The sizes must fit in all.
    """
    free = dict(clusters)
    size = dict(clusters)
    placed: dict[str, tuple[Part, ...]] = {}
    for team in sorted(nodes, key=lambda t: (-nodes[t], -needs.get(t, 0), t)):
        parts: list[Part] = []
        left = nodes[team]
        while left:
            cluster = _choose(free, left)
            taken = min(left, free[cluster])
            parts.append(Part(cluster, size[cluster] - free[cluster], taken))
            free[cluster] -= taken
            left -= taken
        placed[team] = tuple(parts)
    return placed


def _choose(free: Mapping[str, int], wanted: int) -> str:
    """Best fit where one cluster holds all of it, else the cluster with most room; ties by name."""
    holding = [c for c in free if free[c] >= wanted]
    if holding:
        return min(holding, key=lambda c: (free[c], c))
    return min(free, key=lambda c: (-free[c], c))
