# SPDX-License-Identifier: Apache-2.0
"""Every view is documented, column by column, and the documents say what the views do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection

from analytics.catalogue import ORDER, parse_view, views
from analytics.database import open_history
from analytics.facts import NAMED_KINDS, fact_name
from analytics.view_page import page, sample_call
from schemas import jobs
from schemas.catalogue import CATALOGUE, RECORDED
from schemas.ids import JobId
from schemas.kinds import Tier
from schemas.reasons import WORDING
from tests.analytics.ledgers import LedgerBuilder, declare_fleet, submit

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBPyConnection]:
    ledger = LedgerBuilder()
    declare_fleet(ledger, ("a",))
    submit(ledger, "one", tier=Tier.STANDARD, workers=(2, 3))
    connection = ledger.history(tmp_path_factory.mktemp("archive"))
    yield connection
    connection.close()


def test_every_file_is_loaded_and_holds_the_view_of_its_name() -> None:
    """The declared order names each file of the folder exactly once."""
    files = {path.stem for path in (ROOT / "analytics" / "views").glob("*.sql")}
    assert sorted(ORDER) == sorted(files)
    assert [view.name.rpartition(".")[2] for view in views()] == list(ORDER)


@pytest.mark.parametrize("view", views(), ids=lambda view: view.name)
def test_the_documented_columns_are_the_columns(history: DuckDBPyConnection, view: object) -> None:
    """A comment for each column, in order, and none for a column that is not there."""
    found = next(v for v in views() if v is view)
    described = history.execute(f"DESCRIBE FROM {sample_call(found)}").fetchall()
    assert [column.name for column in found.columns] == [row[0] for row in described]


def test_comments_are_in_the_database(history: DuckDBPyConnection) -> None:
    """An analyst finds what a view and a column mean without leaving SQL."""
    found = history.execute(
        "SELECT comment FROM duckdb_columns() WHERE table_name = 'jobs' AND column_name = 'wait_ms'"
    ).fetchall()
    assert found == [("From its submission to its first start; empty where it never started.",)]
    commented = history.execute(
        "SELECT count(*) FROM duckdb_views() WHERE NOT internal AND schema_name = 'main' "
        "AND comment IS NULL"
    ).fetchall()
    assert commented == [(0,)]


def test_a_view_without_its_grain_is_refused() -> None:
    """The comment's parts are not optional."""
    with pytest.raises(ValueError, match="Grain"):
        parse_view("-- View: x\n-- Some words.\n--\n-- a: A.\nCREATE VIEW x AS SELECT 1 AS a;")
    with pytest.raises(ValueError, match="what it holds"):
        parse_view(
            "-- View: x\n-- Grain: one row.\n-- Words.\n--\n-- a\nCREATE VIEW x AS SELECT 1;"
        )


def test_the_page_of_the_views_says_what_the_comments_say(history: DuckDBPyConnection) -> None:
    """After a change of a comment: `python -m analytics.view_page > docs/views.md`."""
    assert (ROOT / "docs" / "views.md").read_text(encoding="utf-8") == page(history)


def test_an_empty_archive_opens_with_every_view(tmp_path: Path) -> None:
    """No history yet is an answer, not an error."""
    with open_history(tmp_path / "nothing") as empty:
        for view in views():
            rows = empty.execute(f"FROM {sample_call(view)}").fetchall()
            assert len(rows) == (view.name == "history"), view.name


def test_every_event_type_has_a_typed_view(history: DuckDBPyConnection) -> None:
    """Fields come back with the types of the domain struct, nested ones as structs."""
    for entry in RECORDED:
        history.execute(f"SELECT count(*) FROM fact.{fact_name(entry)}")  # noqa: S608  # our names
    found = history.execute(
        "SELECT job.name, tier_name(job.tier), job.workers_max, job.worker.devices, "
        "job.constraints.confidential, job.constraints.skus FROM fact.job_submitted"
    ).fetchall()
    assert found == [("one", "standard", 3, 8, False, [])]
    described = history.execute("DESCRIBE fact.plan_committed").fetchall()
    fields = [row[0] for row in described][3:]
    (committed,) = (e.event for e in CATALOGUE if e.message == "PlanCommitted")
    assert fields == list(committed.__struct_fields__)


def test_numbers_and_reasons_of_the_contract_have_their_names(
    history: DuckDBPyConnection,
) -> None:
    """Every member of every enumeration is named, and every reason code has its sentence."""
    for macro, kind in NAMED_KINDS.items():
        for member in kind:
            found = history.execute(f"SELECT {macro}({int(member)})").fetchall()  # our names
            assert found == [(member.name.lower(),)]
    codes = history.execute("SELECT code, wording FROM reasons").fetchall()
    assert sorted(codes) == sorted((code.value, wording) for code, wording in WORDING.items())


def test_the_history_of_an_unreadable_segment_is_refused_by_name(tmp_path: Path) -> None:
    """A damaged archive does not open as if nothing were wrong."""
    ledger = LedgerBuilder()
    ledger.put(jobs.JobFinished(JobId("acme/x@1"), 1))
    ledger.history(tmp_path).close()
    (segment,) = tmp_path.glob("*.parquet")
    segment.write_bytes(segment.read_bytes()[:-40])
    with pytest.raises(Exception, match="archive verify"):
        open_history(tmp_path)
