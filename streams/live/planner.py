# SPDX-License-Identifier: Apache-2.0
"""Planning aside: in a thread, so that the leader goes on taking in what arrives."""

from concurrent.futures import Future, ThreadPoolExecutor

from engine.planning import Plan, plan
from engine.snapshot import Snapshot as Cut
from schemas.errors import InternalError


class ThreadPlanner:
    """Plans in one thread of its own. Close it when done."""

    def __init__(self) -> None:
        """Start with nothing to plan."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="planner")
        self._plan: Future[Plan] | None = None

    def begin(self, cut: Cut) -> None:
        """Start to plan on a cut."""
        if self._plan is not None:
            msg = f"a plan on position {cut.position} was asked for while another is being made"
            raise InternalError(msg)
        self._plan = self._pool.submit(plan, cut)

    def finished(self) -> Plan | None:
        """Return the plan once it is made, or None; raises what planning raised."""
        if self._plan is None or not self._plan.done():
            return None
        made, self._plan = self._plan, None
        return made.result()

    def forget(self) -> None:
        """Let a plan that is being made come to nothing; the next waits for its thread."""
        if self._plan is not None:
            self._plan.cancel()
            self._plan = None

    def close(self) -> None:
        """Let a plan that is being made come to nothing, and end the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class InlinePlanner:
    """Plans at once, in the caller's thread: for tests, where threads would be chance."""

    def __init__(self) -> None:
        """Start with nothing to plan."""
        self._plan: Plan | None = None

    def begin(self, cut: Cut) -> None:
        """Plan on a cut."""
        self._plan = plan(cut)

    def finished(self) -> Plan | None:
        """Return the plan that was made since the last call, if one was."""
        made, self._plan = self._plan, None
        return made

    def forget(self) -> None:
        """Forget the plan that was made."""
        self._plan = None
