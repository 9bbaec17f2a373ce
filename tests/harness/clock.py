"""The database's clock, moved at will: on these connections `clock_timestamp()` is another function.

Real processes need a clock that runs on (`RUNS`). In the harness's own world it stands (`STANDS`), but for a
microsecond at each reading: what is due must follow from what was drawn, never from how fast this machine is.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from orchestrator.engine.database import Connection, OwnConnection, connect

#: `pg_catalog` is searched first unless it is named; named second, our function stands before the real one.
LOOK_HERE_FIRST = "SET search_path = harness, pg_catalog, public"
CREATE = """
CREATE SCHEMA IF NOT EXISTS harness;
CREATE TABLE IF NOT EXISTS harness.clock (shift interval NOT NULL, began timestamptz NOT NULL);
CREATE SEQUENCE IF NOT EXISTS harness.readings;
DELETE FROM harness.clock;
INSERT INTO harness.clock VALUES ('0', pg_catalog.clock_timestamp());
CREATE OR REPLACE FUNCTION harness.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
"""
RUNS = CREATE + "$$ SELECT pg_catalog.clock_timestamp() + shift FROM harness.clock $$"
STANDS = CREATE + "$$ SELECT began + shift + nextval('harness.readings') * interval '1 us' FROM harness.clock $$"


@contextmanager
def movable_clock() -> Iterator[OwnConnection]:
    """A connection for engine calls. Inside the block it and Django's connection read a clock that `shift` moves."""
    with connection.cursor() as cursor:
        cursor.execute(STANDS)
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
    opened.execute("UPDATE harness.clock SET shift = '0', began = pg_catalog.clock_timestamp()")
