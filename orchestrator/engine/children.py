"""What a sub-workflow step starts: its version is chosen now, and the child begins when the step parks, at once."""

from typing import Any

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.kinds import Evaluator
from orchestrator.core.outcome import Child, Fail, StepFault
from orchestrator.core.schema import check_input
from orchestrator.engine import statements, tracing
from orchestrator.engine.identity import uuid7
from orchestrator.engine.items import starts_as_json
from orchestrator.engine.lease import Lease
from orchestrator.engine.limits import limit_fields
from orchestrator.engine.plans import Plans
from orchestrator.engine.values import Packed

DEEPEST = 8  # runs below the one at the top
MOST_CHILDREN = 1_000  # of one run at the top, at all depths


def child_item(pool: Any, plans: Plans, sandbox: Evaluator, lease: Lease, child: Child) -> dict[str, Any] | Fail:
    """`child`, `starts` and `pay` of an advance item, or why nothing can be started. Raises `JsonInvalid`."""
    run = lease.run
    if run.depth >= DEEPEST:
        return _fail("subworkflow_depth", f"Sub-workflows nest {DEEPEST} deep at most. Does one start itself?")
    root = run.root_run_id or run.run_id
    with pool.connection() as connection:
        count = connection.execute(statements.CHILDREN, (root,)).fetchone()["n"]
        row = connection.execute(
            statements.CHILD_VERSION, (child.version, child.version, run.workspace_id, child.workflow)
        ).fetchone()
    if count >= MOST_CHILDREN:
        return _fail(
            "run_budget", f"The run at the top has started {count} sub-workflows; {MOST_CHILDREN} is the most."
        )
    if refused := _refused(row, child):
        return refused
    plan = plans.get(row["version_id"]).plan
    try:
        limited = limit_fields(plan.concurrency, child.input, sandbox)
    except ExpressionFailed as error:
        return Fail(StepFault(code=error.error_code, message=error.message, details=error.details))
    packed = Packed({})
    packed.put(child.input, "input", "input_ref")
    payloads, packed.payloads = packed.payloads, []
    values: dict[str, Any] = {
        "id": str(uuid7()),
        "workspace": run.workspace_id,
        "workflow": row["workflow_id"],
        "workflow_slug": row["slug"],
        "version": row["version_id"],
        "correlation_id": run.correlation_id,
        "trigger": "sub_workflow",
        "user": run.started_by_id,
        "via": "engine",
        "deadline": plan.deadline,
        "parent_run": str(run.run_id),
        "root_run": str(root),
        "depth": run.depth + 1,
        **limited,
    }
    if run.trace is not None:
        place = (run.run_id, lease.node, lease.scope_id, lease.generation)
        values["trace_context"] = tracing.handed_on(run.trace, *place)
    return {"child": {**values, **packed.item}, "starts": starts_as_json(plan, plan.starts), "pay": payloads}


def _refused(row: dict[str, Any] | None, child: Child) -> Fail | None:
    if row is None:
        return _fail("unknown_workflow", f'There is no workflow "{child.workflow}" in this workspace.')
    if row["version_id"] is None:
        which = "no live version" if child.version is None else f"no version {child.version}"
        return _fail("not_published", f'Workflow "{child.workflow}" has {which}. Publish it first.')
    found = check_input(row["input_schema"] or {}, child.input)
    if not found:
        return None
    problems = [{"code": one.code, "message": one.message, "path": one.path} for one in found]
    message = f'The input does not fit workflow "{child.workflow}": {found[0].message}'
    return Fail(StepFault(code="input_invalid", message=message, details={"problems": problems}))


def _fail(code: str, message: str) -> Fail:
    return Fail(StepFault(code=code, message=message))
