"""A prepared call answers and fails as a cursor of the same connection does."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from orchestrator.engine.calls import call
from orchestrator.engine.database import Connection, connect

pytestmark = pytest.mark.django_db(transaction=True)

VALUES: list[tuple[str, Any]] = [
    ("int", 7),
    ("bigint", 2**60),
    ("bigint", None),
    ("boolean", True),
    ("float8", 1.5),
    ("text", "grüß %s \\ ' \U0001f642"),
    ("text", ""),
    ("text[]", ["default", 'a"b,c', ""]),
    ("bigint[]", []),
    ("bytea", b"\x00\xff"),
    ("uuid", uuid4()),
    ("jsonb", '{"a": [1, null, "ü"]}'),
    ("timestamptz", datetime(2026, 11, 26, tzinfo=UTC)),
]


@pytest.fixture
def connection() -> Iterator[Connection]:
    with connect("test") as made:
        yield made


@pytest.mark.parametrize(("type_", "value"), VALUES)
def test_values_go_and_come_as_by_a_cursor(connection: Connection, type_: str, value: Any) -> None:
    statement = f"SELECT %s::{type_} AS given, n FROM generate_series(1, %s::int) n"
    rows = connection.execute(statement, (value, 2)).fetchall()
    for _ in range(2):  # prepared, and known
        assert call(connection, statement).dicts((value, 2)) == rows
        assert call(connection, statement).tuples((value, 2)) == [tuple(row.values()) for row in rows]
    assert call(connection, statement).dicts((value, 0)) == []


def test_a_refusal_has_its_class_and_the_connection_goes_on(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        call(connection, "SELECT * FROM nowhere")
    divide = "SELECT 1 / %s::int AS n"
    with pytest.raises(psycopg.errors.DivisionByZero, match="division by zero"):
        call(connection, divide).dicts((0,))
    with pytest.raises(psycopg.DataError):
        call(connection, "SELECT %s::text AS t").dicts(("\0",))
    assert call(connection, divide).dicts((1,)) == [{"n": 1}]


def test_what_the_connection_was_made_to_forget_is_prepared_again(connection: Connection) -> None:
    """As psycopg does after a savepoint was rolled back."""
    statement = "SELECT %s::int AS n"
    assert call(connection, statement).tuples((1,)) == [(1,)]
    connection.execute("DEALLOCATE ALL")
    assert call(connection, statement).tuples((2,)) == [(2,)]


def test_a_server_that_went_away_is_told_as_such(connection: Connection) -> None:
    statement = "SELECT pg_terminate_backend(%s::int) AS gone"
    with connect("other") as other:
        found = call(other, "SELECT pg_backend_pid() AS pid")
        pid = found.dicts(())[0]["pid"]
        assert call(connection, statement).dicts((pid,)) == [{"gone": True}]
        with pytest.raises(psycopg.OperationalError):
            found.dicts(())
        assert other.broken


def test_a_closed_connection_is_told_as_such(connection: Connection) -> None:
    found = call(connection, "SELECT 1 AS one")
    connection.close()
    with pytest.raises(psycopg.OperationalError):
        found.dicts(())


def test_other_signs_than_parameters_are_refused(connection: Connection) -> None:
    with pytest.raises(AssertionError):
        call(connection, "SELECT 5 %% 2")
