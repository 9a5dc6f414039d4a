# SPDX-License-Identifier: Apache-2.0
"""How an installation is doing: asked of its processes, shown as a table or as a line."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from msgspec import Struct, structs
from rich.console import Console
from rich.live import Live
from rich.table import Table

from compose.answers import tell
from compose.crew import Crew
from compose.moments import written
from streams.live.ports import Role

_EVERY_S = 5.0


class Standing(Struct, frozen=True):
    """How far everything is, as its processes last said; 0 or empty while nobody answers."""

    now_ms: int
    leader: str
    epoch: int
    head: int
    cycle: int
    waiting: int
    held_devices: float
    lag: int
    taken_in: int
    published: int
    under_way: int
    archived: int
    restarts: int

    def shown(self) -> Mapping[str, str]:
        """Return it for people."""
        figures = structs.asdict(self)
        texts = {name: f"{n:,.0f}" for name, n in figures.items() if isinstance(n, int | float)}
        return {**texts, "now_ms": written(self.now_ms), "leader": self.leader or "none"}

    def line(self) -> str:
        """Return it as one line."""
        shown = self.shown()
        names = ("now_ms", "leader", "head", "cycle", "waiting", "held_devices", "lag", "archived")
        return ", ".join(f"{name.removesuffix('_ms')} {shown[name]}" for name in names)


def standing(crew: Crew, engines: Sequence[str]) -> Standing:
    """Ask all processes how far they are."""
    leader = leader_of(crew, engines)
    engine: Mapping[str, float] = crew.metrics(leader) if leader else {}
    says: Mapping[str, object] = crew.says(leader) if leader else {}
    player, archiver, intake = (crew.metrics(name) for name in ("player", "archive", "intake"))
    cycles = [_number(crew.last(name, "cycle").get("cycle")) for name in engines]
    return Standing(
        now_ms=int(player.get("singlepool_player_now_ms", 0)),
        leader=leader,
        epoch=_number(says.get("epoch")),
        head=int(engine.get("singlepool_head_position", 0)),
        cycle=max(cycles),
        waiting=int(engine.get("singlepool_jobs_waiting", 0)),
        held_devices=engine.get("singlepool_allocated_devices", 0.0),
        lag=int(engine.get("singlepool_consumer_lag_events", 0)),
        taken_in=int(intake.get("singlepool_intake_taken_events", 0)),
        published=int(player.get("singlepool_player_published_events", 0)),
        under_way=int(player.get("singlepool_player_under_way_events", 0)),
        archived=int(archiver.get("singlepool_archiver_position", 0)),
        restarts=crew.restarts,
    )


def leader_of(crew: Crew, engines: Sequence[str]) -> str:
    """Return the engine that says that it leads, or nothing while none does."""
    running = [name for name in engines if name in crew.names]
    return next((n for n in running if crew.says(n).get("role") == Role.LEADER), "")


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


class View(Protocol):
    """Told how everything stands, as often as one likes."""

    every_s: float

    def show(self, now: Standing) -> None:
        """Show it."""
        ...


@contextmanager
def view(console: Console) -> Generator[View]:
    """Show a table that lives where a person looks at it, and a line now and then elsewhere."""
    if not console.is_terminal:
        yield _Lines()
        return
    with Live(console=console, transient=True) as live:
        yield _Table(live)


class _Lines:
    """A line each few seconds."""

    every_s = _EVERY_S

    def show(self, now: Standing) -> None:
        tell(now.line())


class _Table:
    """A table that is drawn again in its place."""

    every_s = 1.0

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, now: Standing) -> None:
        table = Table("what", "now", title="singlepool, live")
        for name, text in now.shown().items():
            table.add_row(name.removesuffix("_ms").replace("_", " "), text)
        self._live.update(table)
