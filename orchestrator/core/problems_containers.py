"""What is wrong with containers: who holds whom, and edges across a border."""

from collections.abc import Iterator

from orchestrator.core.document import MAX_NESTING, Step
from orchestrator.core.drawing import Drawing
from orchestrator.core.fixes import removal
from orchestrator.core.nearest import did_you_mean
from orchestrator.core.problem import Problem


def parent_problems(drawing: Drawing, index: int, step: Step) -> Iterator[Problem]:
    """Problems of the container that a step names as its own, and of a container that holds nothing."""
    if step.parent is not None:
        yield from _parent_problems(drawing, index, step, step.parent)
    kind = drawing.kinds.get(step.kind)
    if kind is not None and kind.inside is not None and not step.disabled and step.key not in drawing.inside:
        message = f'Step {step.title} of kind "{step.kind}" holds no steps. Draw at least one inside it, or remove it.'
        yield Problem(code="container_empty", message=message, step=step.key)


def _parent_problems(drawing: Drawing, index: int, step: Step, key: str) -> Iterator[Problem]:
    parent = drawing.steps.get(key)
    fix = removal("Take it out", f"/steps/{index}/parent")
    if parent is None:
        close = drawing.guess(key, drawing.steps)
        message = f'Step {step.title} lies in "{key}", which does not exist.{did_you_mean(close)} Take it out.'
        yield Problem(code="unknown_parent", message=message, step=step.key, field="parent", fix=fix)
        return
    if parent.kind in drawing.kinds and drawing.kinds[parent.kind].inside is None:
        message = f"Step {step.title} lies in {parent.title}, but a {parent.kind} step holds no others. Take it out."
        yield Problem(code="parent_not_container", message=message, step=step.key, field="parent", fix=fix)
    around = drawing.around(step.key)
    if around is None:
        message = f"Step {step.title} lies in itself: its containers hold each other in a circle. Take one of them out."
        yield Problem(code="parent_cycle", message=message, step=step.key, field="parent", fix=fix)
    elif len(around) > MAX_NESTING:
        message = (
            f"Step {step.title} lies {len(around)} containers deep; {MAX_NESTING} is the most. Use a sub-workflow."
        )
        yield Problem(code="nesting_too_deep", message=message, step=step.key, field="parent", fix=fix)


def border_problem(drawing: Drawing, source: str, target: str) -> str | None:
    """Why an edge between two known steps may not be drawn, if it crosses the border of a container."""
    inside, outside = drawing.steps[source].parent, drawing.steps[target].parent
    if inside == outside:
        return None
    crossed = drawing.title(inside or outside or "")
    return (
        f"it crosses the border of {crossed}. Only steps of one level can be joined: lead it to or from "
        f"{crossed} itself"
    )
