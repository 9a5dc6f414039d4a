# SPDX-License-Identifier: Apache-2.0
"""The hashes that tie an archive together.

A segment's root is the SHA-256 of what it holds: how long each envelope is, as 32-bit little-endian
numbers, and then the envelopes themselves. A segment's hash covers the seal before it, its range
and its root, and stands in the Parquet file itself. Its seal covers that hash and every byte of the
file, and is where the next segment's hash starts: so the last seal fixes all that the archive
holds.
"""

import struct
from collections.abc import Sequence
from hashlib import sha256

import msgspec
from msgspec import Struct

from analytics.segments import Span

GENESIS = sha256(b"singlepool archive v1").hexdigest()
"""What the first segment names as the seal before it."""


class Seal(Struct, frozen=True):
    """What is fixed of one segment; hashes are lower-case hexadecimal SHA-256.

    `segment` covers `previous`, the range and `root`; `seal` covers `segment`, `size_bytes` and
    `file`.
    """

    first: int
    end: int
    previous: str
    root: str
    segment: str
    size_bytes: int
    file: str
    seal: str

    @property
    def span(self) -> Span:
        """The positions that it is about."""
        return Span(self.first, self.end)

    def encode(self) -> bytes:
        """Return the one text of this seal."""
        return msgspec.json.encode(self) + b"\n"


def root_of(envelopes: Sequence[bytes]) -> str:
    """Return the root over a segment's envelopes."""
    root = sha256(struct.pack(f"<{len(envelopes)}I", *map(len, envelopes)))
    root.update(b"".join(envelopes))
    return root.hexdigest()


def segment_hash(span: Span, previous: str, root: str) -> str:
    """Return the hash that a segment carries in itself."""
    return sha256(f"{previous} {span.stem} {root}".encode()).hexdigest()


def seal_file(span: Span, previous: str, root: str, content: bytes) -> Seal:
    """Return the seal of a segment whose file holds `content`."""
    segment = segment_hash(span, previous, root)
    file = sha256(content).hexdigest()
    size = len(content)
    seal = sha256(f"{segment} {size} {file}".encode()).hexdigest()
    return Seal(span.first, span.end, previous, root, segment, size, file, seal)


def decode_seal(text: bytes) -> Seal:
    """Return the seal in a text. Raises `ValueError` or `msgspec.DecodeError` where it is none."""
    return msgspec.json.decode(text, type=Seal)
