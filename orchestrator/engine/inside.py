"""What a resumed container, or a sub-workflow step, learns of the steps it waited for."""

import json
from typing import Any

from orchestrator.core.document import FOR_EACH, SUB_WORKFLOW
from orchestrator.core.errors import JsonInvalid
from orchestrator.core.json_text import MAX_OUTPUT_BYTES
from orchestrator.core.json_types import Json
from orchestrator.core.outcome import StepFault, Unwanted
from orchestrator.core.plan import Plan
from orchestrator.engine import statements
from orchestrator.engine.database import Row
from orchestrator.engine.lease import Lease
from orchestrator.engine.limits import refusal
from orchestrator.engine.plans import VersionFacts
from orchestrator.engine.roots import Roots
from orchestrator.engine.scopes import Block, nodes_inside

Inside = tuple[Json, StepFault | None]


class Insides:
    """Reads what came of a body, of the items of a for-each, or of a child run."""

    def __init__(self, pool: Any, roots: Roots) -> None:
        self._pool = pool
        self.roots = roots

    def unwanted(self, plan: Plan, lease: Lease) -> Unwanted | None:
        """An outcome when another step has cancelled this one, perhaps before it began."""
        marks = plan.marks_on.get(lease.node)
        if marks is None:
            return None
        place = (lease.run.run_id, lease.scope_id, lease.generation, marks)
        with self._pool.connection() as connection:
            row = connection.execute(statements.IS_MARKED, place).fetchone()
        return Unwanted() if row["marked"] else None

    def of(self, facts: VersionFacts, lease: Lease) -> Inside:
        """The value and the failure; both None when nothing has ended (a time ran out)."""
        step, signal = facts.plan.step(lease.node), lease.signal
        if signal is None or ("undone" in signal and "scope" not in signal):
            return None, None  # its time ran out
        if step.kind == SUB_WORKFLOW:
            return self._child(signal)
        if step.kind == FOR_EACH:
            return self._items(facts.plan, lease, failed=signal["state"] == "failed")
        return self._body(facts.plan, lease, signal["scope"], failed=signal["state"] == "failed")

    def _body(self, plan: Plan, lease: Lease, scope_id: int, *, failed: bool) -> Inside:
        value = self.roots.body(plan, lease, lease.node, scope_id)
        return value, self._fault(plan, statements.BODY_FAILURE, (lease.run.run_id, scope_id)) if failed else None

    def _items(self, plan: Plan, lease: Lease, *, failed: bool) -> Inside:
        block = self.roots.scopes.block((lease.waiting or {})["block"])
        span = (block.id + 1, block.id + block.total)
        if failed:
            nodes = list(nodes_inside(plan, lease.node))
            return None, self._fault(plan, statements.ITEM_FAILURE, (block.id, lease.run.run_id, nodes, *span))
        exits = plan.exits_to(plan.bodies[lease.node].end)
        arguments = (MAX_OUTPUT_BYTES, lease.run.run_id, list(exits), *span, MAX_OUTPUT_BYTES)
        with self._pool.connection() as connection:
            rows = connection.execute(statements.ITEM_OUTPUTS, arguments).fetchall()
        if rows and rows[-1]["so_far"] > MAX_OUTPUT_BYTES:
            raise JsonInvalid(_too_large(rows[-1]["scope_id"] - block.id, block.total), code="too_large")
        return _in_order(plan, exits, block, rows), None

    def _child(self, signal: Any) -> Inside:
        if signal["state"] == "refused":
            return None, StepFault(
                code="concurrency_limit", message=refusal(signal["workflow"], signal["limit"], signal["key"])
            )
        run_id = signal["run"]
        with self._pool.connection() as connection:
            row = connection.execute(statements.CHILD_END, (run_id,)).fetchone()
        if row["state"] == "succeeded":
            return row["output"], None
        error = row["error"] or {"code": row["state"], "message": f"It ended as {row['state']}."}
        return None, StepFault(code=error["code"], message=error["message"], details={"run": run_id})

    def _fault(self, plan: Plan, statement: str, arguments: tuple[Any, ...]) -> StepFault:
        with self._pool.connection() as connection:
            error = connection.execute(statement, arguments).fetchone()["error"]
        if error is None:
            return StepFault(code="branch_failed", message="A step inside failed.")
        details = {"step": plan.steps[error["node"]].key}
        details |= {"item": error["item"]} if "item" in error else {}
        return StepFault(code=error["code"], message=error["message"], details=details)


def _in_order(plan: Plan, exits: tuple[int, ...], block: Block, rows: list[Row]) -> Json:
    """One value for each item: what its only last step gave, else one by key; None where nothing was given."""
    texts = ",".join(row["output"] or "null" for row in rows)
    outputs: list[Json] = [None] * block.total
    for row, output in zip(rows, json.loads(f"[{texts}]"), strict=True):
        place = row["scope_id"] - block.id - 1
        if len(exits) == 1:
            outputs[place] = output
        else:
            several = outputs[place] or dict.fromkeys(plan.steps[node].key for node in exits)
            assert isinstance(several, dict)
            outputs[place] = {**several, plan.steps[row["node"]].key: output}
    return outputs


def _too_large(item: int, total: int) -> str:
    return (
        f"The first {item:,} of {total:,} items gave more than {MAX_OUTPUT_BYTES:,} bytes together. "
        "Let the last step inside give less (a transform, say), or store what is large elsewhere."
    )
