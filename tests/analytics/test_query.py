# SPDX-License-Identifier: Apache-2.0
"""A user's SQL is answered or refused with a reason; it reaches nothing else, changes nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection

from analytics.errors import QueryError
from analytics.query import ask
from analytics.tables import Grid
from tests.analytics.ledgers import LedgerBuilder, declare_fleet


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBPyConnection]:
    ledger = LedgerBuilder()
    declare_fleet(ledger, ("a", "b"))
    connection = ledger.history(tmp_path_factory.mktemp("archive"))
    yield connection
    connection.close()


def test_an_answer_is_named_columns_and_rows(history: DuckDBPyConnection) -> None:
    """The names are those of the query, the values plain Python."""
    answer = ask(history, "FROM nodes SELECT node, devices AS gpus ORDER BY node;")
    assert answer == Grid(("node", "gpus"), (("a", 8), ("b", 8)))


def test_values_are_given_by_name_and_never_become_sql(history: DuckDBPyConnection) -> None:
    """What a caller fills in is a value, whatever it looks like."""
    asked = "SELECT count(*) AS found FROM nodes WHERE node = $node"
    assert ask(history, asked, {"node": "a"}).rows == ((1,),)
    assert ask(history, asked, {"node": "' OR true --"}).rows == ((0,),)
    with pytest.raises(QueryError, match="node"):
        ask(history, asked, {})


@pytest.mark.parametrize(
    "sql", ["DESCRIBE jobs", "SUMMARIZE nodes", "SHOW TABLES", "EXPLAIN FROM jobs"]
)
def test_looking_around_is_reading(history: DuckDBPyConnection, sql: str) -> None:
    """What an analyst types to find their way is answered."""
    assert ask(history, sql).rows


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("SELECT nothing FROM jobs", "nothing.*There are: .*jobs_at"),
        ("SELECT * FROM jobz", "jobz.*There are: .*preemptions"),
        ("SELEC 1", "syntax error"),
        ("", "one statement; this text holds 0"),
        ("SELECT 1; SELECT 2", "one statement; this text holds 2"),
        ("DROP TABLE records", "a query reads"),
        ("CREATE TABLE x (a INTEGER)", "a query reads"),
        ("INSERT INTO reasons VALUES ('a', 'b', 'c')", "a query reads"),
        ("SET threads = 1", "a query reads"),
        ("COPY jobs TO 'jobs.csv'", "a query reads"),
        ("ATTACH 'other.db'", "a query reads"),
    ],
)
def test_what_cannot_be_answered_says_why(
    history: DuckDBPyConnection, sql: str, complaint: str
) -> None:
    """The message names the fault, and the views there are where a name was wrong."""
    with pytest.raises(QueryError, match=f"(?s){complaint}"):
        ask(history, sql)


def test_files_are_out_of_reach(history: DuckDBPyConnection, tmp_path: Path) -> None:
    """Neither the archive's own files nor any other can be read from a query."""
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    for sql in (
        f"SELECT * FROM read_csv('{secret}')",  # noqa: S608  # refused, as it should be
        f"SELECT * FROM '{secret}'",  # noqa: S608  # refused, as it should be
        f"SELECT * FROM read_text('{secret}')",  # noqa: S608  # refused, as it should be
    ):
        with pytest.raises(QueryError):
            ask(history, sql)


def test_python_values_of_the_process_are_out_of_reach(history: DuckDBPyConnection) -> None:
    """A name that is a variable of the caller is not a table."""
    leak = history.sql("SELECT 42 AS answer")
    assert leak is not None
    with pytest.raises(QueryError, match="leak"):
        ask(history, "SELECT * FROM leak")
