"""What is wrong with single steps: kind, config, retry, times, container."""

from collections.abc import Iterator

from orchestrator.core.document import Retry, Step, Undo
from orchestrator.core.drawing import Drawing
from orchestrator.core.durations import LONGEST
from orchestrator.core.fixes import setting
from orchestrator.core.json_types import JsonObject
from orchestrator.core.nearest import did_you_mean
from orchestrator.core.plan import opens_more
from orchestrator.core.problem import Problem, Severity
from orchestrator.core.problems_containers import parent_problems
from orchestrator.core.retry import MAX_ATTEMPTS


def step_problems(drawing: Drawing, index: int, step: Step) -> Iterator[Problem]:
    """Problems of one step, its undo included, apart from join and references."""
    yield from _kind_problems(drawing, index, step, step.kind, step.config, "")
    if step.undo is not None:
        yield from _undo_problems(drawing, index, step, step.undo)
    if step.retry is not None:
        yield from _retry_problems(index, step, step.retry)
    if step.timeout is not None and not 0 < step.timeout <= LONGEST:
        message = f"Step {step.title} has a time-out of {step.timeout:g} seconds. Set more than zero, up to ten years."
        yield Problem(code="timeout_invalid", message=message, step=step.key, field="timeout")
    yield from parent_problems(drawing, index, step)
    yield from _disabled_problems(drawing, step)


def _undo_problems(drawing: Drawing, index: int, step: Step, undo: Undo) -> Iterator[Problem]:
    yield from _kind_problems(drawing, index, step, undo.kind, undo.config, "undo.")
    kind, undo_kind = drawing.kinds.get(step.kind), drawing.kinds.get(undo.kind)
    if kind is not None and opens_more(kind):
        message = (
            f'Step {step.title} of kind "{step.kind}" is undone by undoing what is in it. '
            "Draw the undo on the steps inside."
        )
        yield Problem(code="undo_of_container", message=message, step=step.key, field="undo")
    if undo_kind is not None and undo_kind.group != "do":
        message = f"The undo of step {step.title} is a {undo.kind} step. Use one that does something at once."
        yield Problem(code="undo_kind_invalid", message=message, step=step.key, field="undo.kind")


def _kind_problems(
    drawing: Drawing, index: int, step: Step, kind: str, config: JsonObject, prefix: str
) -> Iterator[Problem]:
    if kind not in drawing.kinds:
        close = drawing.guess(kind, drawing.kinds, 3)
        known = "" if close else f" Known: {', '.join(sorted(drawing.kinds))}."
        what = f"Step {step.title}" if not prefix else f"The undo of step {step.title}"
        message = f'{what} is of the kind "{kind}", which is not known.{did_you_mean(close)}{known}'
        yield Problem(code="unknown_kind", message=message, step=step.key, field=f"{prefix}kind")
        return
    for found in drawing.kinds[kind].check(config):
        field = f"{prefix}config.{found.path}" if found.path else f"{prefix}config"
        # A disabled step runs nothing: half a config may wait there while the rest is published.
        severity: Severity = "warning" if step.disabled else found.severity
        fix = found.repair and setting(found.repair[0], f"/steps/{index}/{field.replace('.', '/')}", found.repair[1])
        yield Problem(code=found.code, message=found.message, severity=severity, step=step.key, field=field, fix=fix)


def _retry_problems(index: int, step: Step, retry: Retry) -> Iterator[Problem]:
    if not 1 <= retry.attempts <= MAX_ATTEMPTS:
        nearest = 1 if retry.attempts < 1 else MAX_ATTEMPTS
        message = f"Step {step.title} has {retry.attempts} attempts. Set 1 to {MAX_ATTEMPTS}, the first one included."
        fix = setting(f"Set {nearest}", f"/steps/{index}/retry/attempts", nearest)
        yield Problem(code="attempts_out_of_range", message=message, step=step.key, field="retry.attempts", fix=fix)
    for name in ("first", "cap", "budget"):
        seconds = getattr(retry, name)
        if seconds is not None and not 0 <= seconds <= LONGEST:
            message = f"Step {step.title} retries with {name} = {seconds:g} seconds. Set zero to ten years."
            yield Problem(code="retry_invalid", message=message, step=step.key, field=f"retry.{name}")
    if not 1 <= retry.factor <= 100:
        message = f"Step {step.title} retries with the factor {retry.factor:g}. Set 1 to 100."
        yield Problem(code="retry_invalid", message=message, step=step.key, field="retry.factor")


def _disabled_problems(drawing: Drawing, step: Step) -> Iterator[Problem]:
    """A disabled step succeeds at once with the output null; control passes by `out`."""
    if not step.disabled or step.kind not in drawing.kinds:
        return
    edges = [edge for edge in drawing.edges if edge.source == step.key]
    if edges and not any(edge.port == "out" for edge in edges):
        message = f'Step {step.title} is disabled, and no edge leaves it by "out": all that follows is skipped.'
        yield Problem(code="disabled_blocks", message=message, severity="warning", step=step.key, field="disabled")
