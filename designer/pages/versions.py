"""What was published, and which version is live."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from designer.diff import difference, in_words
from designer.queries.drafts import load_draft
from designer.queries.workflows import find_version, find_workflow
from designer.services.publishing import set_live
from orchestrator.api import BranchlineError, Version, Workflow
from orchestrator.queries.cursor import page_of
from orchestrator.web.access import WorkspacePage, WorkspaceRequest

#: Each version is compared with the one before, so whole documents are read.
SIZE = "20"


class VersionsPage(WorkspacePage):
    """The versions, the newest first; POST makes one live."""

    def get(self, request: WorkspaceRequest, slug: str, **kwargs: Any) -> HttpResponse:
        workflow = find_workflow(request.actor, slug)
        rows = workflow.versions.select_related("published_by").defer("plan")
        page = page_of(rows, {"limit": SIZE, "cursor": request.GET.get("cursor", "")}, order=("-number",))
        context = {
            "workflow": workflow,
            "rows": with_changes(workflow, page.items),
            "next": page.next,
            "draft_changes": draft_changes(workflow),
        }
        return render(request, "designer/versions.html", context)

    def post(self, request: WorkspaceRequest, slug: str, **kwargs: Any) -> HttpResponse:
        workflow = find_workflow(request.actor, slug)
        number = request.POST.get("number", "")
        version = find_version(workflow, int(number) if number.isascii() and number.isdecimal() else 0)
        try:
            set_live(workflow=workflow, version=version, actor=request.actor)
            messages.success(request, f"New runs use version {version.number} from now on. Open runs stay on theirs.")
        except BranchlineError as error:
            messages.error(request, error.message)
        return HttpResponseRedirect(reverse("workflow-versions", args=[request.actor.workspace_slug, slug]))


def with_changes(workflow: Workflow, versions: Sequence[Version]) -> list[dict[str, Any]]:
    """Each version with what changed since the one before it, in words."""
    if not versions:
        return []
    before = workflow.versions.defer("plan").filter(number__lt=versions[-1].number).order_by("-number").first()
    older = [*versions[1:], before]
    return [
        {
            "version": version,
            "changes": in_words(difference(old.document, version.document)) if old else ["The first version"],
        }
        for version, old in zip(versions, older, strict=True)
    ]


def draft_changes(workflow: Workflow) -> list[str]:
    """What publishing the draft would change; empty when nothing."""
    live = workflow.live_version
    if live is None:
        return []
    found = difference(live.document, load_draft(workflow).document)
    return [] if in_words(found) == ["Nothing changed"] else in_words(found)
