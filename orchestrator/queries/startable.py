"""What a start needs of a workflow, in one statement: it is asked for by every start, and only names and ids of it."""

from collections.abc import Sequence
from typing import Any

from orchestrator.core.errors import NotFound
from orchestrator.engine.prepared import Along, fetch_one
from orchestrator.models import Version, Workflow
from orchestrator.policy import Actor

_COLUMNS = "f.id, f.workspace_id, f.slug, f.name, f.live_version_id, f.archived_at, v.id, v.workflow_id, v.number"
# Served by workflow_slug_once.
_STARTABLE = f"""
SELECT {_COLUMNS} FROM orchestrator_workflow f LEFT JOIN orchestrator_version v ON v.id = f.live_version_id
WHERE f.workspace_id = %s AND f.slug = %s AND f.archived_at IS NULL
"""
_ALONG = """
LEFT JOIN orchestrator_workflow f ON f.workspace_id = w.id AND f.slug = %s AND f.archived_at IS NULL
LEFT JOIN orchestrator_version v ON v.id = f.live_version_id
"""
# In the order of the models, as `from_db` wants them.
_WORKFLOW_FIELDS = ("id", "workspace_id", "slug", "name", "live_version_id", "archived_at")
_VERSION_FIELDS = ("id", "workflow_id", "number")


def startable_workflow(actor: Actor, slug: str) -> Workflow:
    """A workflow of the actor's workspace; its live version's document and plan are read when they are asked for.

    Raises NotFound, in the same words whether it is foreign or absent.
    """
    return startable_of(fetch_one(_STARTABLE, [actor.workspace_id, slug]))


def startable_along(slug: str) -> Along:
    """The same, to be read along with who asks for it; see `startable_of`."""
    return Along(columns=_COLUMNS, tables=_ALONG, parameters=(slug,))


def startable_of(row: Sequence[Any] | None) -> Workflow:
    """The workflow of the columns that were read. Raises NotFound."""
    if row is None or row[0] is None:
        raise NotFound("There is no such workflow in this workspace.")
    workflow = Workflow.from_db("default", _WORKFLOW_FIELDS, row[:6])
    workflow.live_version = None if row[6] is None else Version.from_db("default", _VERSION_FIELDS, row[6:])
    return workflow
