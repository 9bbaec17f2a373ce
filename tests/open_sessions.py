"""Sessions of the test database: what a test opened it must close, or the database cannot be dropped in the end."""

from functools import cache

import psycopg
from django.db import connections

from orchestrator.engine.database import connection_arguments
from tests.servers import servers
from tests.waiting import wait_until

PATIENCE = 15.0  # seconds that a process or thread which was told to end may take to close its session
OPEN = """
    SELECT format('%%s "%%s", %%s since %%s: %%s', pid, application_name, state, backend_start, left(query, 200)) AS it
    FROM pg_stat_activity
    WHERE datname = %s AND backend_type = 'client backend' AND pid IS DISTINCT FROM %s
"""


def check_closed() -> None:
    """Wait until nobody but this thread has a session. Raises AssertionError naming the others."""
    name = connections["default"].settings_dict["NAME"]
    if not servers.cache_info().currsize or not name.startswith("test_"):
        return
    left: list[str] = []

    def are_closed() -> bool:
        left[:] = _left(name)
        return not left

    try:
        wait_until(are_closed, PATIENCE, "sessions to be closed")
    except AssertionError as error:
        raise AssertionError(f"{error}: {left}") from None


def _left(name: str) -> list[str]:
    own = connections["default"].connection
    parameters = (name, None if own is None or own.closed else own.info.backend_pid)
    try:
        return [text for (text,) in _observer().execute(OPEN, parameters)]
    except psycopg.OperationalError:  # the test restarted PostgreSQL
        _observer.cache_clear()
        return [text for (text,) in _observer().execute(OPEN, parameters)]


@cache
def _observer() -> psycopg.Connection[tuple[str]]:
    """A session of another database, for all tests."""
    return psycopg.connect(**{**connection_arguments(), "dbname": "postgres"}, autocommit=True)


def stop_observing() -> None:
    """Close that session."""
    if _observer.cache_info().currsize:
        _observer().close()
        _observer.cache_clear()
