"""The editor: the page around the canvas island."""

from typing import Any

from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.urls import reverse

from designer.queries.workflows import find_workflow
from orchestrator.api import Action, Actor, Workflow, may
from orchestrator.web.access import WorkspacePage, WorkspaceRequest


class EditorPage(WorkspacePage):
    """The island asks the API for everything else."""

    def get(self, request: WorkspaceRequest, slug: str, **kwargs: Any) -> HttpResponse:
        workflow = find_workflow(request.actor, slug)
        config = canvas_config(request.actor, workflow, get_token(request))
        return render(request, "designer/editor.html", {"workflow": workflow, "config": config})


def canvas_config(actor: Actor, workflow: Workflow, csrf: str) -> dict[str, Any]:
    """What the island must know to start drawing."""
    slug = actor.workspace_slug
    runs = f"/w/{slug}/runs/"
    return {
        "mode": "edit",
        "workspace": slug,
        "workflow": workflow.slug,
        "name": workflow.name,
        "csrf": csrf,
        "base": f"/api/v1/w/{slug}/",
        "socket": f"/ws/w/{slug}/",
        "run": None,
        "document": None,
        "may": {
            "edit": may(actor, Action.DRAFT_EDIT),
            "publish": may(actor, Action.WORKFLOW_PUBLISH),
            "run": may(actor, Action.RUN_START),
        },
        "pages": {
            "runs": runs,
            "run": runs + "{id}/",
            "workflows": reverse("workflows", args=[slug]),
            "versions": reverse("workflow-versions", args=[slug, workflow.slug]),
            "start": reverse("workflow-start", args=[slug, workflow.slug]),
        },
    }
