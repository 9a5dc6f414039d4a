# SPDX-License-Identifier: Apache-2.0
"""What intake makes of Faust: what its app is told, its table, and how its process goes and ends.

Faust is typed loosely: what it hands over is Any here and in `streams.intake.faust_host`.
"""

import asyncio
import ssl
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, NoReturn, cast

import faust

from schemas.errors import DecodeError
from streams.intake.cells import later
from streams.intake.outbox import LEAVE_S
from streams.intake.worker import SESSION_S
from streams.kafka.connection import Connection
from streams.kafka.topics import INTAKE, Topology

BUFFER = 65_536
FETCH_BYTES = 1_048_576
COMMIT_S = 1.0


def settings(connection: Connection, topology: Topology) -> dict[str, Any]:
    """Return what a Faust app of intake is told; `docs/intake.md` says why."""
    return {
        "broker": [f"kafka://{address}" for address in connection.bootstrap.split(",")],
        "broker_credentials": _credentials(connection),
        "processing_guarantee": "at_least_once",
        "store": "memory://",
        # Faust makes a folder for its tables, though these are in memory; it stays empty.
        "datadir": str(Path(tempfile.gettempdir()) / f"{topology.group(INTAKE)}-faust"),
        "key_serializer": "raw",
        "value_serializer": "raw",
        "topic_partitions": topology.cells.partitions,
        "topic_replication_factor": topology.replication,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "table_standby_replicas": 1,
        "stream_buffer_maxsize": BUFFER,
        "stream_wait_empty": True,
        "consumer_max_fetch_size": FETCH_BYTES,
        "consumer_auto_offset_reset": "earliest",
        "broker_commit_interval": COMMIT_S,
        "broker_session_timeout": SESSION_S,
        "broker_heartbeat_interval": SESSION_S / 4,
        "broker_request_timeout": 90.0,
        "web_enabled": False,
        "Table": CellsTable,
        "autodiscover": False,
        "origin": None,
    }


def _credentials(connection: Connection) -> object:
    """Return who the app is under mutual TLS, or None where the broker asks for none."""
    security = connection.security
    if security is None:
        return None
    context = ssl.create_default_context(cafile=str(security.authority))
    context.load_cert_chain(str(security.certificate), str(security.key))
    return faust.SSLCredentials(context)


_Table: Any = faust.Table


class CellsTable(_Table):  # type: ignore[misc]  # Faust's are loose
    """The table of cells, which recovers of each the version that includes most."""

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Take in records of the changelog as it is read."""
        _Table.apply_changelog_batch(self, (event for event in batch if self._counts(event)))

    def _counts(self, event: Any) -> bool:  # noqa: ANN401  # Faust's are loose
        known, data = self.data.get(event.key), event.value
        if data is None:
            return True
        try:
            return later(known, data) is data
        except DecodeError:
            return True  # whoever owns the partition says so; an error here would be passed over


class App(faust.App):
    """A Faust app that settles as long as it runs, and to the end of its shutdown."""

    settle: Callable[[], Coroutine[Any, Any, None]]
    """What settles, until it is cancelled."""

    _keeper: asyncio.Task[None] | None = None

    async def on_started(self) -> None:
        """Begin to settle."""
        await super().on_started()
        self._keeper = asyncio.get_running_loop().create_task(self.settle())

    async def on_stop(self) -> None:
        """Stop: Faust waits here for the acks of all that was taken in."""
        await super().on_stop()
        if self._keeper is not None:
            self._keeper.cancel()


class FaustWorker(faust.Worker):
    """A Faust worker that ends when it is stopped: Faust would wait for its broker for ever."""

    def __init__(
        self,
        app: App,
        *,
        late: Callable[[], NoReturn],
        **options: Any,  # noqa: ANN401  # Faust's are loose
    ) -> None:
        """Be told what to do where the broker does not let it leave."""
        cast("Any", super()).__init__(app, **options)
        self._late = late

    async def stop(self) -> None:
        """Stop in good order, or end as a kill would, which intake survives."""
        late = threading.Timer(LEAVE_S, self._late)
        late.daemon = True
        late.start()
        await super().stop()
