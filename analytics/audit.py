# SPDX-License-Identifier: Apache-2.0
"""Checks of an archive against its own chain, and reading it back for a replay.

Every byte of every file is covered: a segment's bytes by the hash in its seal, a seal's text by
being the one encoding of its values, the values by each other, and each seal by the next segment.
What the folder alone cannot show is that its last segments were removed with their seals: for
that, hold `ArchiveReport.seal` against one kept elsewhere.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from analytics import parquet
from analytics.archive import read_seal
from analytics.chain import GENESIS, Seal, root_of, seal_file
from analytics.errors import ArchiveDamagedError
from analytics.segments import ASIDE_SUFFIX, Listing, Span, list_folder

_CHECKED = ("position", "envelope")


class Damage(StrEnum):
    """What can be wrong with an archive."""

    MISSING = "missing"
    OVERLAPPING = "overlapping"
    TRUNCATED = "truncated"
    CHANGED = "changed"
    UNREADABLE = "unreadable"
    UNSEALED = "unsealed"
    UNCHAINED = "unchained"
    FOREIGN = "foreign"


class Finding(Struct, frozen=True):
    """One thing that is wrong: with which file or range, and what it is."""

    name: str
    damage: Damage
    detail: str


class ArchiveReport(Struct, frozen=True):
    """What a check found.

    `records` counts the positions of the segments that are there; `seal` is the last one, to be
    kept elsewhere.
    """

    segments: int
    records: int
    size_bytes: int
    seal: str
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(
    folder: Path,
    expected_seal: str | None = None,
    watch: Callable[[int], None] = lambda _: None,
) -> ArchiveReport:
    """Check every byte of an archive and name all that is wrong.

    With `expected_seal`, some segment must end in that seal: it proves that the history known then
    is still all there. `watch` is told after each segment how many records are checked.
    """
    listing = list_folder(folder)
    findings = [*_range_findings(listing), *_stray_findings(listing)]
    seals: list[Seal] = []
    previous: str | None = GENESIS
    for span in listing.data:
        found, seal = _check_segment(folder, span, previous)
        findings += found
        previous = seal.seal if seal else None
        seals += [seal] if seal else []
        watch(span.end)
    if expected_seal is not None and expected_seal not in {s.seal for s in seals}:
        detail = f"no segment carries the seal {expected_seal}; the end was cut off or rewritten"
        findings.append(Finding(folder.name, Damage.MISSING, detail))
    return ArchiveReport(
        segments=len(listing.data),
        records=sum(span.end - span.first for span in listing.data),
        size_bytes=sum((folder / span.data_name).stat().st_size for span in listing.data),
        seal=previous or "",
        findings=tuple(findings),
    )


def _range_findings(listing: Listing) -> Iterator[Finding]:
    """Name holes and overlaps, from the names alone."""
    end = 0
    for span in listing.data:
        if span.first > end:
            detail = f"positions {end} to {span.first} are in no segment"
            yield Finding(Span(end, span.first).data_name, Damage.MISSING, detail)
        elif span.first < end:
            detail = f"positions {span.first} to {min(end, span.end)} are in an earlier segment too"
            yield Finding(span.data_name, Damage.OVERLAPPING, detail)
        end = max(end, span.end)
    for span in sorted(set(listing.seals) - set(listing.data)):
        # A process that died between naming the seal and naming the segment leaves the segment
        # aside.
        if span.first >= end and span.data_name + ASIDE_SUFFIX not in listing.asides:
            yield Finding(span.data_name, Damage.MISSING, "its seal is there, the segment is not")


def _stray_findings(listing: Listing) -> Iterator[Finding]:
    for name in listing.foreign:
        yield Finding(name, Damage.FOREIGN, "the archiver never writes a file of this name")


def _check_segment(
    folder: Path, span: Span, previous: str | None
) -> tuple[list[Finding], Seal | None]:
    """Check one segment; `previous` None means that the one before it could not be checked."""
    try:
        seal = read_seal(folder, span)
    except ArchiveDamagedError as error:
        return [Finding(span.data_name, Damage.UNSEALED, str(error))], None
    found = [*_seal_findings(folder, span, seal)]
    if previous is not None and seal.previous != previous:
        detail = f"it continues seal {seal.previous}, but the segment before it ends in {previous}"
        found.append(Finding(span.data_name, Damage.UNCHAINED, detail))
    found += _file_findings(folder, span, seal)
    return found, seal


def _seal_findings(folder: Path, span: Span, seal: Seal) -> Iterator[Finding]:
    if (folder / span.seal_name).read_bytes() != seal.encode():
        yield Finding(span.seal_name, Damage.CHANGED, "it is not written as the archiver does")
    if seal.span != span:
        yield Finding(span.seal_name, Damage.CHANGED, f"it is about {seal.span.stem}")


def _file_findings(folder: Path, span: Span, seal: Seal) -> Iterator[Finding]:
    content = (folder / span.data_name).read_bytes()
    if len(content) < seal.size_bytes:
        detail = f"it has {len(content)} bytes of {seal.size_bytes}"
        yield Finding(span.data_name, Damage.TRUNCATED, detail)
        return
    if sha256(content).hexdigest() != seal.file:
        detail = f"its bytes hash to another value than the {seal.file} of its seal"
        yield Finding(span.data_name, Damage.CHANGED, detail)
        return
    try:
        contents = parquet.read(content, _CHECKED)
    except ArchiveDamagedError as error:
        yield Finding(span.data_name, Damage.UNREADABLE, str(error))
        return
    detail = _content_fault(contents, span, seal, content)
    if detail:
        yield Finding(span.data_name, Damage.CHANGED, detail)


def _content_fault(contents: parquet.Contents, span: Span, seal: Seal, content: bytes) -> str:
    """Return what is wrong inside a file whose bytes are those sealed; empty: nothing."""
    if contents.columns["position"] != list(range(span.first, span.end)):
        return "its positions are not those of its name"
    root = root_of(contents.columns["envelope"])
    if seal_file(span, seal.previous, root, content) != seal:
        return "its seal does not follow from its records"
    if contents.metadata.get("segment") != seal.segment:
        return "it states another segment hash than its seal"
    return ""


def read_envelopes(folder: Path, start: int = 0) -> Iterator[bytes]:
    """Yield the ledger's envelopes from position `start` on, each segment checked beforehand.

    Raises `ArchiveDamagedError`, naming the segment, at the first thing that is wrong; the chain
    is followed from its beginning, though the bytes of segments before `start` are not read.
    """
    listing = list_folder(folder)
    for finding in _range_findings(listing):
        raise ArchiveDamagedError(_sentence(finding))
    previous = GENESIS
    for span in listing.data:
        seal = read_seal(folder, span)
        if seal.previous != previous or seal.span != span:
            msg = f"{span.data_name}: its seal does not follow from the one before"
            raise ArchiveDamagedError(msg)
        previous = seal.seal
        if span.end > start:
            for finding in _file_findings(folder, span, seal):
                raise ArchiveDamagedError(_sentence(finding))
            content = (folder / span.data_name).read_bytes()
            envelopes: list[bytes] = parquet.read(content, ["envelope"]).columns["envelope"]
            yield from envelopes[max(0, start - span.first) :]


def _sentence(finding: Finding) -> str:
    return f"{finding.name} is {finding.damage.value}: {finding.detail}; run archive verify"
