"""What would be undone if a step failed, told from a drawing."""

from typing import Any

from designer.errors import DraftHasProblems, StepMissing
from designer.problems import find
from orchestrator.api import KINDS, Document, Json, NotFound, Plan, compile_plan, undo_preview


def undo_plan_of_draft(document: Document, step: str) -> dict[str, Json]:
    """The undo plan of a draft. Raises DraftHasProblems while it does not compile, StepMissing, NotFound."""
    problems = find(document)
    if problems.errors:
        message = (
            f"The drawing has {problems.errors} errors, so nobody can say what an undo would do. Repair them first."
        )
        raise DraftHasProblems(message, details={"problems": problems.as_json()})
    return undo_plan(compile_plan(document, KINDS), step)


def undo_plan(plan: Plan, step: str) -> dict[str, Json]:
    """The steps that are undone, in order, when `step` fails for good. Raises StepMissing, NotFound."""
    if not step:
        raise StepMissing('Say which step fails: "?step=" and its key.')
    nodes = {one.key: one.node for one in plan.steps}
    if step not in nodes:
        raise NotFound(f'This drawing has no step "{step}".')
    told = undo_preview(plan, nodes[step])
    steps: list[dict[str, Any]] = [
        {
            "key": one.key,
            "name": plan.steps[nodes[one.key]].name,
            "stage": one.stage,
            "certainty": one.certainty,
            "undo": plan.undo[nodes[one.key]].kind if one.has_undo else None,
            "inside": one.inside,
        }
        for one in told.steps
    ]
    return {"step": step, "on_failure": plan.on_failure, "steps": steps, "irreversible": list(told.irreversible)}
