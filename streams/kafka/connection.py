# SPDX-License-Identifier: Apache-2.0
"""How a client reaches the broker: where it is, and as whom it comes."""

import logging
import time
from collections.abc import Container
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from msgspec import Struct

from schemas.errors import WorldError

Settings = dict[str, Any]
"""What librdkafka is told, by its own names: text, numbers, callbacks."""

_SILENT = logging.getLogger("singlepool.kafka")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False

_ASK_S = 1.0
_CERTIFICATE, _KEY, _AUTHORITY = "certificate.pem", "key.pem", "authority.pem"


def _say_nothing(_: KafkaError) -> None:
    """Leave an error to the call that meets it."""


def reason_of(error: KafkaException) -> KafkaError | None:
    """Return what the client says is wrong, or None where it says no more than a sentence."""
    reason = error.args[0]
    return reason if isinstance(reason, KafkaError) else None


def is_one_of(error: KafkaException, codes: Container[int]) -> bool:
    """Whether an error is of one of these codes."""
    reason = reason_of(error)
    return reason is not None and reason.code() in codes


def failure_of(future: Future[Any], patience_s: float) -> BaseException | None:
    """Return what an administrator's request failed with, or None where its result is there.

    Who lets `result` raise it holds future and error by each other, and with them the client, until
    garbage collection: which may come in the client's own thread, and that ends the process
    (confluent-kafka-python #2131).
    """
    try:
        return future.exception(patience_s)
    except TimeoutError:
        return TimeoutError(f"no answer within {patience_s:.0f} s")


class BrokerUnavailableError(WorldError):
    """No broker answers, or fewer than there must be; the message says where it was looked for."""


class Security(Struct, frozen=True):
    """Who a client is under mutual TLS: a folder with its certificate, key and authority (PEM)."""

    folder: str

    @property
    def authority(self) -> Path:
        """The certificate that signs all others."""
        return Path(self.folder) / _AUTHORITY

    @property
    def certificate(self) -> Path:
        """The client's own certificate, whose common name is its principal."""
        return Path(self.folder) / _CERTIFICATE

    @property
    def key(self) -> Path:
        """The certificate's private key."""
        return Path(self.folder) / _KEY


class Connection(Struct, frozen=True):
    """A broker's addresses, host:port with commas between, and the security that it asks for."""

    bootstrap: str
    security: Security | None = None

    def settings(self) -> Settings:
        """Return what every client of librdkafka needs to get there.

        A client that is refused, fenced or cannot reach anybody says so by the error of a call,
        once, and neither on a log nor out of a callback.
        """
        settings: Settings = {
            "bootstrap.servers": self.bootstrap,
            "logger": _SILENT,
            "error_cb": _say_nothing,
        }
        if self.security is not None:
            settings |= {
                "security.protocol": "ssl",
                "ssl.ca.location": str(self.security.authority),
                "ssl.certificate.location": str(self.security.certificate),
                "ssl.key.location": str(self.security.key),
            }
        return settings


def brokers(connection: Connection, timeout_s: float = _ASK_S) -> tuple[str, ...]:
    """Return the addresses of the brokers that are there. Raises `BrokerUnavailableError`."""
    try:
        found = AdminClient(connection.settings()).list_topics(timeout=timeout_s)
    except KafkaException as error:
        msg = f"no broker answers at {connection.bootstrap}: {error}"
        raise BrokerUnavailableError(msg) from error
    return tuple(f"{b.host}:{b.port}" for _, b in sorted(found.brokers.items()))


def wait_for_brokers(connection: Connection, count: int, patience_s: float) -> None:
    """Return once so many brokers are there.

    Raises `BrokerUnavailableError` when patience is out.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            found = brokers(connection)
            said = f"{len(found)} of {count} brokers are there at {connection.bootstrap}"
        except BrokerUnavailableError as error:
            found, said = (), str(error)
        if len(found) >= count:
            return
        if time.monotonic() > deadline:
            msg = f"{said} after {patience_s:.0f} s"
            raise BrokerUnavailableError(msg)
        time.sleep(0.1)
