"""What a resumed container, or a sub-workflow step, learns of the steps it waited for."""

from collections.abc import Mapping
from typing import Any

from orchestrator.core.document import FOR_EACH, SUB_WORKFLOW
from orchestrator.core.failure_path import PATH, path_of
from orchestrator.core.json_types import Json
from orchestrator.core.outcome import StepFault, Unwanted
from orchestrator.core.plan import Plan
from orchestrator.engine import statements
from orchestrator.engine.item_outputs import outputs_of
from orchestrator.engine.lease import Lease
from orchestrator.engine.limits import refusal
from orchestrator.engine.plans import VersionFacts
from orchestrator.engine.roots import Roots, given
from orchestrator.engine.scopes import nodes_inside

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

    def event(self, lease: Lease) -> Json:
        """The event that the step is resumed with; None when it is resumed with something else."""
        if lease.signal is None or "no" not in lease.signal:
            return None
        if "event" in lease.signal:
            event: Json = lease.signal["event"]
            return event
        with self._pool.connection() as connection:
            row = connection.execute(statements.EVENT, (lease.signal["no"],)).fetchone()
        return None if row is None else row["event"]

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
        if failed:
            place = {"run": lease.run.run_id, "nodes": list(nodes_inside(plan, lease.node))}
            place |= {"first": block.id + 1, "last": block.id + block.total, "end": plan.bodies[lease.node].end}
            return None, self._fault(plan, statements.ITEM_FAILURE, place)
        return outputs_of(self._pool, plan, lease, block=block.id, total=block.total), None

    def _child(self, signal: Any) -> Inside:
        if signal["state"] == "refused":
            return None, _refused(signal)
        run_id = signal["run"]
        with self._pool.connection() as connection:
            row = connection.execute(statements.CHILD_END, (run_id,)).fetchone()
        if row["state"] == "succeeded":
            return given(row), None
        if row["state"] == "cancelled" and (fault := self._replaced(run_id)):
            return None, fault
        error = row["error"] or {"code": row["state"], "message": f"It ended as {row['state']}."}
        return None, StepFault(code=error["code"], message=error["message"], details={"run": run_id, **_way(error)})

    def _replaced(self, run_id: str) -> StepFault | None:
        with self._pool.connection() as connection:
            row = connection.execute(statements.REPLACED_BY, (run_id,)).fetchone()
        if row is None:
            return None
        message = f"The newer run {row['run']} replaced it, as the limit of open runs says."
        return StepFault(code="replaced", message=message, details={"run": run_id, "by_run": row["run"]})

    def _fault(self, plan: Plan, statement: str, arguments: tuple[Any, ...] | dict[str, Any]) -> StepFault:
        with self._pool.connection() as connection:
            error = connection.execute(statement, arguments).fetchone()["error"]
        if error is None:
            return StepFault(code="branch_failed", message="A step inside failed.")
        step = plan.steps[error["node"]]
        details = {"step": step.key, "name": step.name, **_way(error)}
        details |= {"item": error["item"]} if "item" in error else {}
        return StepFault(code=error["code"], message=error["message"], details=details)


def _refused(signal: Mapping[str, Any]) -> StepFault:
    """Its sub-workflow's limit lets no more runs be open. The key is run data: the message does not tell it."""
    message = refusal(signal["workflow"], signal["limit"], "the same key" if signal["key"] else "")
    details = {"workflow": signal["workflow"], "limit": signal["limit"], "key": signal["key"]}
    return StepFault(code="concurrency_limit", message=message, details=details)


def _way(error: Mapping[str, Any]) -> dict[str, Json]:
    """By which way a failure has come so far."""
    path = path_of(error.get("details") or {})
    return {PATH: list(path)} if path else {}
