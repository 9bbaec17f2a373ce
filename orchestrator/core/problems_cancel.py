"""What is wrong with steps that cancel others, and with the locks of scopes."""

from collections.abc import Iterator

from orchestrator.core.document import CANCEL, END, FOR_EACH, Step
from orchestrator.core.drawing import Drawing
from orchestrator.core.fixes import removal, setting
from orchestrator.core.nearest import did_you_mean
from orchestrator.core.problem import Problem


def cancel_problems(drawing: Drawing, index: int, step: Step) -> Iterator[Problem]:
    """Problems of a `cancel` step's targets, of an `end` of the whole run, and of a scope's lock."""
    if step.kind == CANCEL:
        yield from _target_problems(drawing, index, step)
    elif step.kind == END and step.config.get("whole") is True and step.parent is not None:
        around = drawing.title(step.parent)
        message = (
            f"Step {step.title} ends the whole run from inside {around}. Only a step of the top level can: let "
            f"{around} end, and draw the end behind it."
        )
        fix = removal("End this path only", f"/steps/{index}/config/whole")
        yield Problem(code="end_inside", message=message, step=step.key, field="config.whole", fix=fix)
    elif isinstance(step.config.get("lock"), str):
        yield from _lock_problems(drawing, index, step)


def _target_problems(drawing: Drawing, index: int, step: Step) -> Iterator[Problem]:
    config, keys = step.config, step.config.get("steps")
    for place, key in enumerate(keys if isinstance(keys, list | tuple) else ()):
        if isinstance(key, str):
            yield from _one_target(drawing, index, step, place, key)
    region = config.get("region")
    regions = {one.key: one for one in drawing.document.regions}
    if isinstance(region, str) and region not in regions:
        close = drawing.guess(region, regions)
        message = f'Step {step.title} cancels the region "{region}", which does not exist.{did_you_mean(close)}'
        yield Problem(code="unknown_region", message=message, step=step.key, field="config.region")
    elif isinstance(region, str):
        members = (drawing.steps[key] for key in regions[region].steps if key in drawing.steps)
        if any(one.parent != step.parent for one in members):
            other = regions[region].title
            message = f"Step {step.title} cancels the region {other} of another level. Draw it beside that region."
            yield Problem(code="cancel_other_level", message=message, step=step.key, field="config.region")


def _one_target(drawing: Drawing, index: int, step: Step, place: int, key: str) -> Iterator[Problem]:
    field, target = f"config.steps.{place}", drawing.steps.get(key)
    fix = removal("Take it out", f"/steps/{index}/config/steps/{place}")
    if target is None:
        close = drawing.guess(key, drawing.steps)
        message = f'Step {step.title} cancels "{key}", which does not exist.{did_you_mean(close)} Take it out.'
        yield Problem(code="unknown_step", message=message, step=step.key, field=field, fix=fix)
    elif key == step.key:
        message = f"Step {step.title} cancels itself. Take it out: it ends by itself."
        yield Problem(code="cancel_itself", message=message, step=key, field=field, fix=fix)
    elif target.parent != step.parent:
        message = (
            f"Step {step.title} cancels {target.title}, which lies on another level. Name a step beside it: "
            "a container ends with all that is inside."
        )
        yield Problem(code="cancel_other_level", message=message, step=step.key, field=field, fix=fix)
    elif step.config.get("as") == "complete" and target.kind != FOR_EACH:
        message = (
            f"Step {step.title} completes {target.title}, but only a for-each can end with what it has. "
            "Cancel it instead."
        )
        cancel = setting("Cancel instead", f"/steps/{index}/config/as", "cancelled")
        yield Problem(code="cannot_complete", message=message, step=step.key, field=field, fix=cancel)


def _lock_problems(drawing: Drawing, index: int, step: Step) -> Iterator[Problem]:
    """A scope that would wait for itself, or two that would wait for each other."""
    lock, around = step.config["lock"], drawing.locks_around(step.key)
    field, fix = "config.lock", removal("Remove the lock", f"/steps/{index}/config/lock")
    if lock in around:
        message = f'Step {step.title} lies in a scope of its own lock "{lock}", so it would wait for ever. Remove it.'
        yield Problem(code="lock_within_itself", message=message, step=step.key, field=field, fix=fix)
    crossed = sorted(one for one in around if (lock, one) in drawing.nested_locks and one != lock)
    if crossed:
        message = (
            f'Step {step.title} takes the lock "{lock}" inside "{crossed[0]}", and elsewhere they are taken the other '
            "way round: two such scopes could wait for each other for ever. Nest them in one order."
        )
        yield Problem(code="locks_cross", message=message, step=step.key, field=field, fix=fix)
