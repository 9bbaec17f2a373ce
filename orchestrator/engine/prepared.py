"""The few reads that every request or every start makes: one prepared statement each, on Django's own connection.

The ORM composes its SQL anew for every call and Django's cursors prepare nothing: together two to five times the cost
of such a read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection

from orchestrator.engine.calls import call


@dataclass(frozen=True, slots=True, kw_only=True)
class Along:
    """Columns that another statement reads along, from tables joined to its own: one round trip instead of two."""

    columns: str
    tables: str
    parameters: tuple[str | int | UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was read, so that a later statement can say that it acts only if it still reads so."""

    statement: str
    parameters: tuple[str | int | bytes | UUID, ...]
    #: The row, as text.
    row: str


class SeenOtherwise(Exception):
    """What was seen does not read so any more: what rested on it was not done, and is to be decided anew."""


class PreparedCursor(psycopg.Cursor[Any]):
    """Binds on the server and prepares at the first call."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> "PreparedCursor":
        return super().execute(query, params, **{**options, "prepare": True})


def fetch_one(statement: str, parameters: Sequence[str | int | bytes | UUID]) -> tuple[Any, ...] | None:
    """The first row, inside whatever transaction is open. Raises Django's own database errors."""
    connection.ensure_connection()
    if not (connection.in_atomic_block or connection.queries_logged or connection.execute_wrappers):
        with connection.wrap_database_errors:
            rows = call(connection.connection, statement).tuples(parameters)
        return rows[0] if rows else None
    # Django's wrappers translate errors and let tests count statements.
    wrapped = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    with wrapped(PreparedCursor(connection.connection)) as cursor:  # type: ignore[arg-type]  # any DB-API cursor
        cursor.execute(statement, parameters)
        found: tuple[Any, ...] | None = cursor.fetchone()
    return found


def see(statement: str, parameters: Sequence[str | int | bytes | UUID]) -> tuple[tuple[Any, ...], Seen] | None:
    """The first row with the word on it that `fetch_if_still` needs."""
    row = fetch_one(f"SELECT seen.*, seen::text FROM ({statement}) seen", parameters)
    return None if row is None else (row[:-1], Seen(statement=statement, parameters=tuple(parameters), row=row[-1]))


def fetch_if_still(seen: Seen, function: str, types: Sequence[str], arguments: Sequence[Any]) -> tuple[Any, ...]:
    """The row of a function, called only if `seen` still reads so: in one statement, of one snapshot.

    `types`: of its arguments, in SQL. Raises SeenOtherwise, with nothing done.
    """
    given = ", ".join(f"%s::{type_} AS a{number}" for number, type_ in enumerate(types))
    names = ", ".join(f"still.a{number}" for number in range(len(arguments)))
    # The arguments come through the rows that read so: without one the function is not called, whatever the plan.
    statement = (
        f"WITH still AS MATERIALIZED (SELECT {given} FROM ({seen.statement}) seen WHERE seen::text = %s)"
        f" SELECT answer.* FROM still CROSS JOIN LATERAL {function}({names}) answer"
    )
    found = fetch_one(statement, [*arguments, *seen.parameters, seen.row])
    if found is None:
        raise SeenOtherwise
    return found
