"""The engine's statements called by hand, each on a connection of its own where threads call."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from orchestrator.engine import statements
from orchestrator.engine.database import OwnConnection, connect


def rows(statement: str, *arguments: Any) -> list[dict[str, Any]]:
    """Rows of a statement on the test's own connection."""
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def claim(session: int, count: int = 1, *, suspects: bool = True) -> list[dict[str, Any]]:
    """Lease ready tokens of the queue `default` to a session."""
    return rows(statements.CLAIM, session, ["default"], count, suspects)


def take_over() -> list[dict[str, Any]]:
    """Sweep once: sessions that do not exist are dead."""
    return rows(statements.TAKE_OVER, 15.0, 100)


def finish(session: int, lease: dict[str, Any], **more: Any) -> str:
    """End a leased attempt of a step that nothing ungated follows; the answer's status."""
    item = {"t": lease["id"], "e": lease["epoch"], "then": "go", "o": "S", "ports": ["out"], **more}
    return str(rows(statements.ADVANCE, session, json.dumps([item]))[0]["status"])


def beat(session: int) -> None:
    """Let a session live."""
    with connection.cursor() as cursor:
        cursor.execute(statements.BOOT, [session, "00000000-0000-0000-0000-000000000001", "test", 1, ["default"]])


@contextmanager
def own_connection(name: str = "test") -> Iterator[OwnConnection]:
    """A connection for one thread."""
    opened = connect(name)
    try:
        yield opened
    finally:
        opened.close()
