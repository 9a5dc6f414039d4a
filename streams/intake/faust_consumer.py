# SPDX-License-Identifier: Apache-2.0
"""Faust's consumer, without four tasks for each record.

To hand a record to its agent, Faust 0.15.3 makes a task for it and three that wait for the consumer
to be suspended, stopped or crashed, and cancels those three. It is half of what a record costs.
Here the handing over is first tried without waiting, which succeeds as long as the agent's buffer
has room. Only where it has to wait does it become what it is in Faust, from the same point on.

This leans on how Faust calls `wait_first`: `tests/intake/test_faust_consumer.py` holds it to the
versions that it was written for.
"""

from collections.abc import Coroutine, Generator
from typing import Any, cast

from faust.transport.drivers.aiokafka import Consumer


class EagerConsumer(Consumer):
    """Hands records over at once where that needs no waiting."""

    async def wait_first(self, *coros: Any, timeout: Any = None) -> Any:  # noqa: ANN401, ASYNC109  # as overridden
        """Return what comes first, as the stock method does; (handing over, suspension)."""
        handing, *others = coros
        as_stock = cast("Any", super()).wait_first
        if self.suspend_flow.is_set() or self.should_stop:
            return await as_stock(*coros, timeout=timeout)
        try:
            waits_for = handing.send(None)
        except BaseException as end:
            for other in others:
                other.close()
            if isinstance(end, StopIteration):
                return None  # nobody looks at it
            raise
        return await as_stock(_Begun(handing, waits_for), *others, timeout=timeout)


class _Begun:
    """A coroutine that was begun, and what it waits for."""

    def __init__(self, begun: Coroutine[Any, Any, Any], waits_for: object) -> None:
        """Go on with it where it stands."""
        self._begun = begun
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        """Go on as if it had been awaited from its beginning."""
        try:
            yield self._waits_for
        except BaseException as error:  # a cancellation belongs to it
            self._begun.throw(error)
            raise
        return (yield from self._begun.__await__())
