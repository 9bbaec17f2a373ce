"""What PostgreSQL really read for a statement."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext


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
    """A bitmap is made from an index below the scan: which way an index is read is the planner's choice."""
    below = [part["Index Name"] for part in scan.get("Plans", ()) if part["Node Type"] == "Bitmap Index Scan"]
    return str(scan.get("Index Name") or "".join(below) or "none")
