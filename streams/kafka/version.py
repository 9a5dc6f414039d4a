# SPDX-License-Identifier: Apache-2.0
"""Which Kafka a broker is, as far as brokers say: the level of its cluster's metadata.

A broker names no release. What a cluster has agreed on is the feature `metadata.version`, and each
release's newest level is known. No client shows it, so the one request (ApiVersions, version 3, of
Kafka's protocol) is made here by hand: a few bytes there, a few back.
"""

import socket
import ssl
from collections.abc import Callable

from streams.kafka.connection import BrokerUnavailableError, Connection

OLDEST_LEVEL = 22
"""The first level of Kafka 4.0."""

_RELEASES = ((30, "4.3"), (28, "4.2"), (26, "4.1"), (OLDEST_LEVEL, "4.0"))

_API_VERSIONS, _VERSION = 18, 3
_FEATURE = "metadata.version"
_FINALIZED = 2
_TIMEOUT_S = 5.0


def metadata_level(connection: Connection) -> int:
    """Return the level that a broker's cluster has agreed on; 0 where it names none.

    Raises `BrokerUnavailableError`.
    """
    address = connection.bootstrap.split(",")[0]
    host, _, port = address.rpartition(":")
    try:
        with (
            socket.create_connection((host, int(port)), _TIMEOUT_S) as plain,
            _secured(plain, host, connection) as stream,
        ):
            stream.sendall(_request())
            return _level(_answer(stream))
    except (OSError, IndexError, ValueError) as error:
        msg = f"the broker at {address} does not say what it is: {error}"
        raise BrokerUnavailableError(msg) from error


def release_of(level: int) -> str:
    """Return the Kafka whose level this is: the last one known, for a newer one."""
    return next((name for first, name in _RELEASES if level >= first), "older than 4.0")


def _secured(plain: socket.socket, host: str, connection: Connection) -> socket.socket:
    security = connection.security
    if security is None:
        return plain
    context = ssl.create_default_context(cafile=str(security.authority))
    context.load_cert_chain(str(security.certificate), str(security.key))
    return context.wrap_socket(plain, server_hostname=host)


def _request() -> bytes:
    """Return the request, with its length before it."""
    client = _compact(b"singlepool")
    header = _API_VERSIONS.to_bytes(2) + _VERSION.to_bytes(2) + bytes(4) + b"\xff\xff\x00"
    body = header + client + _compact(b"1") + b"\x00"
    return len(body).to_bytes(4) + body


def _compact(text: bytes) -> bytes:
    return bytes((len(text) + 1,)) + text


def _answer(stream: socket.socket) -> bytes:
    size = int.from_bytes(_exactly(stream, 4))
    return _exactly(stream, size)


def _exactly(stream: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = stream.recv(size - len(found))
        if not part:
            msg = "it closed the connection"
            raise ConnectionError(msg)
        found += part
    return found


class _Bytes:
    """An answer that is read from its beginning on."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        if len(part) < size:
            msg = "its answer ends too early"
            raise ValueError(msg)
        self._at += size
        return part

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), signed=True)

    def varint(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    def text(self) -> str:
        return self.take(self.varint() - 1).decode()

    def each(self, read: Callable[["_Bytes"], None]) -> None:
        """Read a compact array."""
        for _ in range(self.varint() - 1):
            read(self)

    def skip_tags(self) -> None:
        for _ in range(self.varint()):
            self.varint()
            self.take(self.varint())


def _level(data: bytes) -> int:
    """Return the finalized level of the feature that an answer tells of."""
    answer = _Bytes(data)
    answer.take(4)  # the correlation id
    error = answer.number(2)
    if error:
        msg = f"it answered with error {error}"
        raise ValueError(msg)
    answer.each(_pass_over_api)
    answer.take(4)  # throttled for so long
    level = 0
    for _ in range(answer.varint()):
        tag, size = answer.varint(), answer.varint()
        content = answer.take(size)
        if tag == _FINALIZED:
            level = _finalized(_Bytes(content))
    return level


def _pass_over_api(answer: _Bytes) -> None:
    answer.take(6)  # key, oldest and newest version
    answer.skip_tags()


def _finalized(features: _Bytes) -> int:
    found: dict[str, int] = {}

    def read(features: _Bytes) -> None:
        name = features.text()
        found[name] = features.number(2)
        features.take(2)  # the lowest level
        features.skip_tags()

    features.each(read)
    return found.get(_FEATURE, 0)
