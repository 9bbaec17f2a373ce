"""What would be undone if a step failed, told from a drawing."""

from typing import Any

from designer.errors import StepMissing
from designer.problems import find
from orchestrator.api import KINDS, BranchlineError, Document, Json, NotFound, Plan, compile_plan, undo_preview


def undo_plan_of_draft(document: Document, step: str, workspace_id: int, own: str) -> dict[str, Json]:
    """The undo plan of a draft; while it does not compile, `why_not` instead. Raises StepMissing, NotFound."""
    problems = find(document, workspace_id, own)
    if problems.errors:
        errors, them = ("1 error", "it") if problems.errors == 1 else (f"{problems.errors} errors", "them")
        message = f"The drawing has {errors}, so nobody can say what an undo would do. Repair {them} first."
        known = any(one.key == step for one in document.steps)
        if not known:
            raise _missing(step)
        told = {"on_failure": document.settings.on_failure, "run_fails": None, "why_not": message}
        return {"step": step, **told, "goes_on": [], "steps": [], "irreversible": []}
    return undo_plan(compile_plan(document, KINDS), step)


def undo_plan(plan: Plan, step: str) -> dict[str, Json]:
    """The steps that are undone, in order, when `step` fails for good. Raises StepMissing, NotFound."""
    nodes = {one.key: one.node for one in plan.steps}
    if step not in nodes:
        raise _missing(step)
    told = undo_preview(plan, nodes[step])
    steps: list[dict[str, Any]] = [
        {
            "key": one.key,
            "name": plan.steps[nodes[one.key]].name,
            "stage": one.stage,
            "certainty": one.certainty,
            "undo": plan.undo[nodes[one.key]].kind if one.has_undo else None,
            "inside": one.inside,
            "by": one.by,
        }
        for one in told.steps
    ]
    goes_on: list[Json] = [
        {
            "key": plan.steps[one.node].key,
            "name": plan.steps[one.node].name,
            "port": one.port,
            "certainty": one.certainty,
        }
        for one in told.goes_on
    ]
    return {
        "step": step,
        "on_failure": plan.on_failure,
        "run_fails": told.run_fails,
        "why_not": None,
        "goes_on": goes_on,
        "steps": steps,
        "irreversible": list(told.irreversible),
    }


def _missing(step: str) -> BranchlineError:
    if not step:
        return StepMissing('Say which step fails: "?step=" and its key.')
    return NotFound(f'This drawing has no step "{step}".')
