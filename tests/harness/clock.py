"""The database's clock, moved at will: on these connections `clock_timestamp()` is another function."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from orchestrator.engine.database import Connection, connect

#: `pg_catalog` is searched first unless it is named; named second, our function stands before the real one.
LOOK_HERE_FIRST = "SET search_path = harness, pg_catalog, public"
CREATE = """
CREATE SCHEMA IF NOT EXISTS harness;
CREATE TABLE IF NOT EXISTS harness.clock (shift interval NOT NULL);
DELETE FROM harness.clock;
INSERT INTO harness.clock VALUES ('0');
CREATE OR REPLACE FUNCTION harness.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
$$ SELECT pg_catalog.clock_timestamp() + (SELECT shift FROM harness.clock) $$;
"""


@contextmanager
def movable_clock() -> Iterator[Connection]:
    """A connection for engine calls. Inside the block it and Django's connection read a clock that `shift` moves."""
    with connection.cursor() as cursor:
        cursor.execute(CREATE)
        cursor.execute(LOOK_HERE_FIRST)
    opened = connect("harness")
    opened.execute(LOOK_HERE_FIRST)
    try:
        yield opened
    finally:
        opened.close()
        with connection.cursor() as cursor:
            cursor.execute("RESET search_path")
            cursor.execute("DROP SCHEMA harness CASCADE")


def shift(opened: Connection, seconds: float) -> None:
    """Let the clock jump, forwards or backwards."""
    opened.execute("UPDATE harness.clock SET shift = shift + make_interval(secs => %s)", (seconds,))


def set_right(opened: Connection) -> None:
    """The true time again."""
    opened.execute("UPDATE harness.clock SET shift = '0'")
