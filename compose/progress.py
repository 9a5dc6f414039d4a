# SPDX-License-Identifier: Apache-2.0
"""How far long work is: rate and time left, on standard error, where a person looks at it."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class Watch(Protocol):
    """Told how many are done, and of how many once that is known, as often as one likes."""

    def __call__(self, done: int, total: int | None = None, /) -> None:
        """Take it in."""


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:>9,.0f}/s" if speed else "")


@contextmanager
def progress(doing: str, total: int, unit: str) -> Generator[Watch]:
    """Show a bar for work of `total` units; nothing where standard error is no terminal."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} " + unit),
        _Rate(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bars:
        task = bars.add_task(doing, total=max(total, 1))

        def watch(done: int, total: int | None = None, /) -> None:
            bars.update(task, completed=done, total=total)

        yield watch
