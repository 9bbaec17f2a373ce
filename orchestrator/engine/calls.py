"""Calls of prepared statements by one function of libpq, which waits for the answer (decision 61).

What a cursor of psycopg does around a call takes as long as a short call itself. Types, rows and errors are psycopg's
own. The main thread hears no signal while it waits.
"""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGresult

_CALLS = "branchline_calls"
#: The statement is not known to this connection (any more): nothing has happened.
_UNKNOWN = psycopg.errors.InvalidSqlStatementName


class Call:
    """One statement of one connection. Its parameters are `%s`, of the types that PostgreSQL infers."""

    def __init__(self, connection: psycopg.Connection[Any], statement: str, number: int) -> None:
        self._connection = connection
        self._statement = _numbered(statement)
        self._name = b"branchline_%d" % number
        self._transformer = Transformer(connection)
        self._formats = [PyFormat.TEXT] * statement.count("%s")  # fits whatever type PostgreSQL infers
        self._columns: tuple[str, ...] = ()

    def prepare(self) -> None:
        """Make the statement known to the connection."""
        self._checked(self._connection.pgconn.prepare(self._name, self._statement))

    def tuples(self, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows. Raises psycopg's errors."""
        count = self._ask(parameters)
        return self._transformer.load_rows(0, count, tuple)

    def dicts(self, parameters: Sequence[Any]) -> list[dict[str, Any]]:
        """The rows by the names of their columns. Raises psycopg's errors."""
        count = self._ask(parameters)
        return self._transformer.load_rows(0, count, lambda row: dict(zip(self._columns, row, strict=True)))

    def _ask(self, parameters: Sequence[Any]) -> int:
        try:
            found = self._sent(parameters)
        except _UNKNOWN:
            self.prepare()
            found = self._sent(parameters)
        if not self._columns:
            names = (found.fname(number) or b"" for number in range(found.nfields))
            self._columns = tuple(name.decode() for name in names)
        self._transformer.set_pgresult(found)
        return found.ntuples

    def _sent(self, parameters: Sequence[Any]) -> PGresult:
        values = self._transformer.dump_sequence(parameters, self._formats)
        # psycopg declares no None among the values, and takes them.
        return self._checked(self._connection.pgconn.exec_prepared(self._name, values))  # type: ignore[arg-type]

    def _checked(self, found: PGresult) -> PGresult:
        if found.status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            return found
        if self._connection.pgconn.status == ConnStatus.BAD:
            raise psycopg.OperationalError(found.get_error_message())
        raise psycopg.errors.error_from_result(found)


def call(connection: psycopg.Connection[Any], statement: str) -> Call:
    """The statement, prepared at its first call by this connection, which must be in autocommit."""
    calls: dict[str, Call] = vars(connection).setdefault(_CALLS, {})
    found = calls.get(statement)
    if found is None:
        found = Call(connection, statement, len(calls))
        found.prepare()
        calls[statement] = found
    return found


def _numbered(statement: str) -> bytes:
    parts = statement.split("%s")
    assert not any("%" in part for part in parts), "only %s stands for a parameter"
    numbered = (f"{part}${number}" for number, part in enumerate(parts[:-1], 1))
    return ("".join(numbered) + parts[-1]).encode()
