"""Which rows of a run are told at once: those outside of items, or those of one scope and of what it holds."""

from collections.abc import Sequence
from typing import Any

from orchestrator.queries.drawing import Drawing

#: Parameters: run, scope, lists (all for-eaches). A container's body in the scope belongs to it; items have their own.
WITHIN = """within AS (
    SELECT %(scope)s::bigint AS low, %(scope)s::bigint AS high
    UNION ALL
    SELECT s.id + 1, s.id + 131071 FROM within w JOIN orchestrator_scope s ON s.run_id = %(run)s
        AND s.parent BETWEEN w.low AND w.high AND s.node <> ALL(%(lists)s::int[])
)"""

#: OFFSET keeps it apart: else the whole run is read once and joined, for the planner does not foresee how few match.
JOINED = """within w CROSS JOIN LATERAL (
    SELECT r.* FROM {table} r WHERE r.run_id = %(run)s AND r.node = ANY(%(nodes)s::int[])
        AND r.scope_id BETWEEN w.low AND w.high OFFSET 0) {row}"""


def narrowed(statement: str, *, scope: int | None) -> str:
    """The statement for the whole run (scope None) or for one scope.

    What it reads are `{log}`, `{tokens}` and `{deliveries}`; its parameters are those of `places_of`.
    """
    if scope is None:
        texts = {
            "{within}": "",
            "{log}": "orchestrator_steplog l",
            "{tokens}": "orchestrator_token t",
            "{deliveries}": "orchestrator_delivery d",
        }
    else:
        texts = {
            "{within}": f"{WITHIN}, ",
            "{log}": JOINED.format(table="orchestrator_steplog", row="l"),
            "{tokens}": JOINED.format(table="orchestrator_token", row="t"),
            "{deliveries}": JOINED.format(table="orchestrator_delivery", row="d"),
        }
    for name, text in texts.items():
        statement = statement.replace(name, text)
    return statement


def places_of(drawing: Drawing, scope: int | None) -> dict[str, Any]:
    """`nodes` (the steps told, and their undo steps; NULL: all), `lists` and `scope`."""
    return {"nodes": _nodes(drawing, scope), "lists": sorted(drawing.lists), "scope": scope}


def _nodes(drawing: Drawing, scope: int | None) -> Sequence[int] | None:
    if scope is None and not drawing.in_items:
        return None
    # In one scope all of them are named, though each may be there: the primary key finds a scope only by its node.
    told = [node for node in range(len(drawing.keys)) if scope is not None or node not in drawing.in_items]
    return [*told, *(-1 - node for node in told)]
