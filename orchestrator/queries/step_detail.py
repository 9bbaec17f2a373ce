"""One step of one run with its data, its attempts and its definition."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models

from orchestrator.core.document import SUB_WORKFLOW
from orchestrator.core.errors import NotFound
from orchestrator.core.item_outputs import told
from orchestrator.core.json_types import Json
from orchestrator.core.states import AttemptOutcome
from orchestrator.models import Run, StepLog, Token, Version
from orchestrator.models.scope import BLOCK
from orchestrator.policy import Actor
from orchestrator.queries.drawing import drawing_of
from orchestrator.queries.family import child_in
from orchestrator.queries.runs import find_run, may_read_data, payloads, runs_for
from orchestrator.queries.step_run import StepRun, rfc3339
from orchestrator.queries.step_runs import step_runs

#: Attempts shown of one step run: the newest.
MOST_ATTEMPTS = 100
#: Scopes named of a step inside a for-each: the list of items leads to all of them.
MOST_SCOPES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One ended try. `log` is None when the actor may not read run data."""

    attempt: int
    outcome: str
    started_at: datetime | None
    finished_at: datetime
    error: Mapping[str, Json] | None
    log: Json

    def as_json(self) -> dict[str, Json]:
        return {
            "attempt": self.attempt,
            "outcome": self.outcome,
            "started_at": rfc3339(self.started_at),
            "finished_at": rfc3339(self.finished_at),
            "error": self.error,
            "log": self.log,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDetail:
    """A step's panel. `step` is None while control has not reached the step."""

    step: StepRun | None
    #: The scopes in which the step ran (None outside containers); in a for-each the first of them.
    scopes: tuple[str | None, ...]
    input: Json
    #: An `ItemOutputs` where a for-each gave too much to be one value.
    output: Json
    attempts: tuple[Attempt, ...]
    definition: Mapping[str, Json]
    data_shown: bool
    #: The run that a sub_workflow step started last.
    child: UUID | None = None

    def as_json(self) -> dict[str, Json]:
        return {
            "step": self.step.as_json() if self.step else None,
            "scopes": list(self.scopes),
            "input": self.input,
            **told(self.output),
            "attempts": [attempt.as_json() for attempt in self.attempts],
            "definition": self.definition,
            "data_shown": self.data_shown,
            "child": str(self.child) if self.child else None,
        }


def step_detail(actor: Actor, run_id: UUID, key: str, *, scope: str | None = None) -> StepDetail:
    """One step of a run; of several scopes the first, or the one asked for.

    Raises NotFound for a run the actor may not read, a key the drawing does not have, a scope it did not run in.
    """
    run = find_run(actor, run_id)
    drawing = drawing_of(run.version_id)
    shown = may_read_data(actor, run)
    inside = drawing.nodes.get(key) in drawing.in_items
    scopes = _scopes(run, drawing.nodes[key]) if inside and scope is None else ()
    if inside:
        # One of possibly 100,000 items.
        at = int(scope or (scopes[0] if scopes else 0))
        items = step_runs(run, key=key, scope=at, shown=shown).items if at else ()
    else:
        items = step_runs(run, key=key, shown=shown).items
    step = next((item for item in items if scope is None or item.scope == scope), None)
    if step is None and scope is not None:
        raise NotFound(f'Step "{key}" did not run in scope "{scope[:40]}".')
    definition = _definition(run, key)
    rows = _rows(run, key, step.scope if step else None)
    last = rows[-1] if rows else None
    starts_runs = definition.get("kind") == SUB_WORKFLOW
    child = child_in(runs_for(actor), run, drawing.nodes[key], step.scope) if step and starts_runs else None
    read = payloads([last.input_ref, last.output_ref] if shown and last else [])
    return StepDetail(
        step=step,
        scopes=scopes or tuple(item.scope for item in items),
        input=_input(last, read, definition) if shown and last else None,
        output=read(last.output, last.output_ref) if shown and last else None,
        attempts=tuple(_attempt(row, shown=shown) for row in rows if row.outcome != AttemptOutcome.REPEATED),
        definition=definition,
        data_shown=shown,
        child=child,
    )


def _scopes(run: Run, node: int) -> tuple[str, ...]:
    """The first scopes in which a step inside a for-each ran, by the primary key; else those where it stands."""
    # Items whose step is at work for the first time have no row yet.
    for rows in (StepLog.objects.filter(run_id=run.pk, node=node), Token.objects.filter(run_id=run.pk, node=node)):
        outside = models.Q(scope_id=models.F("scope_id").bitand(-BLOCK))  # lanes
        found = rows.exclude(outside).order_by("scope_id").values_list("scope_id", flat=True).distinct()[:MOST_SCOPES]
        if scopes := tuple(str(scope) for scope in found):
            return scopes
    return ()


def _rows(run: Run, key: str, scope: str | None) -> list[StepLog]:
    # Served by the primary key.
    node = drawing_of(run.version_id).nodes[key]
    rows = StepLog.objects.filter(run_id=run.pk, node=node, scope_id=int(scope or 0))
    return list(reversed(rows.order_by("-generation", "-attempt")[:MOST_ATTEMPTS]))


def _definition(run: Run, key: str) -> dict[str, Json]:
    document = Version.objects.values_list("document", flat=True).get(pk=run.version_id)
    return next((step for step in document["steps"] if step["key"] == key), {})


def _input(row: StepLog, read: Any, definition: Mapping[str, Json]) -> Json:
    """The evaluated config. It is not logged where the drawing holds no expression: there it is the drawing's own."""
    value: Json = read(row.input, row.input_ref)
    if value is None and row.outcome == "S":
        return definition.get("config")
    return value


def _attempt(row: StepLog, *, shown: bool) -> Attempt:
    error = row.error and {"code": row.error.get("code", "error"), "message": row.error.get("message", "")}
    return Attempt(
        attempt=max(row.attempt, 0),
        outcome=row.outcome,
        started_at=row.started_at,
        finished_at=row.finished_at,
        error=error,
        log=(row.log or []) if shown else None,
    )
