"""Saving drafts: whole documents come in, only the rows that differ are written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from designer.models import Draft, Edge, Step
from designer.problems import Findings, find, refuse_doubles
from designer.queries.drafts import load_draft
from designer.rows import Parts, Row, place, take_apart
from orchestrator.api import (
    Actor,
    Document,
    Json,
    StaleRevision,
    Workflow,
    document_as_json,
    parse_document,
    record,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What a save led to."""

    revision: int
    saved_at: datetime
    problems: list[Json]


def save_draft(*, workflow: Workflow, document: Json, base_revision: int, actor: Actor) -> Saved:
    """Replace the drawing by this document, if nobody else saved since `base_revision`.

    Problems do not keep it from being saved. Raises DocumentInvalid when it is not well-formed, StaleRevision with
    the current document in its details when another save came first: nothing of either is lost.
    """
    parsed = parse_document(document)
    refuse_doubles(parsed)
    findings = find(parsed, workflow.workspace_id, workflow.slug)
    parts = take_apart(document_as_json(parsed))
    with transaction.atomic():
        _win_revision(workflow, base_revision, parts, findings, actor)
        changed = write_rows(workflow.pk, parts)
        _rename(workflow, parsed)
        record(
            actor,
            "draft.save",
            target=f"workflow {workflow.slug}",
            detail={"revision": base_revision + 1, "rows": changed},
        )
        saved_at = Draft.objects.values_list("saved_at", flat=True).get(pk=workflow.pk)
    return Saved(revision=base_revision + 1, saved_at=saved_at, problems=findings.as_json())


def _win_revision(workflow: Workflow, base: int, parts: Parts, findings: Findings, actor: Actor) -> None:
    """Take the next revision, or raise StaleRevision. The row stays locked until the commit: saves queue up here."""
    won = Draft.objects.filter(pk=workflow.pk, revision=base).update(
        **parts.draft,
        revision=F("revision") + 1,
        errors=findings.errors,
        warnings=findings.warnings,
        saved_at=Now(),
        saved_by_id=actor.user_id,
    )
    if not won:
        raise stale(workflow, base)


def stale(workflow: Workflow, base: int) -> StaleRevision:
    """The refusal of a save that came second, with what came first."""
    current = load_draft(workflow)
    who = current.saved_by or "Somebody else"
    message = (
        f"{who} saved revision {current.revision} of this draft, but yours is based on {base}. "
        "Take over their changes, then save again."
    )
    details: dict[str, Json] = {"revision": current.revision, "document": current.document}
    return StaleRevision(message, details=details | {"saved_by": current.saved_by})


def _rename(workflow: Workflow, document: Document) -> None:
    if document.name != workflow.name:
        Workflow.objects.filter(pk=workflow.pk).update(name=document.name)
        workflow.name = document.name


# One statement for any number of rows; an ORM bulk update of 2,000 takes seconds. `json` keeps the order of keys.
UPDATE_STEPS: Final = """
UPDATE designer_step AS step
   SET position = new.position, name = new.name, kind = new.kind, x = new.x, y = new.y, parent = new.parent,
       disabled = new.disabled, config = new.config, options = new.options
  FROM json_to_recordset(%s::json) AS new(id bigint, position bigint, name text, kind text, x float8, y float8,
                                          parent text, disabled boolean, config json, options json)
 WHERE step.id = new.id
"""
UPDATE_EDGES: Final = """
UPDATE designer_edge AS edge
   SET position = new.position
  FROM json_to_recordset(%s::json) AS new(id bigint, position bigint)
 WHERE edge.id = new.id
"""


def write_rows(draft_id: int, parts: Parts) -> int:
    """Make the step and edge rows of a draft equal to `parts`; returns how many rows were touched.

    The caller holds the draft's row, so nobody else writes these.
    """
    steps: dict[Any, Any] = {row["key"]: row for row in Step.objects.filter(draft_id=draft_id).values()}
    edges: dict[Any, Any] = {
        (row["source"], row["port"], row["target"]): row for row in Edge.objects.filter(draft_id=draft_id).values()
    }
    touched = _write(Step, draft_id, steps, parts.steps, UPDATE_STEPS)
    return touched + _write(Edge, draft_id, edges, parts.edges, UPDATE_EDGES)


def _write(
    model: Any, draft_id: int, held: Mapping[Any, Mapping[str, Any]], wanted: Mapping[Any, Row], update: str
) -> int:
    positions = place(list(wanted), {name: row["position"] for name, row in held.items()})
    rows = {name: row | {"position": positions[name]} for name, row in wanted.items()}
    gone = [row["id"] for name, row in held.items() if name not in rows]
    changed = [row | {"id": held[name]["id"]} for name, row in rows.items() if name in held and differ(held[name], row)]
    new = [model(draft_id=draft_id, **row) for name, row in rows.items() if name not in held]
    if gone:
        model.objects.filter(pk__in=gone).delete()
    if changed:
        with connection.cursor() as cursor:
            cursor.execute(update, [json.dumps(changed)])
    if new:
        model.objects.bulk_create(new, batch_size=500)
    return len(gone) + len(changed) + len(new)


def differ(held: Mapping[str, Any], row: Row) -> bool:
    """Whether a row must be written. JSON is compared with its key order, which is part of the drawing."""
    return any(repr(held[column]) != repr(value) for column, value in row.items())
