"""What PostgreSQL really read for a statement."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

FILLED = ("run", "steplog", "undo_item", "event", "delivery", "token", "human_task")
JOINED = ("workspace", "workflow", "version")


def begin_new_files() -> None:
    """Empty the tables until the test ends, in new files.

    Rows that other tests rolled back stay in the files, make tables and indexes larger, and so sway the planner.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {_named(FILLED)} CASCADE")


def analyze() -> None:
    """Let the planner know what the test has written."""
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {_named((*FILLED, *JOINED))}")


def _named(tables: Iterable[str]) -> str:
    return ", ".join(f"orchestrator_{name}" for name in tables)


def reads_of(call: Callable[[], object], relation: str = "orchestrator_steplog") -> list[tuple[str, int]]:
    """Every read of a table by the statements of the call: by which index, and how many rows it looked at."""
    with CaptureQueriesContext(connection) as captured:
        call()
    found: list[tuple[str, int]] = []
    for query in captured:
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + query["sql"])
            (text,) = cursor.fetchone()
        (plan,) = text if isinstance(text, list) else json.loads(text)
        found += _scans(plan["Plan"], relation)
    return found


def _scans(plan: dict[str, Any], relation: str) -> Iterator[tuple[str, int]]:
    if plan.get("Relation Name") == relation:
        gone = plan.get("Rows Removed by Filter", 0)
        yield _index_of(plan), int((plan["Actual Rows"] + gone) * plan["Actual Loops"])
    for part in plan.get("Plans", ()):
        yield from _scans(part, relation)


def _index_of(scan: dict[str, Any]) -> str:
    """A bitmap is made from indexes below the scan: which way they are read is the planner's choice."""
    return str(scan.get("Index Name") or "+".join(sorted(_bitmaps(scan))) or "none")


def _bitmaps(scan: dict[str, Any]) -> Iterator[str]:
    for part in scan.get("Plans", ()):
        if part["Node Type"] == "Bitmap Index Scan":
            yield part["Index Name"]
        elif part["Node Type"] in {"BitmapAnd", "BitmapOr"}:
            yield from _bitmaps(part)
