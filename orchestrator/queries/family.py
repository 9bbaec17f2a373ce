"""Ways between a run and those of its sub-workflows: the step that started it, and the run that a step started."""

from dataclasses import dataclass
from uuid import UUID

from orchestrator.core.json_types import Json
from orchestrator.models import Run
from orchestrator.models.run import RunQuerySet
from orchestrator.queries.captions import captions_of
from orchestrator.queries.drawing import drawing_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParent:
    """The step run that started a run."""

    run: UUID
    workflow_name: str
    step: str
    step_name: str
    #: Its item or turn; None outside containers.
    scope: str | None

    def as_json(self) -> dict[str, Json]:
        return {"run": str(self.run), "step": self.step, "scope": self.scope}


def parent_in(readable: RunQuerySet, run: Run) -> RunParent | None:
    """Who started a run of a sub-workflow, if that is among those that may be read."""
    if run.parent_run_id is None or run.parent_node is None:
        return None
    above = readable.select_related("workflow").filter(pk=run.parent_run_id).first()
    if above is None:
        return None
    key = next(key for key, node in drawing_of(above.version_id).nodes.items() if node == run.parent_node)
    return RunParent(
        run=above.pk,
        workflow_name=above.workflow.name,
        step=key,
        step_name=captions_of(above.version_id)[key].name,
        scope=str(run.parent_scope) if run.parent_scope else None,
    )


def child_in(readable: RunQuerySet, run: Run, node: int, scope: str | None) -> UUID | None:
    """The run that a step of this run started last, if it may be read."""
    # Served by run_by_parent.
    started = readable.filter(parent_run_id=run.pk, parent_node=node, parent_scope=int(scope or 0))
    return started.order_by("-pk").values_list("pk", flat=True).first()
