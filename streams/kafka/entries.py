# SPDX-License-Identifier: Apache-2.0
"""What lies in the ledger's partition: records with their position, and notes that close a batch.

A broker's offset only says where something is kept: transaction markers and aborted records take
offsets of their own. So each record carries its position in a header, and each transaction ends
with a note that says what holds from there on. A note is no record and has no position.
"""

from msgspec import DecodeError, Struct, msgpack

from schemas.ledger import CorruptLedgerError
from streams.kafka.headers import Headers

_POSITION, _NOTE = "position", "note"
_POSITION_BYTES = 8


class Note(Struct, frozen=True):
    """What holds after a transaction: head, who wrote it under which epoch, inputs up to where."""

    head: int = 0
    epoch: int = 0
    owner: str = ""
    consumed: dict[str, int] = {}


class Placed(Struct, frozen=True):
    """A record and its position."""

    position: int
    data: bytes


NOTHING = Note()
"""What holds before the first transaction."""

_encode = msgpack.Encoder().encode
_decode_note = msgpack.Decoder(Note).decode


def record_headers(position: int) -> list[tuple[str, str | bytes | None]]:
    """Return the headers of a record; its value is the record's own bytes."""
    return [(_POSITION, position.to_bytes(_POSITION_BYTES, "big"))]


def note_headers() -> list[tuple[str, str | bytes | None]]:
    """Return the headers of a note."""
    return [(_NOTE, b"")]


def note_value(note: Note) -> bytes:
    """Return the value of a note."""
    return _encode(note)


def placed_at(
    headers: list[tuple[str, str | bytes | None]] | dict[str, str | bytes | None] | None,
) -> int:
    """Return a record's position from a client's headers; -1 where they are not just a record's.

    It judges nothing: what is no record, `read_entry` tells apart. It is that in a third of the
    time, since nearly all that lies in the partition is records.
    """
    if isinstance(headers, list) and len(headers) == 1:
        name, data = headers[0]
        if name == _POSITION and isinstance(data, bytes) and len(data) == _POSITION_BYTES:
            return int.from_bytes(data, "big")
    return -1


def read_entry(headers: Headers | None, value: bytes | None, where: str) -> Placed | Note:
    """Return what lies in the partition at a place; raises `CorruptLedgerError` for anything else.

    An empty record's value may come as none.
    """
    match headers:
        case [(name, bytes(data))] if name == _POSITION and len(data) == _POSITION_BYTES:
            return Placed(int.from_bytes(data, "big"), value or b"")
        case [(name, _)] if name == _NOTE:
            try:
                return _decode_note(value or b"")
            except DecodeError as error:
                msg = f"{where} holds a note that cannot be read ({error}); look who writes there"
                raise CorruptLedgerError(msg) from error
        case _:
            msg = f"{where} holds neither record nor note; look who writes there"
            raise CorruptLedgerError(msg)
