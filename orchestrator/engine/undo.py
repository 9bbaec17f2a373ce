"""Write the ledger of an undo: what happened is read once, ordered by the pure core, and stored with its first tokens.

Level-triggered: whoever finds a ledger that is due writes it; the SQL refuses all but the first.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import structlog

from orchestrator.core.document import REPEAT, SUB_WORKFLOW
from orchestrator.core.plan import Plan
from orchestrator.core.undo import Entered, Handler, Happened, UndoEntry, undo_ledger
from orchestrator.engine import statements
from orchestrator.engine.database import AWAY, Connection, Row
from orchestrator.engine.scopes import BLOCK

log = structlog.get_logger(__name__)

LIMIT = 50  # ledgers in one sweep


def write_ledgers(connection: Connection, plan_of: Callable[[int], Plan], run_id: UUID | None = None) -> list[str]:
    """Write every ledger that is due (of one run, or of all) and return the queues on which undo steps became ready."""
    queues: list[str] = []
    for row in connection.execute(statements.PENDING_UNDO, (run_id, LIMIT)).fetchall():
        try:
            items = _items(connection, plan_of, row["run_id"], row["boundary"])
        except AWAY:
            raise
        except Exception:  # one run whose ledger cannot be told must not keep the others waiting
            log.exception("a ledger cannot be written", run=str(row["run_id"]), boundary=row["boundary"])
            continue
        written = connection.execute(statements.WRITE_LEDGER, (row["run_id"], row["boundary"], json.dumps(items)))
        queues += (written.fetchone() or {})["queues"] or []
    return queues


def _items(connection: Connection, plan_of: Callable[[int], Plan], run_id: UUID, boundary: int) -> list[dict[str, Any]]:
    head = connection.execute(statements.RUN_VERSION, (run_id,)).fetchone()
    assert head is not None
    plan = plan_of(head["version_id"])
    happened = connection.execute(statements.HAPPENED, {"run": run_id, "boundary": boundary}).fetchall()
    entered = connection.execute(statements.ENTERED, (run_id,)).fetchall()
    return [_item(plan, entry) for entry in ledger_of(plan, happened, entered)]


def ledger_of(plan: Plan, happened: Iterable[Row], entered: Iterable[Row]) -> list[UndoEntry]:
    """The ledger of what the rows of the statements HAPPENED and ENTERED tell."""
    rows = list(happened)
    return undo_ledger(
        [_happened(plan, row) for row in rows],
        [Entered(**row) for row in entered],
        lambda node: _handler(plan, node),
        BLOCK,
        {row["entry"]: row["listed"] for row in rows if row["listed"] is not None},
    )


def _happened(plan: Plan, row: Row) -> Happened:
    return Happened(
        entry=row["entry"],
        node=row["node"],
        scope_id=row["scope_id"],
        generation=row["generation"],
        cause=tuple(row["cause"]),
        acted=_acted(plan, row),
    )


def _acted(plan: Plan, row: Row) -> bool | None:
    """Whether the step did something: True, False, or None when nobody knows."""
    if plan.steps[row["node"]].kind == SUB_WORKFLOW:
        return bool(row["started_run"])  # that run knows what happened in it, however the step ended
    if row["outcome"] == "S" and not row["skipped"]:
        return True
    return None if row["doubtful"] else False


def _handler(plan: Plan, node: int) -> Handler:
    undo = plan.undo.get(node)
    return Handler(
        has_undo=undo is not None,
        has_effects=plan.steps[node].has_effects,
        tolerant=undo is not None and undo.tolerant,
        in_turns=plan.steps[node].kind == REPEAT,
    )


def _item(plan: Plan, entry: UndoEntry) -> dict[str, Any]:
    undo = plan.undo.get(entry.node)
    return {
        "entry": entry.entry,
        "node": entry.node,
        "scope": entry.scope_id,
        "generation": entry.generation,
        "state": entry.state,
        "awaits": entry.awaits,
        "releases": list(entry.releases),
        "position": entry.position,
        "listed": entry.listed,
        "queue": "default" if undo is None else undo.queue,
        "timeout": 30.0 if undo is None else undo.timeout,
    }
