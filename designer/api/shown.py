"""Rows as the API shows them."""

from typing import Any

from designer.queries.workflows import draft_state
from orchestrator.api import Version, Workflow


def workflow_json(workflow: Workflow) -> dict[str, Any]:
    """A workflow by itself."""
    live = workflow.live_version
    return {
        "slug": workflow.slug,
        "name": workflow.name,
        "live_version": live.number if live else None,
        "created_at": workflow.created_at,
    }


def listed_json(workflow: Any) -> dict[str, Any]:  # a workflow of `listed`, with its annotations
    """A workflow as a row of the list."""
    draft = workflow.draft
    run = {"id": str(workflow.last_run_id), "state": workflow.last_run_state, "started_at": workflow.last_run_at}
    return workflow_json(workflow) | {
        "draft": {
            "revision": draft.revision,
            "state": draft_state(workflow).code,
            "errors": draft.errors,
            "warnings": draft.warnings,
            "saved_at": draft.saved_at,
            "saved_by": draft.saved_by.username if draft.saved_by else "",
        },
        "last_run": run if workflow.last_run_id else None,
        "open_runs": workflow.open_runs,
    }


def version_json(version: Version, live_id: int | None) -> dict[str, Any]:
    """A version without its drawing."""
    return {
        "number": version.number,
        "live": version.pk == live_id,
        "note": version.note,
        "content_hash": version.content_hash,
        "published_at": version.published_at,
        "published_by": version.published_by.username if version.published_by else "",
    }
