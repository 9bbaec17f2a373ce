"""What a start needs of a workflow, in one statement: it is asked for by every start, and only names and ids of it."""

from orchestrator.core.errors import NotFound
from orchestrator.engine.prepared import fetch_one
from orchestrator.models import Version, Workflow
from orchestrator.policy import Actor

# Served by workflow_slug_once.
_STARTABLE = """
SELECT w.id, w.workspace_id, w.slug, w.name, w.live_version_id, w.archived_at, v.id, v.workflow_id, v.number
FROM orchestrator_workflow w LEFT JOIN orchestrator_version v ON v.id = w.live_version_id
WHERE w.workspace_id = %s AND w.slug = %s AND w.archived_at IS NULL
"""
# In the order of the models, as `from_db` wants them.
_WORKFLOW_FIELDS = ("id", "workspace_id", "slug", "name", "live_version_id", "archived_at")
_VERSION_FIELDS = ("id", "workflow_id", "number")


def startable_workflow(actor: Actor, slug: str) -> Workflow:
    """A workflow of the actor's workspace; its live version's document and plan are read when they are asked for.

    Raises NotFound, in the same words whether it is foreign or absent.
    """
    row = fetch_one(_STARTABLE, [actor.workspace_id, slug])
    if row is None:
        raise NotFound("There is no such workflow in this workspace.")
    workflow = Workflow.from_db("default", _WORKFLOW_FIELDS, row[:6])
    workflow.live_version = None if row[6] is None else Version.from_db("default", _VERSION_FIELDS, row[6:])
    return workflow
