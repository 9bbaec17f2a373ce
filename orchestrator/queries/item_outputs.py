"""What the items of a for-each gave, where that is too large to be one value."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db import connection

from orchestrator.core.item_outputs import ItemOutputs
from orchestrator.core.json_types import Json
from orchestrator.engine.item_outputs import stretch


def each_output(outputs: ItemOutputs) -> Iterator[Json]:
    """What each item gave, in order, read a stretch at a time. One that gave as much itself is an `ItemOutputs`."""
    at = 0
    while at < outputs.total:
        found = stretch(named_rows, outputs, at)
        yield from found
        at += len(found)


def named_rows(statement: str, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows that a statement of the engine finds, by name."""
    with connection.cursor() as cursor:
        cursor.execute(statement, asked)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
