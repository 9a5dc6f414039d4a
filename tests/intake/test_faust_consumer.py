# SPDX-License-Identifier: Apache-2.0
"""The consumer that hands records over at once: as Faust's own, where it has to wait."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.consumer import Consumer
from mode.utils.locks import Event

from streams.intake.faust_consumer import EagerConsumer

HANDING_OVER = """\
                            await self.wait_first(
                                callback(message), self.suspend_flow.wait()
                            )
"""


def test_faust_is_the_version_that_this_was_written_for() -> None:
    """Another version of Faust or mode, or another caller: read the difference, then move this."""
    assert (version("faust-streaming"), version("mode-streaming")) == ("0.15.3", "0.7.1")
    assert HANDING_OVER in inspect.getsource(Consumer)
    assert inspect.getsource(Consumer).count("wait_first(") == 1


def consumer() -> Any:  # noqa: ANN401  # a consumer without a broker
    parts = {
        "suspend_flow": Event(),
        "_stopped": Event(),
        "_crashed": Event(),
        "_shutdown": Event(),
        "_loop": asyncio.get_running_loop(),
        "app": SimpleNamespace(),
    }
    bare = EagerConsumer.__new__(EagerConsumer)
    for name, part in parts.items():
        setattr(bare, name, part)
    return bare


def run(scenario: Callable[[Any], Awaitable[None]]) -> None:
    async def whole() -> None:
        await asyncio.wait_for(scenario(consumer()), 10)

    asyncio.run(whole())


def test_what_needs_no_waiting_is_done_at_once() -> None:
    """No task is made: whoever else runs has no turn in between."""

    async def scenario(eager: Any) -> None:  # noqa: ANN401  # as above
        queue: asyncio.Queue[int] = asyncio.Queue(1)
        before = asyncio.all_tasks()
        handing = eager.wait_first(queue.put(1), eager.suspend_flow.wait())
        with pytest.raises(StopIteration):
            handing.send(None)
        assert queue.get_nowait() == 1
        assert asyncio.all_tasks() == before

    run(scenario)


def test_what_has_to_wait_goes_on_where_it_stood() -> None:
    """A full buffer takes the record when it has room, once."""

    async def scenario(eager: Any) -> None:  # noqa: ANN401  # as above
        queue: asyncio.Queue[int] = asyncio.Queue(1)
        queue.put_nowait(1)
        handing = asyncio.ensure_future(eager.wait_first(queue.put(2), eager.suspend_flow.wait()))
        await asyncio.sleep(0.01)
        assert not handing.done()
        assert queue.get_nowait() == 1
        await handing
        assert queue.get_nowait() == 2
        assert queue.empty()

    run(scenario)


@pytest.mark.parametrize("suspended", ["before", "meanwhile"])
def test_a_suspension_ends_the_waiting(suspended: str) -> None:
    """A consumer that is to stop for a rebalance does not wait for room, and hands nothing over."""

    async def scenario(eager: Any) -> None:  # noqa: ANN401  # as above
        queue: asyncio.Queue[int] = asyncio.Queue(1)
        queue.put_nowait(1)
        if suspended == "before":
            eager.suspend_flow.set()
        handing = asyncio.ensure_future(eager.wait_first(queue.put(2), eager.suspend_flow.wait()))
        await asyncio.sleep(0.01)
        eager.suspend_flow.set()
        await handing
        await asyncio.sleep(0.01)
        assert queue.get_nowait() == 1
        assert queue.empty()

    run(scenario)


def test_an_error_of_the_handing_over_is_raised() -> None:
    """At once, or after some waiting."""

    async def scenario(eager: Any) -> None:  # noqa: ANN401  # as above
        async def fail(waits: float | None) -> None:
            if waits is not None:
                await asyncio.sleep(waits)
            msg = "refused"
            raise ValueError(msg)

        for waits in (None, 0, 0.001):
            with pytest.raises(ValueError, match="refused"):
                await eager.wait_first(fail(waits), eager.suspend_flow.wait())

    run(scenario)
