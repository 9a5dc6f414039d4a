# SPDX-License-Identifier: Apache-2.0
"""Whatever is changed in an archive is found, and named."""

import shutil
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics import parquet
from analytics.archive import Archiver, read_seal
from analytics.audit import Damage, read_envelopes, verify
from analytics.chain import Seal, root_of, seal_file
from analytics.errors import ArchiveDamagedError
from analytics.segments import Span, list_folder
from tests.analytics.ledgers import long_ledger, sealed

FIRST, SECOND, THIRD = (f"{at:012d}-{at + 10:012d}" for at in (0, 10, 20))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    sealed(long_ledger(30), folder, 10)
    return folder


@pytest.fixture
def copy(archive: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(archive, tmp_path / "copy"))


def damages(folder: Path) -> list[tuple[str, Damage]]:
    return [(finding.name, finding.damage) for finding in verify(folder).findings]


def test_a_sound_archive_has_no_findings(archive: Path) -> None:
    """An archive as written is sound, and its last seal stands for all of it."""
    report = verify(archive)
    assert (report.segments, report.records, report.findings) == (3, 30, ())
    assert report.seal == read_seal(archive, Span(20, 30)).seal
    assert verify(archive, expected_seal=report.seal).sound


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(data=st.data())
def test_every_changed_byte_is_found(copy: Path, data: st.DataObject) -> None:
    """Any byte of any file, changed to any value, is found and named; nothing is read past it."""
    path = data.draw(st.sampled_from(sorted(copy.iterdir())))
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    flip = data.draw(st.integers(1, 255))
    path.write_bytes(content[:at] + bytes([content[at] ^ flip]) + content[at + 1 :])
    try:
        assert path.stem in {name.partition(".")[0] for name, _ in damages(copy)}
        with pytest.raises(ArchiveDamagedError, match=path.stem):
            list(read_envelopes(copy))
    finally:
        path.write_bytes(content)


def test_every_byte_of_a_seal_counts(copy: Path) -> None:
    """No byte of a seal can change unseen, not even between its values."""
    path = copy / f"{SECOND}.json"
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert SECOND in {name.partition(".")[0] for name, _ in damages(copy)}, at


def test_a_missing_segment_is_named(copy: Path) -> None:
    """A hole is named by the range that is not there."""
    (copy / f"{SECOND}.parquet").unlink()
    (copy / f"{SECOND}.json").unlink()
    assert damages(copy)[0] == (f"{SECOND}.parquet", Damage.MISSING)
    with pytest.raises(ArchiveDamagedError, match=SECOND):
        list(read_envelopes(copy))


def test_a_removed_last_segment_is_named_by_its_seal_or_by_a_seal_kept_elsewhere(
    copy: Path,
) -> None:
    """With its seal still there it is named; without, only who kept the last seal can tell."""
    kept = verify(copy).seal
    (copy / f"{THIRD}.parquet").unlink()
    assert damages(copy) == [(f"{THIRD}.parquet", Damage.MISSING)]
    (copy / f"{THIRD}.json").unlink()
    assert verify(copy).sound
    assert [f.damage for f in verify(copy, expected_seal=kept).findings] == [Damage.MISSING]


def test_an_overlapping_segment_is_named(copy: Path) -> None:
    """A second file over positions that another holds already is named."""
    for suffix in (".parquet", ".json"):
        shutil.copy(copy / f"{SECOND}{suffix}", copy / f"000000000015-000000000020{suffix}")
    assert ("000000000015-000000000020.parquet", Damage.OVERLAPPING) in damages(copy)
    with pytest.raises(ArchiveDamagedError, match="000000000015-000000000020"):
        list(read_envelopes(copy))


def test_a_truncated_segment_is_named(copy: Path) -> None:
    """A file that lost its end is called truncated, not merely changed."""
    path = copy / f"{SECOND}.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    assert damages(copy) == [(path.name, Damage.TRUNCATED)]


def test_a_segment_without_seal_and_a_stranger_are_named(copy: Path) -> None:
    """Files that should be there and files that should not are both findings."""
    (copy / f"{SECOND}.json").unlink()
    (copy / "notes.txt").write_text("mine")
    assert ("notes.txt", Damage.FOREIGN) in damages(copy)
    assert (f"{SECOND}.parquet", Damage.UNSEALED) in damages(copy)


def test_unfinished_files_are_no_damage(copy: Path) -> None:
    """What a dead writer left aside is ignored, and removed by the next."""
    (copy / "000000000030-000000000040.parquet.aside").write_bytes(b"half")
    assert verify(copy).sound
    Archiver(copy).close()
    assert list_folder(copy).asides == ()


def forge(folder: Path, span: Span, column: str, values: list[object]) -> None:
    """Put other values into a column, and renew all that the segment says of itself."""
    path, seal = folder / span.data_name, read_seal(folder, span)
    contents = parquet.read(path.read_bytes(), parquet.COLUMNS)
    columns = {**contents.columns, column: values}
    path.write_bytes(parquet.encode(columns, contents.metadata))
    new = seal_file(span, seal.previous, seal.root, path.read_bytes())
    (folder / span.seal_name).write_bytes(new.encode())


def test_a_rewritten_segment_breaks_the_chain(copy: Path) -> None:
    """Who changes a record and renews all hashes of its segment is betrayed by the next one."""
    forge(copy, Span(10, 20), "data", ["{}"] * 10)
    assert damages(copy) == [(f"{THIRD}.parquet", Damage.UNCHAINED)]


def test_a_record_that_was_not_sealed_is_named(copy: Path) -> None:
    """Even with a seal that fits the file, envelopes and root must belong together."""
    forge(copy, Span(20, 30), "envelope", [b"forged"] * 10)
    (finding,) = verify(copy).findings
    assert (finding.name, finding.damage) == (f"{THIRD}.parquet", Damage.CHANGED)
    assert "does not follow from its records" in finding.detail


def test_records_at_other_positions_than_the_name_says_are_named(copy: Path) -> None:
    """A segment renamed or reordered does not pass for another."""
    forge(copy, Span(20, 30), "position", list(range(21, 31)))
    (finding,) = verify(copy).findings
    assert (finding.name, "positions" in finding.detail) == (f"{THIRD}.parquet", True)


def test_a_root_is_of_its_envelopes_alone() -> None:
    """Where one ends and the next begins is hashed, too, so no byte can move between them."""
    assert root_of([b"a", b"bc"]) == sha256(b"\1\0\0\0\2\0\0\0abc").hexdigest()
    others = ([b"ab", b"c"], [b"abc"], [b"bc", b"a"], [b"", b"abc"], [b"a", b"b", b"c"])
    assert root_of([b"a", b"bc"]) not in {root_of(envelopes) for envelopes in others}


def test_a_seal_reads_back(archive: Path) -> None:
    """A seal's text gives its values back."""
    seal = read_seal(archive, Span(0, 10))
    assert msgspec.json.decode(seal.encode(), type=Seal) == seal
