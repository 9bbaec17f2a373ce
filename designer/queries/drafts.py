"""Reading drafts."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from designer.rows import put_together
from orchestrator.api import Json, NotFound, Workflow

# One statement, so that a save in between cannot mix the rows of two revisions.
# json, not jsonb: the order of keys is the drawer's.
LOAD_DRAFT: Final = """
SELECT w.name, d.revision, d.published_revision, d.saved_at, COALESCE(u.username, ''),
       d.input, d.output, d.has_output, d.settings, d.regions, d.notes,
       (SELECT json_agg(json_build_object('key', s.key, 'name', s.name, 'kind', s.kind, 'x', s.x, 'y', s.y,
                                          'parent', s.parent, 'disabled', s.disabled, 'config', s.config,
                                          'options', s.options) ORDER BY s.position)
          FROM designer_step s WHERE s.draft_id = d.workflow_id),
       (SELECT json_agg(json_build_object('source', e.source, 'port', e.port, 'target', e.target) ORDER BY e.position)
          FROM designer_edge e WHERE e.draft_id = d.workflow_id)
  FROM designer_draft d
  JOIN orchestrator_workflow w ON w.id = d.workflow_id
  LEFT JOIN orchestrator_user u ON u.id = d.saved_by_id
 WHERE d.workflow_id = %s
"""
_COLUMNS: Final = ("input", "output", "has_output", "settings", "regions", "notes")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedDraft:
    """A draft as it stood at one moment."""

    revision: int
    published_revision: int | None
    document: dict[str, Any]
    saved_at: datetime
    saved_by: str


def load_draft(workflow: Workflow) -> LoadedDraft:
    """The draft with its document in canonical spelling. Raises NotFound when the workflow has none."""
    with connection.cursor() as cursor:
        cursor.execute(LOAD_DRAFT, [workflow.pk])
        found = cursor.fetchone()
    if found is None:
        raise NotFound(f'The workflow "{workflow.slug}" has no draft.')
    name, revision, published_revision, saved_at, saved_by, *columns, steps, edges = found
    draft: dict[str, Any] = dict(zip(_COLUMNS, columns, strict=True))
    return LoadedDraft(
        revision=revision,
        published_revision=published_revision,
        document=put_together(name, draft, steps or (), edges or ()),
        saved_at=saved_at,
        saved_by=saved_by,
    )


def as_text(document: Json) -> str:
    """The text of a document in a file: two spaces deep, keys as drawn, a line end at the end."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
