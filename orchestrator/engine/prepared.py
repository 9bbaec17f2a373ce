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


@dataclass(frozen=True, slots=True, kw_only=True)
class Along:
    """Columns that another statement reads along, from tables joined to its own: one round trip instead of two."""

    columns: str
    tables: str
    parameters: tuple[str | int | UUID, ...]


class PreparedCursor(psycopg.Cursor[Any]):
    """Binds on the server and prepares at the first call."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> "PreparedCursor":
        return super().execute(query, params, **{**options, "prepare": True})


def fetch_one(statement: str, parameters: Sequence[str | int | bytes | UUID]) -> tuple[Any, ...] | None:
    """The first row, inside whatever transaction is open. Raises Django's own database errors."""
    connection.ensure_connection()
    # Django's wrappers translate errors and let tests count statements.
    wrapped = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    with wrapped(PreparedCursor(connection.connection)) as cursor:  # type: ignore[arg-type]  # any DB-API cursor
        cursor.execute(statement, parameters)
        found: tuple[Any, ...] | None = cursor.fetchone()
    return found
