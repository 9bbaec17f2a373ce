"""The hot path's own PostgreSQL connections: autocommit, prepared from the first call, no ORM.

Django's connections bind on the client and prepare nothing; here every call is one prepared statement, one round trip.
"""

from collections.abc import Sequence
from typing import Any

import psycopg
from django.db import InterfaceError, OperationalError, connections
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from orchestrator.engine.calls import call

Row = dict[str, Any]
#: PostgreSQL does not answer; what was asked may or may not have happened.
AWAY = (psycopg.OperationalError, psycopg.InterfaceError, OperationalError, InterfaceError)
#: A serialisation failure or a deadlock rolled everything back: nothing has happened, so the call may be made again.
TRY_AGAIN = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
Connection = psycopg.Connection[Row]


class OwnConnection(psycopg.Connection[Row]):
    """A connection of the hot path."""

    def ask(self, statement: str, parameters: Sequence[Any]) -> list[Row]:
        """The rows of one call of a statement, prepared by the first. Raises psycopg's errors."""
        return call(self, statement).dicts(parameters)


def connection_arguments() -> dict[str, Any]:
    """How Django reaches the database, for psycopg."""
    parameters = dict(connections["default"].get_connection_params())
    for name in ("cursor_factory", "context", "pool", "server_side_binding", "prepare_threshold"):
        parameters.pop(name, None)
    return parameters


def connect(name: str) -> OwnConnection:
    """One connection of the caller's own. `name` shows in pg_stat_activity."""
    return OwnConnection.connect(
        **connection_arguments(),
        autocommit=True,
        prepare_threshold=0,
        row_factory=dict_row,
        application_name=f"branchline {name}",
    )


class Standing:
    """A connection that one thread keeps: where a pool's test of each connection would cost as much as the call.

    After it broke, the call that noticed raises, and the next one opens another.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._connection: OwnConnection | None = None

    def get(self) -> OwnConnection:
        """The connection, open as far as is known."""
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = connect(self._name)
        return self._connection

    def close(self) -> None:
        """Nobody uses it any more."""
        if self._connection is not None:
            self._connection.close()


def open_pool(name: str, size: int) -> ConnectionPool[Connection]:
    """A pool for reads and claims."""
    arguments = {
        **connection_arguments(),
        "autocommit": True,
        "prepare_threshold": 0,
        "row_factory": dict_row,
        "application_name": f"branchline {name}",
    }
    return ConnectionPool(
        kwargs=arguments,
        min_size=1,
        max_size=size,
        open=True,
        name=name,
        check=ConnectionPool.check_connection,
        timeout=30,
        reconnect_timeout=0,
        connection_class=psycopg.Connection[Row],
    )
