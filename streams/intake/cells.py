# SPDX-License-Identifier: Apache-2.0
"""What intake remembers of a partition's raw events, in cells that are kept one by one.

An entity (a node, a gateway) lives in one cell of its partition, by a digest of its name. A cell
says up to which input offset it includes the partition's records. So each can be kept when it has
changed, at its own time and far below a record's size limit, and what is read again after a crash
is folded again only where it is not included yet: nothing counts twice.
"""

from zlib import crc32

from msgspec import DecodeError as MsgpackDecodeError
from msgspec import Struct, ValidationError, field, msgpack

from schemas.errors import DecodeError

CELLS = 16
"""Cells of a partition. It decides which cell an entity is in, so kept cells bind it for ever."""


class NodeWatch(Struct, array_like=True):
    """What is known of one node.

    `heard_ms` is when its last beat came (0: none yet), `noted_ms` when anything about it did.
    `steady` counts beats in a row without a gap or a new error. An `unwell` node may have been told
    suspect, a `suspected` one was. A `held` one is somebody else's to judge. `told` is the highest
    sequence of any report on it.
    """

    boot: int = 0
    sequence: int = 0
    device_errors: int = 0
    heard_ms: int = 0
    noted_ms: int = 0
    steady: int = 0
    unwell: bool = False
    suspected: bool = False
    held: bool = False
    told: int = 0


class Gateway(Struct, array_like=True):
    """The last request of one gateway, and when it came."""

    boot: int = 0
    sequence: int = 0
    noted_ms: int = 0


class Window(Struct, array_like=True):
    """The requests of one window so far; `told` is how many of them the last profile had."""

    requests: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    reused_prefix_tokens: int = 0
    latencies: dict[int, int] = field(default_factory=dict)
    told: int = 0


WindowKey = tuple[str, str, str, int]
"""Deployment, origin region, gateway, start in ms."""


class Cell(Struct, array_like=True):
    """A part of a partition's state: all records below offset `included` are in it.

    `requests_bytes` is what gateways and windows take at the most when the cell is kept.
    """

    included: int = 0
    nodes: dict[str, NodeWatch] = field(default_factory=dict)
    gateways: dict[str, Gateway] = field(default_factory=dict)
    windows: dict[WindowKey, Window] = field(default_factory=dict)
    requests_bytes: int = 0


def cell_of(entity: str) -> int:
    """Return the number of the cell that an entity is in."""
    return crc32(entity.encode()) % CELLS


_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(Cell).decode


def encode_cell(cell: Cell) -> bytes:
    """Return a cell as bytes."""
    return _encode(cell)


def decode_cell(data: bytes) -> Cell:
    """Return the cell in bytes that `encode_cell` made. Raises `DecodeError` for others."""
    try:
        return _decode(data)
    except (MsgpackDecodeError, ValidationError) as error:
        msg = f"{len(data)} bytes are not a cell of intake's state: {error}"
        raise DecodeError(msg) from error


def later(known: bytes | None, data: bytes) -> bytes:
    """Return which of two kept versions of a cell includes more; of the same, `data`.

    Of one key that one counts, whatever was written last: a worker that was taken for dead may have
    written after its successor. Raises `DecodeError`.
    """
    if known is None or decode_cell(known).included <= decode_cell(data).included:
        return data
    return known
