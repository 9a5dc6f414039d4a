# SPDX-License-Identifier: Apache-2.0
"""Whether reservations fit the fleet all at once, whatever scopes they share.

A transportation problem: each reservation may draw its devices from the pools of its scope. All fit
together exactly when the maximum flow from reservations to pools carries everything (Gale,
*Pacific Journal of Mathematics* 7, 1957), so overlapping scopes are judged exactly.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from ortools.graph.python.max_flow import SimpleMaxFlow

from schemas.errors import InternalError

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def most_reserved(capacity: IntArray, wanted: IntArray, scopes: BoolArray) -> int:
    """Return how much of all that is wanted can be had at once.

    `capacity`: int64[P], `wanted`: int64[R], in one unit; `scopes`: bool[R, P], from which pools a
    reservation may draw. Costs O(R x P) arcs.
    """
    pools, count = len(capacity), len(wanted)
    source, sink = pools + count, pools + count + 1
    flow: Any = SimpleMaxFlow()  # its stubs misstate the arrays it takes
    row, pool = np.nonzero(scopes)
    for tails, heads, limits in (
        (np.full(count, source), pools + np.arange(count), wanted),
        (pools + row, pool, wanted[row]),
        (np.arange(pools), np.full(pools, sink), capacity),
    ):
        flow.add_arcs_with_capacity(tails.astype(np.int32), heads.astype(np.int32), limits)
    status = flow.solve(source, sink)
    if status != SimpleMaxFlow.OPTIMAL:
        msg = f"the maximum flow of {count} reservations over {pools} pools ended with {status}"
        raise InternalError(msg)
    return int(flow.optimal_flow())
