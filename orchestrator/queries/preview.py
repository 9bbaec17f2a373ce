"""Trying an expression on what really ran: the data of a workflow's last run, and the sandbox to evaluate in."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from orchestrator.core.json_types import Json
from orchestrator.core.states import FINAL_RUN
from orchestrator.engine.sandbox import own_sandbox
from orchestrator.models import Payload, Run, StepLog
from orchestrator.queries.drawing import drawing_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RanData:
    """What one run carried: its input, outputs and errors by step key."""

    run_id: str
    input: Json
    steps: Mapping[str, Json] = field(default_factory=dict)
    errors: Mapping[str, Json] = field(default_factory=dict)


def last_run_data(workflow_id: int, keys: Collection[str]) -> RanData | None:
    """The data of the newest run that ended, else of the newest run; None when there was none.

    `keys` names the steps that are asked for: outputs may hold megabytes.
    """
    run = _last_run(workflow_id)
    if run is None:
        return None
    drawing = drawing_of(run.version_id)
    nodes = {drawing.nodes[key]: key for key in keys if key in drawing.nodes}
    # Scope 0: a value of one item of a loop is not the step's value. Served by the primary key.
    ended = StepLog.objects.filter(run_id=run.pk, node__in=nodes, scope_id=0, final=True)
    rows = list(ended.order_by("node", "-generation", "-attempt").distinct("node"))
    bodies = _bodies([row.output_ref for row in rows] + [run.input_ref])
    return RanData(
        run_id=str(run.pk),
        input=_value(run.input, run.input_ref, bodies),
        steps={nodes[row.node]: _value(row.output, row.output_ref, bodies) for row in rows if row.outcome == "S"},
        errors={nodes[row.node]: row.error for row in rows if row.error is not None},
    )


def _last_run(workflow_id: int) -> Run | None:
    # Served by run_by_workflow: the newest few, of which most have ended.
    newest = list(Run.objects.filter(workflow_id=workflow_id).order_by("-id")[:20])
    ended = (run for run in newest if run.state in FINAL_RUN)
    return next(ended, newest[0] if newest else None)


def _bodies(references: Collection[UUID | None]) -> Mapping[UUID, Json]:
    wanted = {reference for reference in references if reference is not None}
    return dict(Payload.objects.filter(pk__in=wanted).values_list("id", "body")) if wanted else {}


def _value(inline: Json, reference: UUID | None, bodies: Mapping[UUID, Json]) -> Json:
    return inline if reference is None else bodies.get(reference)


def evaluate(expression: str, roots: Mapping[str, Json]) -> Json:
    """The value of an expression on these roots. Raises ExpressionFailed."""
    return own_sandbox().expression(expression, roots)
