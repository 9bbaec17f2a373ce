"""Trying an expression on what really ran: the data of a workflow's last run, and the sandbox to evaluate in."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from orchestrator.core.item_outputs import ItemOutputs
from orchestrator.core.json_types import Json
from orchestrator.core.states import FINAL_RUN
from orchestrator.engine.item_outputs import stretch
from orchestrator.engine.sandbox import own_sandbox
from orchestrator.models import Run, StepLog
from orchestrator.queries.branches import branches_met
from orchestrator.queries.drawing import drawing_of
from orchestrator.queries.item_outputs import named_rows
from orchestrator.queries.runs import payloads


@dataclass(frozen=True, slots=True, kw_only=True)
class RanData:
    """What one run carried: its input, outputs and errors by step key; `branches` of one join by their steps' keys."""

    run_id: str
    input: Json
    steps: Mapping[str, Json] = field(default_factory=dict)
    errors: Mapping[str, Json] = field(default_factory=dict)
    branches: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledOutputs(ItemOutputs):
    """Outputs of a for-each that are too large to be one value, with the first of them to be looked at."""

    sample: tuple[Json, ...]

    def __getitem__(self, at: Any) -> Any:
        return self.sample[at]


def last_run_data(workflow_id: int, keys: Collection[str], join: str | None = None) -> RanData | None:
    """The data of the newest run that ended, else of the newest run; None when there was none.

    `keys` names the steps that are asked for: outputs may hold megabytes. `join`: whose branches are asked for.
    """
    run = _last_run(workflow_id)
    if run is None:
        return None
    drawing = drawing_of(run.version_id)
    nodes = {drawing.nodes[key]: key for key in keys if key in drawing.nodes}
    # Scope 0: a value of one item of a loop is not the step's value. Served by the primary key.
    ended = StepLog.objects.filter(run_id=run.pk, node__in=nodes, scope_id=0, final=True)
    rows = list(ended.order_by("node", "-generation", "-attempt").distinct("node"))
    read = payloads([row.output_ref for row in rows] + [run.input_ref])
    steps = {nodes[row.node]: _sampled(read(row.output, row.output_ref)) for row in rows if row.outcome == "S"}
    errors = {nodes[row.node]: row.error for row in rows if row.error is not None}
    return RanData(
        run_id=str(run.pk),
        input=read(run.input, run.input_ref),
        steps=steps,
        errors=errors,
        branches=branches_met(run, join, steps, errors) if join is not None else {},
    )


def _last_run(workflow_id: int) -> Run | None:
    # Served by run_by_workflow: the newest few, of which most have ended.
    newest = list(Run.objects.filter(workflow_id=workflow_id).order_by("-id")[:20])
    ended = (run for run in newest if run.state in FINAL_RUN)
    return next(ended, newest[0] if newest else None)


def _sampled(value: Json) -> Json:
    if not isinstance(value, ItemOutputs):
        return value
    known = {one.name: getattr(value, one.name) for one in fields(ItemOutputs)}
    return SampledOutputs(**known, sample=tuple(stretch(named_rows, value, 0)))


def evaluate(expression: str, roots: Mapping[str, Json]) -> Json:
    """The value of an expression on these roots. Raises ExpressionFailed."""
    return own_sandbox().expression(expression, roots)
