"""Sub-workflow steps that name a workflow, or a version of one, that the workspace does not have."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.core.document import SUB_WORKFLOW, Document, Step
from orchestrator.core.drawing import Drawing
from orchestrator.core.nearest import did_you_mean
from orchestrator.core.problem import Problem, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownWorkflow:
    """What a check needs of a workflow. Versions are numbered from 1 without gaps; 0 is none."""

    newest: int
    is_live: bool
    is_archived: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownWorkflows:
    """Those that a document names and that there are, by slug; other names of the workspace serve as guesses."""

    named: Mapping[str, KnownWorkflow] = field(default_factory=dict)
    others: Iterable[str] = ()


def named_workflows(document: Document) -> frozenset[str]:
    """The slugs that sub-workflow steps name; what an expression says is not known before a run."""
    named = (step.config.get("workflow") for step in document.steps if step.kind == SUB_WORKFLOW)
    return frozenset(slug for slug in named if isinstance(slug, str) and slug)


def workflow_problems(drawing: Drawing, workflows: KnownWorkflows, step: Step) -> Iterator[Problem]:
    """What a sub-workflow step would meet if it were reached now."""
    slug = step.config.get("workflow")
    if step.kind != SUB_WORKFLOW or not isinstance(slug, str) or not slug:
        return
    known = workflows.named.get(slug)
    if known is None:
        yield _unknown(drawing, workflows, step, slug)
    elif known.is_archived:
        message = f'Step {step.title} runs the workflow "{slug}", which is archived. Name another one.'
        yield _error("workflow_archived", message, step, "workflow")
    else:
        yield from _version_problems(step, slug, known)


def _unknown(drawing: Drawing, workflows: KnownWorkflows, step: Step, slug: str) -> Problem:
    # It may be drawn later, or be on its way from where this one came from.
    meant = did_you_mean(drawing.guess(slug, workflows.others))
    message = (
        f'Step {step.title} runs the workflow "{slug}", which is not in this workspace.{meant} '
        "Name another one, or create it and publish it before a run comes here."
    )
    return Problem(code="unknown_workflow", message=message, severity="warning", step=step.key, field="config.workflow")


def _version_problems(step: Step, slug: str, known: KnownWorkflow) -> Iterator[Problem]:
    number = step.config.get("version")
    if isinstance(number, int) and number > known.newest:
        newest = f"its newest is {known.newest}" if known.newest else "it has not been published yet"
        message = (
            f'Step {step.title} runs version {number} of "{slug}", but there is no version {number}: {newest}. '
            "Name one that exists, or none for the live one."
        )
        yield _error("unknown_version", message, step, "version")
    elif number is None and not known.is_live:
        message = (
            f'Step {step.title} runs the workflow "{slug}", which has no live version. '
            "Publish it before a run comes here."
        )
        yield Problem(code="not_published", message=message, severity="warning", step=step.key, field="config.workflow")


def _error(code: str, message: str, step: Step, name: str) -> Problem:
    severity: Severity = "warning" if step.disabled else "error"
    return Problem(code=code, message=message, severity=severity, step=step.key, field=f"config.{name}")
